"""Files of the user's own, for their eyes alone; who reads one, even after a crash, finds the old or the new one."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tinycopilot.files import open_regular

LEFT_S = 600.0
"""What was half written so long ago is a killed process's."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write, with the mode 0600, that takes the place of `path` when all of it is on the disk.

    Folders are made where there are none. Raises OSError; then, and when the body raises, the old file is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _clear_up(path)
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


def open_own(path: Path) -> BinaryIO:
    """Open a file to read that `replacing` wrote. Raises OSError; PermissionError if it is another user's.

    On Windows, whose folders of a user are closed to others, the owner is not asked for.
    """
    file = open_regular(path, follow_link=True)
    if os.name == "posix" and os.fstat(file.fileno()).st_uid not in (os.geteuid(), 0):
        file.close()
        raise PermissionError("it belongs to another user")
    return file


def _clear_up(path: Path) -> None:
    """Remove what processes that were killed have left behind; what others write now, stays."""
    for left in path.parent.iterdir():
        if left.name.startswith(f".{path.name}."):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > LEFT_S:
                    left.unlink()
