"""The client's process: LSP wants the server to exit when it has ended, even if something keeps the pipe open.

The system is asked to wake one thread at that moment, so watching costs no processor time: pidfd_open(2) and poll(2) on
Linux, kqueue(2) on macOS and the BSDs, WaitForSingleObject on Windows. Each refers to the process itself: it counts a
zombie as ended, and another process that gets the same number later is not taken for it.
"""

import contextlib
import logging
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

POLL_S = 10.0
"""Where the system can only be asked whether there is a process of that number."""
SYNCHRONIZE, INFINITE = 0x00100000, 0xFFFFFFFF

log = logging.getLogger(__name__)

Wait = Callable[[], None]


def watch(pid: int | None, on_end: Callable[[], None]) -> threading.Thread | None:
    """Call `on_end` in a thread of its own when the process `pid` has ended.

    Returns that thread; None where there is nothing to watch: no number was given, it is our own, or no such process is
    visible from here, as in a container whose client is outside of it.
    """
    if pid is None or pid <= 0 or pid == os.getpid() or (wait := waiting_for(pid)) is None:
        return None

    def run() -> None:
        wait()
        log.info("the client's process has ended")
        on_end()

    thread = threading.Thread(target=run, name="client process", daemon=True)
    thread.start()
    return thread


def waiting_for(pid: int) -> Wait | None:
    """Return what blocks until the process has ended; None if there is no such process."""
    if sys.platform == "win32":
        return _by_handle(pid)
    with contextlib.suppress(OSError, AttributeError):  # an old kernel, or a filter of system calls
        return _by_pidfd(pid) if sys.platform == "linux" else _by_kqueue(pid)
    return polling(pid)


def _by_pidfd(pid: int) -> Wait | None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    poll = select.poll()
    poll.register(handle, select.POLLIN)

    def wait() -> None:
        poll.poll()
        os.close(handle)

    return wait


def _by_kqueue(pid: int) -> Wait | None:
    queue = select.kqueue()  # type: ignore[attr-defined,unused-ignore]
    flags = {"filter": select.KQ_FILTER_PROC, "flags": select.KQ_EV_ADD, "fflags": select.KQ_NOTE_EXIT}  # type: ignore[attr-defined,unused-ignore]
    try:
        queue.control([select.kevent(pid, **flags)], 0)  # type: ignore[attr-defined,unused-ignore]
    except ProcessLookupError:
        return None
    return lambda: queue.control(None, 1) and queue.close()


def _by_handle(pid: int) -> Wait | None:
    import ctypes  # noqa: PLC0415 (for Windows alone)

    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined]
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel.OpenProcess(SYNCHRONIZE, False, pid))
    if not handle:
        return None

    def wait() -> None:
        kernel.WaitForSingleObject(handle, INFINITE)  # ctypes lets other threads run meanwhile
        kernel.CloseHandle(handle)

    return wait


def polling(pid: int, poll_s: float = POLL_S) -> Wait | None:
    """The same with nothing but signal 0, and /proc where there is one: it tells zombies, and numbers used again."""
    if (began := _began(pid)) is None:
        return None

    def wait() -> None:
        while _began(pid) == began:
            time.sleep(poll_s)

    return wait


def _began(pid: int) -> str | None:
    """When the process began, in the system's words, or empty if it does not say; None: it has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:  # it is another user's
        pass
    try:
        # After the name, which may contain anything: the fields from the third on, the state (proc(5)).
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return ""
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()
