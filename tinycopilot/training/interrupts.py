"""Interrupts of a run: Ctrl-C, SIGTERM, and the end of standard input when the parent process is gone."""

import _thread
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Ignore SIGINT and SIGTERM within the context, while a first one is handled."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM (system shutdown, torchrun) as Ctrl-C within the context."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def interrupt_on_stdin_close() -> None:
    """From now on, treat the end of standard input as Ctrl-C.

    The parent process has the other end of the pipe. The system closes it when the parent ends, for whatever reason.
    """
    if sys.stdin is None:  # closed from the start
        raise KeyboardInterrupt
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it
    threading.Thread(target=_interrupt_after, args=(sys.stdin.fileno(),), daemon=True).start()


def _interrupt_after(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(descriptor, 4096):  # not sys.stdin, whose lock would block the exit of the process
            pass
    _thread.interrupt_main()
