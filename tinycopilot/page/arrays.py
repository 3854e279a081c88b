"""Arrays in a page: compressed, in base64, with a table of their offsets."""

import base64
import zlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


class Arrays:
    """Collects arrays by name."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._table: dict[str, dict[str, Any]] = {}

    def add(self, name: str, array: ArrayLike, dtype: str) -> None:
        """Add an array of any shape, little-endian, of a `dtype` that base.js reads."""
        data = np.ascontiguousarray(array).astype(np.dtype(dtype).newbyteorder("<"))
        self._data += bytes(-len(self._data) % 4)  # typed arrays need aligned offsets
        self._table[name] = {"at": len(self._data), "type": dtype, "shape": list(data.shape)}
        self._data += data.tobytes()

    def as_json(self) -> dict[str, Any]:
        """Return the table, and all bytes (zlib, base64)."""
        return {"table": self._table, "data": base64.b64encode(zlib.compress(bytes(self._data), 6)).decode("ascii")}


def as_shares(p: ArrayLike) -> "np.ndarray[Any, np.dtype[np.uint16]]":
    """Convert numbers from 0 to 1 to multiples of 1/65535, as uint16."""
    return np.rint(np.clip(p, 0, 1) * np.float64(65535)).astype(np.uint16)


def significant(number: float) -> float:
    """Round to five significant digits, for JSON."""
    return float(f"{number:.5g}")
