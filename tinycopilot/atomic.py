"""Write files atomically (a reader sees the old file or the new one, even after a crash); open only regular files."""

import contextlib
import errno
import io
import os
import stat
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

ABANDONED_AFTER_S = 600.0
"""Temporary files older than this were left by killed processes, and are removed."""
REPLACE_WAITS_S = (0.01, 0.03, 0.1, 0.3)
"""On Windows: the times to wait before replacing a file again, in turn."""


@contextlib.contextmanager
def atomic_write(path: Path, *, is_private: bool = True) -> Iterator[BinaryIO]:
    """Return a file to write that replaces `path` once it is complete and flushed to the disk.

    A private file has mode 0600, and its missing folders are created. Any other keeps the mode of the file that it
    replaces; a new one has the user's default. If the body raises, or on OSError, the old file is unchanged.
    """
    if is_private:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _remove_abandoned(path)
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    try:
        with open(temporary, "xb", opener=partial(os.open, mode=0o600 if is_private else 0o666)) as file:
            if not is_private and path.exists():
                temporary.chmod(stat.S_IMODE(path.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        replace_file(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def replace_file(new: Path, path: Path) -> None:
    """Move `new` to `path`, which may exist. Raises OSError.

    On Windows, this fails while another process has either file open, such as a virus scanner, or a server that reads
    it: then it is tried again.
    """
    for wait_s in REPLACE_WAITS_S if os.name == "nt" else ():
        with contextlib.suppress(PermissionError):
            new.replace(path)
            return
        time.sleep(wait_s)
    new.replace(path)


class NotRegularError(OSError):
    """A link, pipe, socket or device instead of a regular file."""


def open_regular(path: Path | str, *, follow_link: bool = False) -> io.BufferedReader:
    """Open a regular file for reading, without blocking. Raises OSError.

    A pipe or device is not opened, because that can block or have side effects. If the file was replaced by one
    meanwhile, it is closed again.
    """
    _check_regular(os.stat(path, follow_symlinks=follow_link))  # noqa: PTH116
    flags = os.O_RDONLY
    for name in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY", *(() if follow_link else ("O_NOFOLLOW",))):
        flags |= getattr(os, name, 0)
    descriptor = os.open(path, flags)
    try:
        _check_regular(os.fstat(descriptor))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularError(errno.EINVAL, "not a regular file")


def open_owned(path: Path) -> BinaryIO:
    """Open for reading a file that `atomic_write` wrote. Raises OSError; PermissionError if another user owns it.

    On Windows, where a user's folders are closed to others, the owner is not checked.
    """
    file = open_regular(path, follow_link=True)
    if os.name == "posix" and os.fstat(file.fileno()).st_uid not in (os.geteuid(), 0):
        file.close()
        raise PermissionError("it belongs to another user")
    return file


def _remove_abandoned(path: Path) -> None:
    """Remove temporary files that killed processes left; those that are being written now stay."""
    with contextlib.suppress(OSError):
        for left in path.parent.iterdir():
            is_ours = left.name.startswith(f".{path.name}.") and left.name.endswith(".part")
            if is_ours and time.time() - left.stat().st_mtime > ABANDONED_AFTER_S:
                left.unlink()
