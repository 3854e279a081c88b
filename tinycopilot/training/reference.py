"""The reference text: bundled Python that no model was trained on. Imports no PyTorch."""

from tinycopilot import UserError
from tinycopilot.paths import bundled_path

UNKNOWN_BITS = 16.0
"""Cost of a character outside the vocabulary, besides that of the unknown id: one of 65,536. Without it, a smaller
vocabulary would give fewer bits."""


def reference_text() -> str:
    """Return the reference text. Raises UserError if it is missing."""
    path = bundled_path("paras") / "reference.txt"
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); reinstall tinycopilot") from None
