"""LSP positions <-> offsets in a line. Only this file knows UTF-8 and UTF-16; the rest counts code points."""

from bisect import bisect_right

from lsprotocol.types import PositionEncodingKind

CODECS: dict[str, tuple[str, int]] = {
    PositionEncodingKind.Utf8: ("utf-8", 1),
    PositionEncodingKind.Utf16: ("utf-16-le", 2),
}
"""Of each encoding but UTF-32: Python's codec, and the bytes of one unit."""


def to_offset(line: str, units: int, encoding: str) -> int:
    """Return the largest offset in `line` whose prefix takes at most `units` units of `encoding`.

    A position past the end of the line is its end, as LSP defines it; one inside a character is before the character.
    Takes O(len(line)) time with a small constant; `lines.LongLine` bounds the length.
    """
    if encoding == PositionEncodingKind.Utf32 or line.isascii():
        return max(0, min(units, len(line)))
    offsets = range(len(line) + 1)
    return max(0, bisect_right(offsets, units, key=lambda offset: to_units(line, offset, encoding)) - 1)


def to_units(line: str, offset: int, encoding: str) -> int:
    """Return how many units of `encoding` the first `offset` characters of `line` take."""
    if encoding == PositionEncodingKind.Utf32 or line.isascii():
        return offset
    codec, n_bytes = CODECS[encoding]
    return len(line[:offset].encode(codec, "surrogatepass")) // n_bytes
