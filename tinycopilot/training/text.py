"""Characters on disk, 16 bits each: written one document after another, read through a map that is never kept open."""

import hashlib
import os
from collections import Counter
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from tinycopilot import UserError
from tinycopilot.model.tokenizer import DOCUMENT_START

UNIT = np.dtype("<u2")
UNKNOWN_UNIT = 0xFFFF
"""Stands for a character beyond 16 bits, such as an emoji, and for half of one. Unicode calls no character so."""

PIECE_CHARS = 1 << 20


class Text:
    """The characters of a file, as their code points; what lies beyond 16 bits is UNKNOWN_UNIT.

    The file is mapped anew for each call: pages of a map that were touched count as the process's own memory for as
    long as it is open, and from a corpus of many gigabytes that would be all of them in the end.
    """

    def __init__(self, path: Path) -> None:
        """Raises UserError where there is no such file, or it holds half a character."""
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

    def __repr__(self) -> str:
        return f"Text({str(self.path)!r})"

    def windows(self, starts: NDArray[np.int64], length: int) -> NDArray[np.uint16]:
        """The `length` characters from each of `starts` on, (B, length). Raises IndexError beyond the text's ends."""
        if len(starts) and not 0 <= starts.min() <= starts.max() <= len(self) - length:
            raise IndexError(f"windows of {length} characters from {starts.min()} to {starts.max()} of {len(self)}")
        return self._map()[starts[:, None] + np.arange(length)].astype(np.uint16, copy=False)

    def read(self, first: int = 0, n_chars: int | None = None) -> NDArray[np.uint16]:
        """`n_chars` characters from `first` on, or as many as there are."""
        if first < 0 or (n_chars is not None and n_chars < 0):
            raise IndexError(f"{n_chars} characters from {first} on")
        return self._map()[first : None if n_chars is None else first + n_chars].astype(np.uint16)

    def feed(self, digest: "hashlib._Hash") -> None:
        """Update `digest` with all that is stored."""
        for first in range(0, len(self), PIECE_CHARS):
            digest.update(self.read(first, PIECE_CHARS).astype(UNIT, copy=False).data)

    def counts(self) -> Counter[str]:
        """How often each character is there. Characters beyond 16 bits are left out: `len` counts them, too."""
        totals = np.zeros(UNKNOWN_UNIT + 1, np.int64)
        for first in range(0, len(self), PIECE_CHARS):
            totals += np.bincount(self.read(first, PIECE_CHARS), minlength=len(totals))
        return Counter({chr(i): int(totals[i]) for i in totals[:UNKNOWN_UNIT].nonzero()[0]})

    def _map(self) -> NDArray[np.uint16]:
        """The whole file; closed when the last array that looks into it is gone."""
        if not len(self):
            return np.empty(0, UNIT)  # an empty file cannot be mapped
        try:
            return np.asarray(np.memmap(self.path, UNIT, "r", shape=(len(self),)))
        except (OSError, ValueError):
            raise UserError(f"{self.path}: gone, or shorter than it was; prepare the corpus again") from None


class TextWriter:
    """Writes a Text's file, one document after another, each behind a DOCUMENT_START. Raises OSError.

    `digest` is updated with all that is written.
    """

    def __init__(self, path: Path, digest: "hashlib._Hash") -> None:
        self.n_chars = 0
        self._file = path.open("wb")
        self._digest = digest

    def __enter__(self) -> "TextWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if error is None:
                self._file.flush()
                os.fsync(self._file.fileno())

    def add(self, document: str) -> None:
        """Append one document."""
        units = to_units(DOCUMENT_START + document).data
        self._file.write(units)
        self._digest.update(units)
        self.n_chars += len(units)


def to_units(text: str) -> NDArray[np.uint16]:
    """The characters of `text` as they are stored, (N,)."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8).astype(UNIT)
    code_points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    is_stored = (code_points < UNKNOWN_UNIT) & (code_points >> 11 != 0xD800 >> 11)
    return np.where(is_stored, code_points, UNKNOWN_UNIT).astype(UNIT)
