"""Ends the server within two seconds of SIGTERM or of the end of its input, even if it can run no Python any more.

A thread in C code that keeps the interpreter's lock stops all Python code of its process, signal handlers included. So
a small process of its own watches: the server's signal handler in C writes each signal's number into a pipe, and the
system reports when the client has closed its end of standard input. The server then has GRACE_S to save what it has
learned and to end by itself. This process ends when the server does. Not on Windows: there SIGTERM ends a process at
once, and a closed input is noticed by the server alone.
"""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

GRACE_S = 1.6
"""After that the server is killed."""
RDHUP = getattr(select, "POLLRDHUP", 0)


def start(*, watches_input: bool) -> None:
    """Watch this process until it ends. From the main thread, before any signal handler counts."""
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
            start_new_session=True,  # a signal to the terminal's processes is not for this one
        ).returncode = 0  # nobody waits for it, and nobody is to be warned of that
    except OSError:  # the server works without it
        os.close(writing)
        return
    finally:
        os.close(reading)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)


def watch(reading: int, server: int) -> None:
    """Returns when the server has ended, or has been told to and has not: then it is killed."""
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    poll.register(sys.stdin.fileno(), RDHUP)
    while True:
        for descriptor, event in poll.poll():
            if descriptor != reading and event & (select.POLLHUP | RDHUP):
                poll.unregister(descriptor)
                return _end(poll, reading, server)
            if descriptor != reading:
                poll.unregister(descriptor)  # it cannot be watched
            elif not (numbers := os.read(reading, 1_000)):
                return None
            elif signal.SIGTERM in numbers:
                return _end(poll, reading, server)


def _end(poll: "select.poll", reading: int, server: int) -> None:
    """Wait until the server has closed its end of the pipe; then, or after GRACE_S, it ends."""
    end_s = time.monotonic() + GRACE_S
    while (left_s := end_s - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(left_s * 1_000):
            if descriptor == reading and not os.read(reading, 1_000):
                return
    os.kill(server, signal.SIGKILL)


if __name__ == "__main__":
    watch(int(sys.argv[1]), int(sys.argv[2]))
