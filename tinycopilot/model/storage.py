"""How the two files of a model are written and read: atomically, and as data alone."""

import contextlib
import io
import os
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tinycopilot import UserError


class ModelFileError(UserError):
    """A model or tokenizer file is missing, damaged, foreign, or does not match."""


def save_atomically(contents: Mapping[str, Any], path: Path) -> None:
    """Write `contents` to `path` so that a reader, or a crash, sees the old file or the new one and nothing between.

    Serialised in memory first: `torch.save` straight to a full disk raises a RuntimeError that does not say so.
    Raises OSError where the file cannot be written; then the old file is as it was.
    """
    buffer = io.BytesIO()
    torch.save(dict(contents), buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # noqa: PTH101 (mkstemp gives 0600)
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise


def load_data(path: Path, kind: str, required: Mapping[str, type]) -> dict[str, Any]:
    """What `save_atomically` wrote, checked to be a mapping that holds `required` (name -> type) and says it is a `kind`.

    `weights_only=True` reads tensors and plain values; a pickle that calls anything is refused before it runs.
    Raises ModelFileError, one line that says what is wrong.
    """
    retrain = "train one with `tinycopilot train`, or give another path"
    if not path.is_file():
        raise ModelFileError(f"{path}: there is no {kind} file here; {retrain}")
    if path.stat().st_size == 0:
        raise ModelFileError(f"{path}: the {kind} file is empty; {retrain}")
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ModelFileError(f"{path}: not a {kind} of tinycopilot, or one that holds more than data; {retrain}") from None
    except PermissionError:
        raise ModelFileError(f"{path}: the {kind} file may not be read; change its permissions, or give another path") from None
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, TypeError, AttributeError):
        raise ModelFileError(f"{path}: the {kind} file is damaged, or not one of tinycopilot's; {retrain}") from None
    if not isinstance(data, dict) or data.get("kind") != kind:
        raise ModelFileError(f"{path}: not a {kind} file of tinycopilot; {retrain}")
    for name, expected in required.items():
        if not isinstance(data.get(name), expected):
            raise ModelFileError(f"{path}: the {kind} file has no valid {name!r}; {retrain}")
    return data
