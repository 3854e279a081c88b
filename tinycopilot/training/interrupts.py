"""What ends a run before its end: Ctrl-C, a request of the system, or the program that it works for being gone."""

import _thread
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def interrupts_ignored() -> Iterator[None]:
    """A second Ctrl-C does not keep the first one from being seen to."""
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
    """A request to end (SIGTERM: a system that shuts down, torchrun) stops a run as Ctrl-C does."""

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
    """From now on the end of standard input stops this process as Ctrl-C does.

    Whoever started it holds the other end: it is closed when nobody wants the result any more, and the system closes it
    when they are gone, however they went, on every system.
    """
    if sys.stdin is None:  # it was closed from the first
        raise KeyboardInterrupt
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    threading.Thread(target=_interrupt_after, args=(sys.stdin.fileno(),), daemon=True).start()


def _interrupt_after(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(descriptor, 4096):  # not through sys.stdin, whose lock would keep the process from ending
            pass
    _thread.interrupt_main()
