"""A process's memory usage, from /proc; the current folder; usable cores; imports without garbage collection."""

import contextlib
import gc
import os
import re
from collections.abc import Iterator
from pathlib import Path

from tinycopilot import UserError


def memory_bytes(field: str = "VmRSS", pid: int | str = "self", file: str = "status") -> int | None:
    """Return a field of /proc/PID/status, or of another `file` there, in bytes; None if not available.

    VmRSS is the resident memory, VmHWM its peak (proc(5)).
    """
    try:
        text = Path(f"/proc/{pid}/{file}").read_text()
    except OSError:
        return None
    found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def working_folder() -> str:
    """Return the current folder. Raises UserError if it was deleted, in which PyTorch does not load."""
    try:
        return os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        raise UserError("the current folder no longer exists; change to another one") from None


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no such limit
        return os.cpu_count() or 1


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Disable garbage collection while modules are imported; later collections skip the objects that exist by then.

    The server's modules create 100,000 objects. A full collection traverses them in 80 ms, and blocks everything else.
    """
    gc.unfreeze()
    gc.collect()  # the garbage of earlier imports
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
