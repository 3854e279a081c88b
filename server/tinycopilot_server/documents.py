"""Open documents: apply edits, and convert the editor's positions to offsets and back.

Only this file knows UTF-8 and UTF-16.

Lines end in \\n, \\r\\n or \\r, as in LSP. (`str.splitlines` also splits at a form feed, U+2028 and others; a mirror
kept with it is silently corrupted by the next edit below such a character.) Offsets count code points.
"""

from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path, PurePath

from lsprotocol import types
from lsprotocol.types import PositionEncodingKind

from tinycopilot.files.left_out import Reason
from tinycopilot.files.reading import why_not_written
from tinycopilot.files.secret_files import is_secret_place, is_secret_source

CODECS: dict[str, tuple[str, int]] = {
    PositionEncodingKind.Utf8: ("utf-8", 1),
    PositionEncodingKind.Utf16: ("utf-16-le", 2),
}
"""For each encoding except UTF-32: Python's codec, and the bytes in one code unit."""

MAX_HELD_CHARS = 2_000_000
"""A longer document is completed but not indexed, which would be too slow at each keystroke."""
MAX_HELD_LINE_CHARS = 100_000
"""A document with a longer line is completed but not indexed, either."""
WINDOW_CHARS = 32_768
"""A document that is not indexed is completed from this much text on either side of the cursor."""
BLOCK_LINES = 2_000
"""That text starts at a multiple of this many lines, so that its start stays the same for many keystrokes."""


def to_offset(line: str, units: int, encoding: str) -> int:
    """Return the largest offset in `line` whose prefix takes at most `units` code units of `encoding`.

    A position past the end of the line is its end, as LSP defines; one inside a character is before the character.
    Bisection, which counts each half once: O(len(line)) with a small constant.
    """
    low, high = 0, max(0, min(units, len(line)))
    if encoding == PositionEncodingKind.Utf32 or line.isascii():
        return high
    while low < high:
        middle = (low + high + 1) // 2
        n_units = to_units(line[low:middle], middle - low, encoding)
        if n_units <= units:
            low, units = middle, units - n_units
        else:
            high = middle - 1
    return low


def to_units(line: str, offset: int, encoding: str) -> int:
    """Return the number of code units of `encoding` in the first `offset` characters of `line`."""
    if encoding == PositionEncodingKind.Utf32 or line.isascii():
        return offset
    codec, n_bytes = CODECS[encoding]
    return len(line[:offset].encode(codec, "surrogatepass")) // n_bytes


def split_lines(text: str) -> list[str]:
    """Split `text` into lines that keep their ends; the last has none, and is "" if the text ends with a line end."""
    if "\r" not in text:  # several times as fast for a long line, which is split at each keystroke
        *lines, last = text.split("\n")
        return [*(line + "\n" for line in lines), last]
    lines = list(StringIO(text, newline=""))
    return lines if not lines[-1].endswith(("\r", "\n")) else [*lines, ""]


class Document:
    """An open document. The cost of an edit grows with the lines that it touches."""

    def __init__(
        self,
        text: str,
        version: int,
        encoding: str,
        name: str = "",
        language: str = "",
        opened_as: str = "",
        tops: Iterable[str] = (),
    ) -> None:
        """`name`: the path with links resolved, or the URI if there is none. `opened_as`: the path as the editor gave
        it. `language`: LSP's language identifier. `encoding`: that of positions. `tops`: the workspace's folders."""
        self.version = version
        self.name = self.index_name = name
        """`index_name`: the name under which it is indexed."""
        self.opened_as = opened_as or name
        self.language = language
        self.seen_version: object = None
        """The version that was indexed while the user worked in another document."""
        self.encoding = encoding
        self._set(text)
        self._is_secret_place = is_secret_place(Path(self.opened_as), tops)
        names = (PurePath(name).name, PurePath(self.opened_as).name)
        self._secret_name = next((called for called in names if is_secret_source(called, "")), "")
        self._is_written = why_not_written(Path(name).name, text) is not Reason.LONG_LINES

    def _set(self, text: str) -> None:
        self._lines = split_lines(text)
        self.n_chars = len(text)
        """Length of the text in characters."""

    @property
    def is_secret(self) -> bool:
        """Whether the document must be neither indexed nor completed, for its name or folder. Others are masked."""
        return self._is_secret_place or (self._secret_name != "" and is_secret_source(self._secret_name, self.text))

    @property
    def why_not_indexed(self) -> str:
        """Why the document is not indexed although it is not secret; "" if it is indexed.

        Whether a person wrote it is judged by the text that was opened.
        """
        if self.n_chars > MAX_HELD_CHARS:
            return f"it has more than {MAX_HELD_CHARS:,} characters"
        if not self._is_written:
            return "its lines are too long: it appears to be generated"
        if self.n_chars <= MAX_HELD_LINE_CHARS or max(map(len, self._lines)) <= MAX_HELD_LINE_CHARS:
            return ""
        return f"a line has more than {MAX_HELD_LINE_CHARS:,} characters"

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self._lines)

    @property
    def line_end(self) -> str:
        """The line end of the first line; \\n if there is only one line."""
        return self._lines[0][len(self._lines[0].rstrip("\r\n")) :] or "\n"

    def apply(self, changes: Sequence[types.TextDocumentContentChangeEvent], version: int) -> None:
        """Apply the edits of one didChange in order; each refers to the text that the previous one left."""
        for change in changes:
            if isinstance(change, types.TextDocumentContentChangePartial):
                self._replace(change.range, change.text)
            else:
                self._set(change.text)
        self.version = version

    def _replace(self, where: types.Range, text: str) -> None:
        (first, first_offset), (last, last_offset) = sorted((self._locate(where.start), self._locate(where.end)))
        lines = self._lines
        # With the lines above and below: an edit can join a \r before it with a \n after it.
        low, high = max(0, first - 1), last + 2
        above, below = "".join(lines[low:first]), "".join(lines[last + 1 : high])
        joined = above + lines[first][:first_offset] + text + lines[last][last_offset:] + below
        new = split_lines(joined)
        if high < len(lines) and new[-1] == "":
            new.pop()  # the next line starts separately
        self.n_chars += len(joined) - sum(map(len, lines[low:high]))
        lines[low:high] = new

    def _locate(self, position: types.Position) -> tuple[int, int]:
        """Line number and offset of a position, moved to the end of the line or of the text if it lies outside."""
        if position.line >= len(self._lines):
            return len(self._lines) - 1, len(self._lines[-1])
        line = self._lines[position.line].rstrip("\r\n")
        return position.line, to_offset(line, position.character, self.encoding)

    def clamp(self, position: types.Position) -> types.Position:
        """Return the nearest position that exists in the text."""
        at, offset = self._locate(position)
        return types.Position(at, to_units(self._lines[at], offset, self.encoding))

    def between(self, start: types.Position, end: types.Position) -> str:
        """Return the text from `start` to `end`; "" if `end` precedes `start`."""
        (first, first_offset), (last, last_offset) = self._locate(start), self._locate(end)
        if first >= last:
            return self._lines[first][first_offset:last_offset] if first == last else ""
        middle = self._lines[first + 1 : last]
        return "".join((self._lines[first][first_offset:], *middle, self._lines[last][:last_offset]))

    def split(self, position: types.Position) -> tuple[str, str]:
        """Return the text before and after a position."""
        at, offset = self._locate(position)
        here, lines = self._lines[at], self._lines
        return "".join(lines[:at]) + here[:offset], here[offset:] + "".join(lines[at + 1 :])

    def split_near(self, position: types.Position) -> tuple[str, str]:
        """Return WINDOW_CHARS of text on either side of a position, up to twice as much before it.

        While the user types in one line, the text before the cursor starts at the same place for at least WINDOW_CHARS
        keystrokes.
        """
        at, offset = self._locate(position)
        here, top = self._lines[at], max(0, at // BLOCK_LINES - 1) * BLOCK_LINES
        before = "".join(self._lines[top:at]) + here[:offset]
        after = here[offset:] + "".join(self._lines[at + 1 : at + 1 + BLOCK_LINES])
        start = max(0, len(before) // WINDOW_CHARS - 1) * WINDOW_CHARS
        return before[start:], after[:WINDOW_CHARS]
