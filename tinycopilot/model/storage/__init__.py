"""Read model, tokenizer and checkpoint files without running code from them. Imports no PyTorch."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinycopilot import UserError
from tinycopilot.model.storage.archive import MAX_PICKLE_BYTES, read_archive

ZIP_START = b"PK\x03\x04"
RETRAIN = "train one with `tinycopilot train`, or give another path"
MAX_BYTES = 4_000_000_000
"""More than a checkpoint of the largest model."""


class ModelFileError(UserError):
    """A file is missing, damaged, not ours, or does not match. The message is one printable line."""

    def __init__(self, message: str) -> None:
        super().__init__("".join(character if character.isprintable() else "?" for character in message))


def require_file(path: Path, kind: str) -> None:
    """Raise ModelFileError if `path` is not a file, or if that is unknown, since its folder is not readable."""
    try:
        is_file = path.is_file()
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None
    if not is_file:
        raise ModelFileError(f"{path}: no {kind} file here; {RETRAIN}")


def load_data(
    path: Path,
    kind: str,
    required: Mapping[str, type],
    *,
    max_bytes: int = MAX_BYTES,
    max_pickle_bytes: int = MAX_PICKLE_BYTES,
) -> dict[str, Any]:
    """Return what `save_atomically` wrote, if it is of this `kind` and contains `required` (name -> type).

    Tensors are NumPy arrays. A pickle that calls a function is rejected before it runs. Raises ModelFileError.
    """
    require_file(path, kind)
    n_bytes = path.stat().st_size
    if n_bytes == 0:
        raise ModelFileError(f"{path}: the {kind} file is empty; {RETRAIN}")
    if n_bytes > max_bytes:
        raise ModelFileError(f"{path}: {n_bytes:,} bytes is too large for a {kind} file; {RETRAIN}")
    try:
        with path.open("rb") as file:
            is_archive = file.read(len(ZIP_START)) == ZIP_START  # what torch.save writes
        data: Any = read_archive(path, n_bytes, max_pickle_bytes) if is_archive else None
    except PermissionError:
        raise ModelFileError(
            f"{path}: no permission to read the {kind} file; change its permissions, or give another path"
        ) from None
    except pickle.UnpicklingError:
        raise ModelFileError(f"{path}: contains more than data, so it was not loaded; {RETRAIN}") from None
    except Exception:  # a damaged file can fail in any way
        raise ModelFileError(f"{path}: the {kind} file is damaged; {RETRAIN}") from None
    found = data.get("kind") if isinstance(data, dict) else None
    if not isinstance(found, str) or found != kind:  # a comparison with a tensor has no truth value
        raise ModelFileError(f"{path}: not a tinycopilot {kind} file; {RETRAIN}")
    for name, expected in required.items():
        if not isinstance(data.get(name), expected):
            raise ModelFileError(f"{path}: the {kind} file has no valid {name!r}; {RETRAIN}")
    return data
