"""Open a regular file for reading, without blocking."""

import errno
import io
import os
import stat
from pathlib import Path


class NotRegularError(OSError):
    """A link, pipe, socket or device instead of a regular file."""


def open_regular(path: Path | str, *, follow_link: bool = False) -> io.BufferedReader:
    """Open a regular file for reading, without blocking. Raises OSError.

    A pipe or device is not opened, because that can block or have side effects. If the file was replaced by one
    meanwhile, it is closed again.
    """
    _check_regular(os.stat(path, follow_symlinks=follow_link))  # noqa: PTH116
    flags = os.O_RDONLY
    for name in ("O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY", "O_BINARY", *(() if follow_link else ("O_NOFOLLOW",))):
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
