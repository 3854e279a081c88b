"""Lines of a document. A long one is kept in pieces, so that a key costs one piece and not the whole line.

Lines end in \\n, \\r\\n or \\r, as LSP has it. (`str.splitlines` also ends them at a form feed, U+2028 and others; a
mirror kept with it is silently corrupted by the next edit below such a character.)
"""

import re
from bisect import bisect_right
from itertools import accumulate

from tinycopilot_server.positions import to_offset, to_units

PIECE_CHARS = 4_096
"""A line of more characters is kept in pieces of at most this many."""

LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")


def split_lines(text: str) -> list[str]:
    """Split `text` into lines with their ends; the last has none, and is empty if the text ends with a line end."""
    if "\r" not in text:  # `str.split` is 50 times as fast as the expression
        *lines, last = text.split("\n")
        return [*(line + "\n" for line in lines), last]
    lines = LINE.findall(text)
    if lines[-1].endswith(("\r", "\n")):
        lines.append("")
    return lines


class LongLine:
    """A line in pieces, with the units of each piece: the same as the `str`, but cheap to edit and to convert."""

    def __init__(self, text: str, encoding: str) -> None:
        self._encoding = encoding
        self._pieces = _cut(text)
        self._units = [self._count(piece) for piece in self._pieces]

    def __str__(self) -> str:
        return "".join(self._pieces)

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def __getitem__(self, where: slice) -> str:
        """Characters `start:stop`, without a step; costs the pieces that they lie in."""
        start, stop, _ = where.indices(len(self))
        if start >= stop:
            return ""
        (first, first_offset), (last, last_offset) = self._find(start), self._find(stop)
        if first == last:
            return self._pieces[first][first_offset:last_offset]
        middle = self._pieces[first + 1 : last]
        return "".join((self._pieces[first][first_offset:], *middle, self._pieces[last][:last_offset]))

    @property
    def end(self) -> str:
        """Its line end, empty for a document's last line."""
        return line_end(self[-2:])

    def replace(self, start: int, stop: int, text: str) -> None:
        """Replace the characters `start:stop`; `text` contains no line end."""
        (first, first_offset), (last, last_offset) = self._find(start), self._find(stop)
        joined = self._pieces[first][:first_offset] + text + self._pieces[last][last_offset:]
        pieces = _cut(joined) if len(joined) > 2 * PIECE_CHARS else [joined] if joined else []
        self._pieces[first : last + 1] = pieces
        self._units[first : last + 1] = [self._count(piece) for piece in pieces]

    def to_offset(self, units: int) -> int:
        """As `positions.to_offset`, but a position past the end is before the line end."""
        sums = list(accumulate(self._units, initial=0))
        at = max(0, min(bisect_right(sums, units) - 1, len(self._pieces) - 1))
        before = sum(map(len, self._pieces[:at]))
        offset = before + to_offset(self._pieces[at], units - sums[at], self._encoding)
        return min(offset, len(self) - len(self.end))

    def to_units(self, offset: int) -> int:
        """As `positions.to_units`."""
        at, rest = self._find(offset)
        return sum(self._units[:at]) + to_units(self._pieces[at], rest, self._encoding)

    def _find(self, offset: int) -> tuple[int, int]:
        """The piece that `offset` is in, the later of two, and the offset in that."""
        sums = list(accumulate(map(len, self._pieces), initial=0))
        at = min(bisect_right(sums, offset) - 1, len(self._pieces) - 1)
        return at, offset - sums[at]

    def _count(self, piece: str) -> int:
        return to_units(piece, len(piece), self._encoding)


Line = str | LongLine


def as_line(text: str, encoding: str) -> Line:
    """One line, in pieces if it is long."""
    return LongLine(text, encoding) if len(text) > PIECE_CHARS else text


def line_end(text: str) -> str:
    """The line end that `text` ends with, or nothing."""
    return "\r\n" if text.endswith("\r\n") else text[-1:] if text.endswith(("\r", "\n")) else ""


def _cut(text: str) -> list[str]:
    return [text[i : i + PIECE_CHARS] for i in range(0, len(text), PIECE_CHARS)]
