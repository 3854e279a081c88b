"""The open documents as the client has them, line by line, and nothing else.

Lines end in \\n, \\r\\n or \\r, as LSP has it. (`str.splitlines` also ends them at a form feed, U+2028 and others; a
mirror kept with it is silently corrupted by the next edit below such a character.)
"""

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from lsprotocol import types

from tinycopilot.files import Reason, why_not_written
from tinycopilot.masking import has_private_key
from tinycopilot.secret_files import is_secret_place, is_secret_source
from tinycopilot_server.positions import to_offset, to_units

MAX_HELD_CHARS = 2_000_000
"""A longer document is completed, but not held: each key would cost too much."""

LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")


def split_lines(text: str) -> list[str]:
    """The lines of `text`, each with its end; the last has none, and is empty where the text ends with a line's end."""
    lines = LINE.findall(text)
    if not lines or lines[-1].endswith(("\r", "\n")):
        lines.append("")
    return lines


class Document:
    """One open document. An edit costs the lines that it touches; `split` joins the rest once, when it is asked."""

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
        self._lines = split_lines(text)
        self._is_secret_place = is_secret_place(Path(self.opened_as))
        self._is_written = why_not_written(Path(name).name, text) is not Reason.LONG_LINES

    def is_secret(self, text: str) -> bool:
        """Whether this, its text, must be neither held nor completed: by its name, or by a private key."""
        names = {PurePath(self.name).name, PurePath(self.opened_as).name}
        return self._is_secret_place or has_private_key(text) or any(is_secret_source(name, text) for name in names)

    def why_not_held(self, text: str) -> str:
        """Why this, its text, is not held though it is no secret; empty if it is. Lines count as it was opened."""
        if len(text) > MAX_HELD_CHARS:
            return f"it has more than {MAX_HELD_CHARS:,} characters"
        return "" if self._is_written else "its lines are too long for a person to have written it"

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self._lines)

    @property
    def line_end(self) -> str:
        """What ends its first line, or \\n."""
        first = self._lines[0]
        return first[len(first.rstrip("\r\n")) :] or "\n"

    def apply(self, changes: Sequence[types.TextDocumentContentChangeEvent], version: int) -> None:
        """The edits of one didChange, in their order: each is stated in terms of the text that the last one left."""
        for change in changes:
            if isinstance(change, types.TextDocumentContentChangePartial):
                self._replace(change.range, change.text)
            else:
                self._lines = split_lines(change.text)
        self.version = version

    def _replace(self, where: types.Range, text: str) -> None:
        (first, first_offset), (last, last_offset) = sorted((self._locate(where.start), self._locate(where.end)))
        # One line more on either side: an edit can join a \r before it with a \n after it, or part them.
        low, high = max(0, first - 1), min(len(self._lines), last + 2)
        head = "".join(self._lines[low:first]) + self._lines[first][:first_offset]
        tail = self._lines[last][last_offset:] + "".join(self._lines[last + 1 : high])
        lines = split_lines(head + text + tail)
        if high < len(self._lines) and lines[-1] == "":
            lines.pop()  # what follows begins a line of its own
        self._lines[low:high] = lines

    def _locate(self, position: types.Position) -> tuple[int, int]:
        """Line and offset of a position; what lies outside of the text is its end, or the line's."""
        if position.line >= len(self._lines):
            return len(self._lines) - 1, len(self._lines[-1])
        content = self._lines[position.line].rstrip("\r\n")
        return position.line, to_offset(content, position.character, self._encoding)

    def clamp(self, position: types.Position) -> types.Position:
        """The nearest position that the text has."""
        line, offset = self._locate(position)
        return types.Position(line, to_units(self._lines[line], offset, self._encoding))

    def split(self, position: types.Position) -> tuple[str, str]:
        """The text before and after a position."""
        line, offset = self._locate(position)
        here = self._lines[line]
        return "".join(self._lines[:line]) + here[:offset], here[offset:] + "".join(self._lines[line + 1 :])
