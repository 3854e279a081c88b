"""TextFile: an edited file, read once and saved atomically with its original encoding and line endings."""

import codecs
import os
import re
import stat
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from tinycopilot import UserError
from tinycopilot.atomic import atomic_write
from tinycopilot.files.left_out import MAX_BYTES
from tinycopilot.files.reading import read_source
from tinycopilot.files.secret_files import is_secret_place, is_secret_source

ENCODINGS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
"""Byte order mark -> encoding. A file without one is UTF-8."""
LINE_END = re.compile(r"(\r\n|\r|\n)")
MAX_LINE_CHARS = 20_000
"""In longer lines, drawing takes half a second or more after each key."""


class TextFile:
    """The text of a file, with line ends as `\\n`; its own line ends and encoding are restored when it is saved."""

    def __init__(self, path: Path) -> None:
        """The file may be new. Raises UserError if it cannot be edited."""
        if is_secret_place(path) or (not path.exists() and is_secret_source(path.name, "")):
            raise UserError(f"{path}: probably a secret file, so it is never read")
        self.path = path
        self._target = Path(os.path.realpath(path))  # a link stays a link
        self._stamp = _stamp(self._target)
        pieces = LINE_END.split(_read(path) if self._stamp else _nothing_yet(path))
        self._mark = _mark_of(path) if self._stamp else b""
        self._lines, self._ends = pieces[::2], [*pieces[1::2], ""]

    @property
    def text(self) -> str:
        """The text as read or last saved."""
        return "\n".join(self._lines)

    def save(self, text: str) -> None:
        """Save atomically. Raises UserError.

        If another program has changed the file, the first call raises, and the second overwrites it.
        """
        lines, ends = text.split("\n"), self._ends_for(text.split("\n"))
        data = _encoded("".join(line + end for line, end in zip(lines, ends, strict=True)), self._mark)
        try:
            if self._target.exists() and not self._target.stat().st_mode & stat.S_IWUSR:
                raise UserError("not saved: the file is read-only; make it writable first")
            stamp, self._stamp = self._stamp, _stamp(self._target)
            if stamp != self._stamp:
                raise UserError("not saved: another program changed the file; save again to overwrite it")
            with atomic_write(self._target, is_private=False) as file:
                file.write(data)
            self._stamp = _stamp(self._target)
        except OSError as error:
            raise UserError(f"not saved: {error.strerror}") from None
        self._lines, self._ends = lines, ends

    def _ends_for(self, lines: Sequence[str]) -> list[str]:
        """Return the end of each line: its own in the unchanged head and tail, else the most common one."""
        usual = Counter(end for end in self._ends if end).most_common(1)
        n_both = min(len(lines), len(self._lines))
        head = _n_common(lines, self._lines)
        tail = min(_n_common(lines[::-1], self._lines[::-1]), n_both - head)
        ends = self._ends[:head] + [""] * (len(lines) - head - tail) + self._ends[len(self._ends) - tail :]
        ends = [end or (usual[0][0] if usual else "\n") for end in ends[:-1]] + [""]
        for i, line in enumerate(lines[1:]):
            if ends[i] == "\r" and line + ends[i + 1] == "\n":
                ends[i] = "\r\n"  # otherwise, both would be read as one line end
        return ends


def _read(path: Path) -> str:
    """Return the text with its line ends. Raises UserError."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise UserError(f"{path}: is a folder; use a file in it (--workspace takes a folder)")
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path}: not a regular file; use a text file")
    if status.st_size > MAX_BYTES:
        raise UserError(f"{path}: over {MAX_BYTES // 1_000_000} MB, too large for play; use a smaller file")
    text = read_source(path, as_it_is=True)
    if max(map(len, LINE_END.split(text))) > MAX_LINE_CHARS:
        raise UserError(f"{path}: a line over {MAX_LINE_CHARS:,} characters, too long for play; use another file")
    return text


def _nothing_yet(path: Path) -> str:
    """Return the text of a new file. Raises UserError if its folder does not exist."""
    if not path.parent.is_dir():
        raise UserError(f"{path}: folder {path.parent} not found; create it, or check the path")
    return ""


def _mark_of(path: Path) -> bytes:
    """Return the byte order mark of a file, which some Windows programs write; empty if there is none."""
    with path.open("rb") as file:
        start = file.read(max(map(len, ENCODINGS)))
    return next(filter(start.startswith, ENCODINGS), b"")


def _encoded(text: str, mark: bytes) -> bytes:
    """Encode the text after its mark. Raises UserError for a surrogate, which a terminal may send."""
    try:
        return mark + text.encode(ENCODINGS.get(mark, "utf-8"))
    except UnicodeEncodeError as error:
        line = len(LINE_END.findall(text[: error.start])) + 1
        raise UserError(f"not saved: a broken character in line {line}; delete it") from None


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return a value that identifies the version of a file; None if it does not exist."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _n_common(some: Sequence[str], alternatives: Sequence[str]) -> int:
    """Return the number of common leading lines."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(some, alternatives, strict=False)))
