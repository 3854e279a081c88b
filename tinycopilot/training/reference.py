"""The reference text: everyday Python that ships, and that no model was trained on. Imports no PyTorch."""

from tinycopilot import UserError
from tinycopilot.paths import bundled_path

UNKNOWN_BITS = 16.0
"""What a character outside the vocabulary costs on top of the unknown id: one of 65,536. Otherwise the model with the
smaller vocabulary would win."""


def reference_text() -> str:
    """Everyday Python of ours, which no model was trained on. Raises UserError where it is missing."""
    path = bundled_path("paras") / "reference.txt"
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); reinstall tinycopilot") from None
