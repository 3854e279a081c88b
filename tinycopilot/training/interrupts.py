"""Interrupts during a run: Ctrl-C, SIGTERM, SIGHUP, and the end of standard input when the parent process is gone."""

import _thread
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any


def interrupts_ignored() -> AbstractContextManager[None]:
    """Ignore SIGINT, SIGTERM and SIGHUP within the context, while a first one is handled."""
    return _handling(signal.SIG_IGN, signal.SIGINT, *_terminations())


def terminations_as_interrupt() -> AbstractContextManager[None]:
    """Treat the first SIGTERM (system shutdown, torchrun) or SIGHUP (closed terminal) as Ctrl-C within the context.

    Later ones are ignored: a closed terminal sends SIGHUP twice, by the system and by the shell.
    """

    def interrupt(*_: object) -> None:
        for number in terminations:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    terminations = _terminations()
    return _handling(interrupt, *terminations)


def _terminations() -> list[signal.Signals]:
    """Return SIGTERM, and SIGHUP if the system has it and it is not ignored, as under nohup."""
    if sys.platform == "win32" or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return [signal.SIGTERM]
    return [signal.SIGTERM, signal.SIGHUP]


@contextlib.contextmanager
def _handling(handler: Any, *numbers: signal.Signals) -> Iterator[None]:
    """Handle these signals by `handler`. Does nothing outside the main thread, where handlers cannot be installed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def interrupt_on_stdin_close() -> None:
    """From now on, treat the end of standard input as Ctrl-C.

    The parent process has the other end of the pipe. The system closes it when the parent ends, for whatever reason.
    """
    if sys.stdin is None:  # closed before the program started
        raise KeyboardInterrupt
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it
    threading.Thread(target=_interrupt_after, args=(sys.stdin.fileno(),), daemon=True).start()


def _interrupt_after(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(descriptor, 4096):  # not sys.stdin, whose lock would block the exit of the process
            pass
    _thread.interrupt_main()
