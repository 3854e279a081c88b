"""SIGTERM and a closed terminal end a run as Ctrl-C does."""

import signal
from collections.abc import Iterator

import pytest

from tinycopilot.training.interrupts import interrupts_ignored, terminations_as_interrupt

SIGHUP = getattr(signal, "SIGHUP", None)
NUMBERS = [signal.SIGTERM, *([SIGHUP] if SIGHUP else [])]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        assert signal.signal(number, handler) is handler


@pytest.mark.parametrize("number", NUMBERS)
def test_first_termination_interrupts_and_later_ones_do_not_disturb_the_cleanup(number: signal.Signals) -> None:
    is_clean = False
    with pytest.raises(KeyboardInterrupt), terminations_as_interrupt():
        try:
            signal.raise_signal(number)
        finally:
            for later in NUMBERS:
                signal.raise_signal(later)
            is_clean = True
    assert is_clean


@pytest.mark.skipif(SIGHUP is None, reason="no SIGHUP on Windows")
def test_ignored_hangup_stays_ignored() -> None:
    """As under nohup."""
    before = signal.signal(SIGHUP, signal.SIG_IGN)
    try:
        with terminations_as_interrupt(), interrupts_ignored():
            signal.raise_signal(SIGHUP)
    finally:
        assert signal.signal(SIGHUP, before) is signal.SIG_IGN


def test_all_are_ignored_while_a_first_one_is_handled() -> None:
    with interrupts_ignored():
        for number in (signal.SIGINT, *NUMBERS):
            signal.raise_signal(number)
