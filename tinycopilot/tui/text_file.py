"""TextFile: an edited file, read once and saved atomically with its original encoding and line endings."""

import codecs
import os
import re
import stat
from pathlib import Path

from tinycopilot import UserError
from tinycopilot.atomic import atomic_write
from tinycopilot.files.left_out import MAX_BYTES
from tinycopilot.files.reading import read_source
from tinycopilot.files.secret_files import is_secret_place, is_secret_source

ENCODINGS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
"""Byte order mark -> encoding. A file without one is UTF-8."""
LINE_END = re.compile(r"\r\n|\r|\n")
MAX_LINE_CHARS = 20_000
"""In longer lines, drawing takes half a second or more after each key."""


class TextFile:
    """The text of a file, with line ends as `\\n`; its own line ends and encoding are restored when it is saved.

    If its line ends differ, only `\\n` is one, and each `\\r` stays in the text, as in Vim.
    """

    def __init__(self, path: Path) -> None:
        """The file may be new. Raises UserError if it cannot be edited."""
        if is_secret_place(path) or (not path.exists() and is_secret_source(path.name, "")):
            raise UserError(f"{path}: probably a secret file, so it is never read")
        self.path = path
        self._target = Path(os.path.realpath(path))  # a link stays a link
        self._stamp = _stamp(self._target)
        if not self._stamp and not path.parent.is_dir():
            raise UserError(f"{path}: folder {path.parent} not found; create it, or check the path")
        self._mark, text = _read(path) if self._stamp else (b"", "")
        ends = set(LINE_END.findall(text))
        self._end = ends.pop() if len(ends) == 1 else "\n"
        self.text = text.replace(self._end, "\n")
        """The text as read or last saved."""
        if max(map(len, self.text.split("\n"))) > MAX_LINE_CHARS:
            raise UserError(f"{path}: a line over {MAX_LINE_CHARS:,} characters, too long for play; use another file")

    def save(self, text: str) -> None:
        """Save atomically. Raises UserError.

        If another program has changed the file, the first call raises, and the second overwrites it.
        """
        try:
            data = self._mark + text.replace("\n", self._end).encode(ENCODINGS.get(self._mark, "utf-8"))
        except UnicodeEncodeError as error:  # a surrogate, which a terminal may send
            line = error.object[: error.start].count(self._end) + 1
            raise UserError(f"not saved: a broken character in line {line}; delete it") from None
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
        self.text = text


def _read(path: Path) -> tuple[bytes, str]:
    """Return the byte order mark, which some Windows programs write, and the text as it is. Raises UserError."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder; use a file in it (--workspace takes a folder)")
    text = read_source(path, as_it_is=True, max_bytes=MAX_BYTES)
    with path.open("rb") as file:
        mark = next(filter(file.read(3).startswith, ENCODINGS), b"")
    return mark, text


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return a value that identifies the version of a file; None if it does not exist."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
