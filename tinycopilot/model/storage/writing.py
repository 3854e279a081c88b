"""Write files with `torch.save`, atomically, and convert loaded arrays to tensors."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tinycopilot.atomic import atomic_write


def save_atomically(contents: Mapping[str, Any], path: Path) -> None:
    """Write `contents` to `path` atomically: a reader sees the old file or the new one, even after a crash.

    Serialized in memory first, because on a full disk `torch.save` raises a RuntimeError that does not say so. Raises
    OSError; then the old file is unchanged.
    """
    buffer = io.BytesIO()
    torch.save(dict(contents), buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, is_private=False) as file:
        file.write(buffer.getbuffer())


def as_tensors(value: Any) -> Any:
    """Return nested dictionaries, lists and tuples with each NumPy array converted to a tensor (a copy)."""
    match value:
        case np.ndarray():
            return torch.tensor(value)
        case dict():
            return {name: as_tensors(item) for name, item in value.items()}
        case list() | tuple():
            return type(value)(map(as_tensors, value))
        case _:
            return value
