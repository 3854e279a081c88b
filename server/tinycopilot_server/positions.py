"""LSP's positions <-> offsets in a line. The one file that knows of UTF-8 and UTF-16: all else counts code points."""

from collections.abc import Callable

from lsprotocol.types import PositionEncodingKind

Width = Callable[[str], int]


def _utf8_width(character: str) -> int:
    code = ord(character)
    return 1 if code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4


def _utf16_width(character: str) -> int:
    return 2 if ord(character) >= 0x10000 else 1


WIDTHS: dict[str, Width] = {PositionEncodingKind.Utf8: _utf8_width, PositionEncodingKind.Utf16: _utf16_width}


def to_offset(line: str, units: int, encoding: str) -> int:
    """The offset in `line` at which `units` units of `encoding` are passed.

    Past the end of the line is its end (as LSP has it); in the middle of a character is before it.
    """
    if encoding == PositionEncodingKind.Utf32 or line.isascii():
        return min(units, len(line))
    width = WIDTHS[encoding]
    for offset, character in enumerate(line):
        units -= width(character)
        if units < 0:
            return offset
    return len(line)


def to_units(line: str, offset: int, encoding: str) -> int:
    """How many units of `encoding` the first `offset` characters of `line` take."""
    if encoding == PositionEncodingKind.Utf32 or line.isascii():
        return offset
    return sum(map(WIDTHS[encoding], line[:offset]))
