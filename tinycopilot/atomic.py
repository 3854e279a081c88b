"""Private files (mode 0600), replaced atomically: a reader sees the old file or the new one, even after a crash."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tinycopilot.files import open_regular

ABANDONED_AFTER_S = 600.0
"""Temporary files older than this were left by killed processes, and are removed."""


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Return a file to write (mode 0600) that replaces `path` once it is complete and flushed to the disk.

    Creates missing folders. If the body raises, or on OSError, the old file is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _remove_abandoned(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # with that mode
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


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
    for left in path.parent.iterdir():
        if left.name.startswith(f".{path.name}."):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > ABANDONED_AFTER_S:
                    left.unlink()
