"""The open documents as the client has them, line by line, and nothing else."""

from collections.abc import Sequence
from pathlib import Path, PurePath

from lsprotocol import types

from tinycopilot.files import Reason, why_not_written
from tinycopilot.secret_files import is_secret_place, is_secret_source
from tinycopilot_server.lines import PIECE_CHARS, Line, LongLine, as_line, line_end, split_lines
from tinycopilot_server.positions import to_offset, to_units

MAX_HELD_CHARS = 2_000_000
"""A longer document is completed, but not held: each key would cost too much."""
MAX_HELD_LINE_CHARS = 100_000
"""The same for a document with a longer line."""
WINDOW_CHARS = 32_768
"""Of a document that is not held, this much text on either side of the cursor is enough to complete it."""
BLOCK_LINES = 64
"""Such a window begins at a multiple of this many lines, so that it begins at the same place for many keys."""


class Document:
    """One open document. An edit costs the lines that it touches, and of a long line a piece."""

    def __init__(
        self, text: str, version: int, encoding: str, name: str = "", language: str = "", opened_as: str = ""
    ) -> None:
        """`name` is what the memory calls it: its path without links, if it has one; `opened_as` is the path that the
        editor says; `language` is the editor's name for that."""
        self.version = version
        self.name = name
        self.opened_as = opened_as or name
        self.language = language
        self.seen_version: int | None = None
        """Which version the memory was shown while another document was at hand."""
        self._encoding = encoding
        self._set(text)
        self._is_secret_place = is_secret_place(Path(self.opened_as))
        self._is_written = why_not_written(Path(name).name, text) is not Reason.LONG_LINES

    def _set(self, text: str) -> None:
        self._lines: list[Line] = [as_line(line, self._encoding) for line in split_lines(text)]
        self._n_chars = len(text)

    @property
    def is_secret(self) -> bool:
        """Whether it must be neither held nor completed, by its name or folder. (Secrets in others are masked.)"""
        return self._is_secret_place or self._is_secret_source()

    def _is_secret_source(self) -> bool:
        names = {PurePath(self.name).name, PurePath(self.opened_as).name}
        called_so = [name for name in names if is_secret_source(name, "")]
        return bool(called_so) and is_secret_source(called_so[0], self.text)

    @property
    def why_not_held(self) -> str:
        """Why it is not held though it is no secret; empty if it is.

        Whether a person wrote it is judged by the text that was opened.
        """
        if self._n_chars > MAX_HELD_CHARS:
            return f"it has more than {MAX_HELD_CHARS:,} characters"
        if not self._is_written:
            return "its lines are too long for a person to have written it"
        if any(isinstance(line, LongLine) and len(line) > MAX_HELD_LINE_CHARS for line in self._lines):
            return f"a line has more than {MAX_HELD_LINE_CHARS:,} characters"
        return ""

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(map(str, self._lines))

    @property
    def line_end(self) -> str:
        """What ends its first line, or \\n."""
        return line_end(self._lines[0][-2:]) or "\n"

    def apply(self, changes: Sequence[types.TextDocumentContentChangeEvent], version: int) -> None:
        """The edits of one didChange, in their order: each is stated in terms of the text that the last one left."""
        for change in changes:
            if isinstance(change, types.TextDocumentContentChangePartial):
                self._replace(change.range, change.text)
            else:
                self._set(change.text)
        self.version = version

    def _replace(self, where: types.Range, text: str) -> None:
        (first, first_offset), (last, last_offset) = sorted((self._locate(where.start), self._locate(where.end)))
        line = self._lines[first]
        if first == last and isinstance(line, LongLine) and not ("\n" in text or "\r" in text):
            n_added = len(text) - (last_offset - first_offset)
            if len(line) + n_added > PIECE_CHARS:
                line.replace(first_offset, last_offset, text)
                self._n_chars += n_added
                return
        self._replace_lines(first, first_offset, last, last_offset, text)

    def _replace_lines(self, first: int, first_offset: int, last: int, last_offset: int, text: str) -> None:
        lines, low, high = self._lines, first, last + 1
        joined = lines[first][:first_offset] + text + lines[last][last_offset:]
        # An edit can join a \r before it with a \n after it.
        if low and joined.startswith("\n") and lines[low - 1][-1:] == "\r":
            low -= 1
            joined = str(lines[low]) + joined
        if high < len(lines) and joined.endswith("\r") and lines[high][:1] == "\n":
            joined += str(lines[high])
            high += 1
        new = split_lines(joined)
        if high < len(lines) and new[-1] == "":
            new.pop()  # what follows begins a line of its own
        self._n_chars += len(joined) - sum(map(len, lines[low:high]))
        lines[low:high] = [as_line(line, self._encoding) for line in new]

    def _locate(self, position: types.Position) -> tuple[int, int]:
        """Line and offset of a position; what lies outside of the text is its end, or the line's."""
        if position.line >= len(self._lines):
            return len(self._lines) - 1, len(self._lines[-1])
        line = self._lines[position.line]
        if isinstance(line, LongLine):
            return position.line, line.to_offset(position.character)
        return position.line, to_offset(line.rstrip("\r\n"), position.character, self._encoding)

    def clamp(self, position: types.Position) -> types.Position:
        """The nearest position that the text has."""
        at, offset = self._locate(position)
        line = self._lines[at]
        n_units = line.to_units(offset) if isinstance(line, LongLine) else to_units(line, offset, self._encoding)
        return types.Position(at, n_units)

    def split(self, position: types.Position) -> tuple[str, str]:
        """The text before and after a position."""
        at, offset = self._locate(position)
        here, lines = self._lines[at], self._lines
        return "".join(map(str, lines[:at])) + here[:offset], here[offset:] + "".join(map(str, lines[at + 1 :]))

    def split_near(self, position: types.Position) -> tuple[str, str]:
        """The same, but only about WINDOW_CHARS on either side: the cost does not grow with the text.

        While one types in a line, the text before the cursor begins at the same place for at least WINDOW_CHARS keys.
        """
        at, offset = self._locate(position)
        lines, here = self._lines, self._lines[at]
        if offset > 2 * WINDOW_CHARS:
            start = (offset // WINDOW_CHARS - 1) * WINDOW_CHARS
            before = here[start:offset]
        else:
            before = "".join((*self._above(at, WINDOW_CHARS - offset), here[:offset]))
        below, n_missing = [here[offset : offset + WINDOW_CHARS]], WINDOW_CHARS - (len(here) - offset)
        while n_missing > 0 and (at := at + 1) < len(lines):
            below.append(lines[at][:WINDOW_CHARS])
            n_missing -= len(lines[at])
        return before, "".join(below)

    def _above(self, at: int, n_missing: int) -> list[str]:
        """The lines above line `at`, at least the given number of characters, up to the start of a block of lines."""
        above = list[str]()
        while at and (n_missing > 0 or at % BLOCK_LINES):
            at -= 1
            line = self._lines[at]
            above.insert(0, line[-WINDOW_CHARS:])
            n_missing -= len(line)
            if len(line) > WINDOW_CHARS:
                break
        return above
