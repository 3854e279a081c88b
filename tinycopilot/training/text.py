"""Text on disk, with 16 bits per character: written document by document, read through short-lived memory maps."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinycopilot import UserError
from tinycopilot.model.tokenizer import DOCUMENT_START

UNIT = np.dtype("<u2")
UNKNOWN_UNIT = 0xFFFF
"""Replaces characters above U+FFFE, such as emoji, and surrogates. Not a Unicode character."""

PIECE_CHARS = 1 << 20


class Text:
    """The characters of a file, as code points; those above 16 bits are UNKNOWN_UNIT.

    The file is mapped again for each call, because touched pages count as this process's memory while a map is open;
    for a corpus of many gigabytes, that would be all of it.
    """

    def __init__(self, path: Path) -> None:
        """Raises UserError if the file is missing or truncated."""
        try:
            n_bytes = path.stat().st_size
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}); prepare the corpus again") from None
        if n_bytes % UNIT.itemsize:
            raise UserError(f"{path}: cut off in the middle of a character; prepare the corpus again")
        self.path = path
        self._n_chars = n_bytes // UNIT.itemsize

    def __len__(self) -> int:
        return self._n_chars

    def windows(self, starts: NDArray[np.int64], length: int) -> NDArray[np.uint16]:
        """Return `length` characters from each of `starts`, (B, length). Raises IndexError beyond the end."""
        return self._map()[starts[:, None] + np.arange(length)].astype(np.uint16, copy=False)

    def read(self, first: int = 0, n_chars: int | None = None) -> NDArray[np.uint16]:
        """Return at most `n_chars` characters from `first`; by default all."""
        return self._map()[first : None if n_chars is None else first + n_chars].astype(np.uint16)

    def counts(self) -> Counter[str]:
        """Return the number of occurrences of each character, except of those above 16 bits, which `len` includes."""
        totals = np.zeros(UNKNOWN_UNIT + 1, np.int64)
        for first in range(0, len(self), PIECE_CHARS):
            totals += np.bincount(self.read(first, PIECE_CHARS), minlength=len(totals))
        return Counter({chr(i): int(totals[i]) for i in totals[:UNKNOWN_UNIT].nonzero()[0]})

    def _map(self) -> NDArray[np.uint16]:
        """Map the whole file; the map is closed with the last array that uses it."""
        if not len(self):
            return np.empty(0, UNIT)  # an empty file cannot be mapped
        try:
            return np.asarray(np.memmap(self.path, UNIT, "r", shape=(len(self),)))
        except (OSError, ValueError):
            raise UserError(f"{self.path}: gone, or shorter than it was; prepare the corpus again") from None


def write_text(path: Path, documents: Iterable[str]) -> None:
    """Write the file of a Text: each document after a DOCUMENT_START. Raises OSError."""
    with path.open("wb") as file:
        for document in documents:
            file.write(to_units(DOCUMENT_START + document).data)


def to_units(text: str) -> NDArray[np.uint16]:
    """Return the characters of `text` as they are stored, (N,)."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8).astype(UNIT)
    code_points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    is_stored = (code_points < UNKNOWN_UNIT) & (code_points >> 11 != 0xD800 >> 11)
    return np.where(is_stored, code_points, UNKNOWN_UNIT).astype(UNIT)
