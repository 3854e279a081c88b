"""Write an HTML page atomically; it may replace only pages that tinycopilot wrote earlier."""

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path

from tinycopilot import UserError
from tinycopilot.atomic import atomic_write

SUFFIXES = (".html", ".htm")
MARKS = (b'<meta name="generator" content="tinycopilot">', b"content=\"default-src 'none'; style-src 'unsafe-inline'\"")
"""The beginning of each page contains one of these; the second is that of version 0.1."""


def check_replaceable(path: Path) -> None:
    """Raise UserError if the file exists and is not a page of tinycopilot; OSError if it is unreadable."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        start = file.read(1_000)
    if start and not any(mark in start for mark in MARKS):
        raise UserError(f"{path}: exists and is not a tinycopilot report; use another name, or move it")


def check_page(path: Path, flag: str) -> None:
    """Check, before any work is done, that a page can be written to `path`, which `flag` names. Raises UserError."""
    try:
        if path.suffix.lower() not in SUFFIXES:  # with a word missing, `--report a.py b.py` would overwrite a.py
            raise OSError(errno.EINVAL, "the name does not end in .html")
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(path.stat().st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        check_replaceable(path)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UserError(f"{path}: cannot write a report there ({error.strerror}); use another {flag}") from None


def write_page(path: Path, html: str, what: str = "report", *, is_private: bool = False) -> None:
    """Write `html` to `path`, atomically. Raises UserError if it can't be written; then the old file is unchanged."""
    try:
        check_replaceable(path)
        with atomic_write(path, is_private=is_private) as file:
            file.write(html.encode())
    except OSError as error:
        raise UserError(
            f"{path}: cannot write the {what} ({error.strerror}); free some space, or make it writable"
        ) from None
