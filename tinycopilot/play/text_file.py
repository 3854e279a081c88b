"""TextFile: a file that is edited. It is read once, and written only when that is asked for, whole or not at all."""

import codecs
import contextlib
import os
import re
import stat
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from tinycopilot import UserError
from tinycopilot.files import MAX_BYTES, read_source
from tinycopilot.secret_files import is_secret_place, is_secret_source

LINE_END = re.compile(r"(\r\n|\r|\n)")


class TextFile:
    """A text with its line ends as `\\n`, and a place for it; what the file had instead comes back when it is saved."""

    def __init__(self, path: Path) -> None:
        """The file may be a new one. Raises UserError, one line, where it is none that can be edited."""
        if is_secret_place(path) or (not path.exists() and is_secret_source(path.name, "")):
            raise UserError(f"{path}: by its name or folder a file of keys or passwords, which is never read")
        self.path = path
        self._target = Path(os.path.realpath(path))  # a link stays a link
        self._stamp = _stamp(self._target)
        pieces = LINE_END.split(_read(path) if self._stamp else _nothing_yet(path))
        self._has_mark = self._stamp is not None and _begins_with_mark(path)
        self._lines, self._ends = pieces[::2], [*pieces[1::2], ""]

    @property
    def text(self) -> str:
        """What was read, or saved since."""
        return "\n".join(self._lines)

    def save(self, text: str) -> None:
        """Write it: a reader, or a crash, sees the old file or the new one. Raises UserError, one line.

        Where somebody else has changed the file, that is said first; saving once more then replaces it.
        """
        lines, ends = text.split("\n"), self._ends_for(text.split("\n"))
        data = _encoded("".join(line + end for line, end in zip(lines, ends, strict=True)))
        try:
            stamp, self._stamp = self._stamp, _stamp(self._target)
            if stamp != self._stamp:
                raise UserError("not saved: another program has changed the file; save again to replace that")
            _write_atomically(self._target, codecs.BOM_UTF8 * self._has_mark + data)
            self._stamp = _stamp(self._target)
        except OSError as error:
            raise UserError(f"not saved: {error.strerror}") from None
        self._lines, self._ends = lines, ends

    def _ends_for(self, lines: Sequence[str]) -> list[str]:
        """The end of each line: its own as far as the file begins and ends as before, else the one that is usual."""
        usual = Counter(end for end in self._ends if end).most_common(1)
        n_both = min(len(lines), len(self._lines))
        head = _n_same(lines, self._lines)
        tail = min(_n_same(lines[::-1], self._lines[::-1]), n_both - head)
        ends = self._ends[:head] + [""] * (len(lines) - head - tail) + self._ends[len(self._ends) - tail :]
        return [end or (usual[0][0] if usual else "\n") for end in ends[:-1]] + [""]


def _read(path: Path) -> str:
    """The text with its line ends. Raises UserError."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise UserError(f"{path}: a folder; name a file in it (--workspace takes a folder)")
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path}: no file that can be edited; name a text file")
    if status.st_size > MAX_BYTES:
        raise UserError(f"{path}: over {MAX_BYTES // 1_000_000} MB, too large to be edited here; name a smaller file")
    return read_source(path, as_it_is=True)


def _nothing_yet(path: Path) -> str:
    """The text of a new file. Raises UserError where there can be none."""
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}; make it, or check the path")
    return ""


def _begins_with_mark(path: Path) -> bool:
    """Whether a file has a byte order mark, which some Windows programs write."""
    with path.open("rb") as file:
        return file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8


def _encoded(text: str) -> bytes:
    """The text in UTF-8. Raises UserError for a broken character, as a terminal may send it."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        line = len(LINE_END.findall(text[: error.start])) + 1
        raise UserError(f"not saved: a broken character in line {line}; delete it") from None


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What tells whether a file is still the same; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _write_atomically(path: Path, data: bytes) -> None:
    """Raises OSError; then the old file is as it was."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            if path.exists():
                temporary.chmod(stat.S_IMODE(path.stat().st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _n_same(some: Sequence[str], others: Sequence[str]) -> int:
    """With how many lines both begin."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(some, others, strict=False)))
