"""Lifetime: make the server exit with its client, within two seconds, even if it can no longer run Python code.

A thread in C code that holds the GIL blocks all Python code of its process, including signal handlers. So a small
process, the watchdog, runs this file as a script: the server's signal handler in C writes each signal's number into a
pipe, and the system reports when the client has closed its end of standard input. The server then has GRACE_S to save
what it has learned and to exit by itself. The watchdog exits when the server does. Not on Windows: there SIGTERM ends a
process at once, and only the server itself detects a closed input.

LSP also wants the server to exit when the client's process has ended, even if something keeps the pipe open. A thread
polls with signal 0, and /proc if available, which shows zombies and reused numbers. On Windows, where a signal would
end the client, it waits for the process's handle.
"""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

GRACE_S = 1.6
"""After this time the watchdog kills the server."""
RDHUP = getattr(select, "POLLRDHUP", 0)
POLL_S = 2.0
"""Interval at which the client's process is polled."""
SYNCHRONIZE, INFINITE = 0x00100000, 0xFFFFFFFF

Wait = Callable[[], None]


def start_watchdog(*, watches_input: bool) -> None:
    """Start the watchdog of this process. From the main thread, before any signal handler is installed."""
    if sys.platform == "win32":
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    command = [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(reading), str(os.getpid())]
    try:
        subprocess.Popen(
            command,
            stdin=None if watches_input else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[reading],
            start_new_session=True,  # signals to the terminal's process group do not reach it
        ).returncode = 0  # it is never waited for: suppresses the ResourceWarning
    except OSError:  # the server works without it
        os.close(writing)
        return
    finally:
        os.close(reading)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)


def watch_server(reading: int, server: int) -> None:
    """Run the watchdog: return when the server has closed its end of the pipe, which its exit does.

    GRACE_S after it should have, kill it.
    """
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    poll.register(sys.stdin.fileno(), RDHUP)
    end_s: float | None = None
    while end_s is None or time.monotonic() < end_s:
        for descriptor, event in poll.poll(None if end_s is None else 1_000 * max(0.0, end_s - time.monotonic())):
            if descriptor != reading:  # closed, or it cannot be watched
                poll.unregister(descriptor)
                should_exit = bool(event & (select.POLLHUP | RDHUP))
            elif numbers := os.read(reading, 1_000):
                should_exit = signal.SIGTERM in numbers
            else:
                return
            if should_exit and end_s is None:
                end_s = time.monotonic() + GRACE_S
    os.kill(server, signal.SIGKILL)


def watch_client(pid: int | None, on_end: Callable[[], None]) -> threading.Thread | None:
    """Call `on_end`, in a separate thread, when the process `pid` has ended; return that thread.

    Returns None if there is nothing to watch: `pid` is None or our own, or the process is not visible, such as a
    client outside of this container.
    """
    if pid is None or pid <= 0 or pid == os.getpid() or (wait := waiting_for(pid)) is None:
        return None

    def run() -> None:
        wait()
        on_end()

    thread = threading.Thread(target=run, name="client process", daemon=True)
    thread.start()
    return thread


def waiting_for(pid: int) -> Wait | None:
    """Return a function that blocks until the process has ended; None if it does not exist."""
    if sys.platform == "win32":
        return _by_handle(pid)
    if (began := start_time(pid)) is None:
        return None

    def wait() -> None:
        while start_time(pid) == began:
            time.sleep(POLL_S)

    return wait


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


def start_time(pid: int) -> str | None:
    """Return the start time of a process in the system's format, "" if unknown; None if it has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:  # the process belongs to another user
        pass
    try:
        # After the name, which may contain anything: the fields from the third on, the state (proc(5)).
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return ""
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()


if __name__ == "__main__":
    watch_server(int(sys.argv[1]), int(sys.argv[2]))
