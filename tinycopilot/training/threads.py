"""How many threads PyTorch trains with on a CPU: no more than there are processors that nothing else is using.

Two training threads wait for each other after each product of matrices. If another program holds one of them up, both
stand still, and PyTorch's threads use up the processor while they wait: with one other busy process on two cores, two
threads were nearly four times as slow as on an idle machine, where one thread lost nothing (benchmarks/LOG.md).
"""

import os
import time
from collections.abc import Callable

import torch

from tinycopilot.process import usable_cores
from tinycopilot.training.log import LogInterval
from tinycopilot.training.observer import Observer

CHECK_S = 60.0
"""The load is an average over a minute."""


def threads_for_load(n_cores: int, others_load: float, most: int) -> int:
    """How many of `n_cores` processors are left by programs that keep `others_load` of them busy: 1 to `most`."""
    return max(1, min(most, round(n_cores - others_load)))


class ThreadTuner(Observer):
    """Sets PyTorch's number of threads now and, as the load changes, after blocks; never more than there are now."""

    def __init__(self, load: Callable[[], float] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """`load`: how many processes run or wait for a processor, this one's threads included."""
        self._most = torch.get_num_threads()
        self._clock, self._checked_at = clock, clock()
        self._load = load or (lambda: os.getloadavg()[0])
        self._choose(own=0)  # until now this process has kept a processor busy for a second or two at most

    def on_interval(self, interval: LogInterval) -> None:  # noqa: ARG002
        """Choose again, if the last choice is long enough ago for the load to show it."""
        if self._clock() - self._checked_at >= CHECK_S:
            self._checked_at = self._clock()
            self._choose(own=torch.get_num_threads())

    def _choose(self, own: int) -> None:
        if self._most == 1:
            return
        try:
            others = max(0.0, self._load() - own)
        except (AttributeError, OSError):  # Windows has no such average
            return
        threads = threads_for_load(usable_cores(), others, self._most)
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)
