"""Write what training produces with `torch.save`, atomically, and turn arrays that were read into tensors again."""

import contextlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch


def save_atomically(contents: Mapping[str, Any], path: Path) -> None:
    """Write `contents` to `path`, so that a reader, or a crash, sees either the old file or the new one.

    It is serialised in memory first: `torch.save` straight to a full disk raises a RuntimeError that does not say so.
    Raises OSError if the file cannot be written; the old file is unchanged then.
    """
    buffer = io.BytesIO()
    torch.save(dict(contents), buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def as_tensors(value: Any) -> Any:
    """Return nested dictionaries, lists and tuples with each NumPy array in them as a tensor of its own memory."""
    match value:
        case np.ndarray():
            return torch.tensor(value)
        case dict():
            return {name: as_tensors(item) for name, item in value.items()}
        case list() | tuple():
            return type(value)(map(as_tensors, value))
        case _:
            return value
