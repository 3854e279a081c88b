"""The process: memory usage, returning freed memory, current folder, usable cores, and garbage collection."""

import contextlib
import ctypes
import gc
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tinycopilot import UserError

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
"""glibc's malloc.h."""
MIN_MAPPED_BYTES = 1 << 20
"""Returning smaller blocks saves 2 MB more, at the price of page faults."""


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


def return_freed_memory() -> None:
    """Make glibc return each freed block of MIN_MAPPED_BYTES or more to the system. Call it before threads are started.

    By default, glibc raises this limit to the size of the largest block freed so far, up to 32 MB, and each thread
    has its own heap (mallopt(3)). Then what loading and indexing have freed stays with the process: 20 MB.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, MIN_MAPPED_BYTES)
        libc.mallopt(M_ARENA_MAX, 1)


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
