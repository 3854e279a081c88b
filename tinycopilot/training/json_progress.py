"""Progress for programs: one JSON object per line, on standard output (`--progress json`)."""

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
"""Minimum time between lines, except where a stage starts or ends."""


class JsonProgress(Observer):
    """Prints the `stage` (reading, training, measuring, done) and its finished `share`, 0 to 1.

    While training also `bits`, the loss per character, and `minutes_left`; null until known.
    """

    def __init__(self, write: Callable[[str], None] | None = lambda line: print(line, flush=True)) -> None:  # noqa: T201
        """`write` prints a line; None: nothing is printed."""
        self._write = write
        self._printed_s = -math.inf
        self._n_chars = self._n_total = self._n_first = 0
        self._started_s = 0.0
        self._bits: float | None = None

    def say(self, stage: str, share: float, **more: Any) -> None:
        """Print one line; NaN is null."""
        if self._write is None:
            return
        known = {
            name: None if isinstance(value, float) and math.isnan(value) else value for name, value in more.items()
        }
        self._write(json.dumps({"stage": stage, "share": round(share, 4), **known}))
        self._printed_s = time.monotonic()

    def say_if_due(self, stage: str, share: float, **more: Any) -> None:
        """Print a line if the last one is at least EVERY_S old."""
        if time.monotonic() - self._printed_s >= EVERY_S:
            self.say(stage, share, **more)

    def start(self, schedule: Schedule, n_chars_done: int = 0) -> None:
        """Training starts; a resumed run has read `n_chars_done` before."""
        self._n_total, self._n_chars, self._n_first = schedule.n_chars, n_chars_done, n_chars_done
        self._started_s = time.monotonic()
        self.say("training", n_chars_done / schedule.n_chars, bits=None, minutes_left=None)

    def on_schedule(self, schedule: Schedule) -> None:
        """Set the new total."""
        self._n_total = schedule.n_chars

    def on_step(self, loss: Tensor, n_chars: int) -> None:  # noqa: ARG002
        """Count the step. The loss is not read, which would wait for a GPU."""
        self._n_chars += n_chars
        n_read, seconds = self._n_chars - self._n_first, time.monotonic() - self._started_s
        left = round(max(0, self._n_total - self._n_chars) * seconds / n_read / 60, 2) if n_read > 0 else None
        self.say_if_due("training", min(1.0, self._n_chars / self._n_total), bits=self._bits, minutes_left=left)

    def on_interval(self, interval: LogInterval) -> None:
        """Correct the count after a rollback."""
        self._n_chars, self._bits = interval.chars, round(interval.bits, 4)
