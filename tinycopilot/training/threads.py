"""Choose the number of PyTorch threads on a CPU: at most the number of cores that other programs leave idle.

Threads wait for each other after each matrix product, and spin meanwhile. If another program delays one, all are
delayed: with one other busy process on two cores, two threads were nearly four times slower than on an idle machine,
while one thread was as fast as before. Figures for a higher load are in benchmarks/LOG.md.
"""

import os
import time
from collections.abc import Callable

import torch

from tinycopilot.process import usable_cores
from tinycopilot.training.log import LogInterval
from tinycopilot.training.observers import Observer

CHECK_S = 60.0
"""The system's load is an average over a minute."""


def thread_tuners(device: torch.device) -> list[Observer]:
    """A ThreadTuner, if the network is trained on the CPU."""
    return [ThreadTuner()] if device.type == "cpu" else []


def threads_for_load(n_cores: int, others_load: float, most: int) -> int:
    """Return how many of `n_cores` are free if other programs use `others_load` of them: 1 to `most`."""
    return max(1, min(most, round(n_cores - others_load)))


class ThreadTuner(Observer):
    """Sets PyTorch's number of threads now, and after intervals as the load changes; at most the initial number."""

    def __init__(self, load: Callable[[], float] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """`load` returns the number of running or waiting processes, this one's threads included."""
        self._most = torch.get_num_threads()
        self._clock, self._checked_at = clock, clock()
        self._load = load or (lambda: os.getloadavg()[0])
        self._choose(own=0)  # this process has been busy for a second or two at most

    def on_interval(self, interval: LogInterval) -> None:  # noqa: ARG002
        """Choose again, if the load average reflects the last choice by now."""
        if self._clock() - self._checked_at >= CHECK_S:
            self._checked_at = self._clock()
            self._choose(own=torch.get_num_threads())

    def _choose(self, own: int) -> None:
        if self._most == 1:
            return
        try:
            others = max(0.0, self._load() - own)
        except (AttributeError, OSError):  # Windows has no load average
            return
        threads = threads_for_load(usable_cores(), others, self._most)
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)
