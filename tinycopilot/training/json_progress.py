"""What a program is told while a network learns: one JSON object a line, on standard output (`--progress json`)."""

import json
import math
import time
from collections.abc import Callable
from typing import Any

from torch import Tensor

from tinycopilot.training.log import LogInterval
from tinycopilot.training.observer import Observer
from tinycopilot.training.schedule import Schedule

EVERY_S = 1.0
"""At most one line in so long, but where a stage begins or ends."""


class JsonProgress(Observer):
    """A line for each stage that begins and, while it goes on, `share`: how much of this stage is done, 0 to 1.

    While it learns also `bits`, per character of the text it learned from last, and `minutes_left`; null until known.
    """

    def __init__(self, write: Callable[[str], None] = lambda line: print(line, flush=True)) -> None:  # noqa: T201
        self._write = write
        self._said_s = -math.inf
        self._n_chars = self._n_planned = self._n_first = 0
        self._began_s = 0.0
        self._bits: float | None = None

    def say(self, stage: str, share: float, **more: Any) -> None:
        """One line; what is no number is null, which JSON has."""
        known = {
            name: None if isinstance(value, float) and math.isnan(value) else value for name, value in more.items()
        }
        self._write(json.dumps({"stage": stage, "share": round(share, 4), **known}))
        self._said_s = time.monotonic()

    def say_now_and_then(self, stage: str, share: float, **more: Any) -> None:
        """The same, if the last line was long enough ago."""
        if time.monotonic() - self._said_s >= EVERY_S:
            self.say(stage, share, **more)

    def start(self, schedule: Schedule, n_chars_done: int = 0) -> None:
        """The first step comes next; of the run, so many characters were read before."""
        self._n_planned, self._n_chars, self._n_first = schedule.n_chars, n_chars_done, n_chars_done
        self._began_s = time.monotonic()
        self.say("training", n_chars_done / schedule.n_chars, bits=None, minutes_left=None)

    def on_schedule(self, schedule: Schedule) -> None:
        """How long it will be is known better."""
        self._n_planned = schedule.n_chars

    def on_step(self, loss: Tensor, n_chars: int) -> None:  # noqa: ARG002
        """Count it. (The loss is left alone: a GPU would have to be waited for.)"""
        self._n_chars += n_chars
        share = min(1.0, self._n_chars / self._n_planned)
        self.say_now_and_then("training", share, bits=self._bits, minutes_left=self._minutes_left())

    def on_interval(self, interval: LogInterval) -> None:
        """What was read and then rolled back does not count."""
        self._n_chars, self._bits = interval.chars, round(interval.bits, 4)

    def _minutes_left(self) -> float | None:
        n_read, seconds = self._n_chars - self._n_first, time.monotonic() - self._began_s
        return round(max(0, self._n_planned - self._n_chars) * seconds / n_read / 60, 2) if n_read > 0 else None
