"""In how small a part of another system's time a command reaches the figure that it reached."""

from collections.abc import Callable
from dataclasses import dataclass

WANTED, ENOUGH = 14.0, 7.0
"""First tried is this many times quicker; where that fails, this; then what lies between."""
MAX_RUNS = 4
MARGIN = 0.98
"""Aim at a little less time than is allowed: no two runs take quite the same."""


@dataclass(frozen=True)
class Run:
    """One run of ours."""

    minutes: float
    """What it was told to take, --minutes."""
    wall_s: float
    """What it took, from the command's start to the file saved."""
    bits: float
    """Bits per character of what it saved."""


def how_soon(wall_s: float, bits: float, overhead_s: float, train: Callable[[float], Run]) -> list[Run]:
    """At most MAX_RUNS runs of `train`(minutes), that look for the least time in which `bits` are reached.

    `wall_s` and `bits` are the other system's; `overhead_s` is what a run takes beyond its --minutes, and is corrected
    after each. Ends as soon as one is WANTED times quicker, or none is ENOUGH.
    """
    runs: list[Run] = []
    reached, missed = 0.0, 0.0  # the greatest factor that reached the bits, the least that did not; 0 for none
    while len(runs) < MAX_RUNS:
        factor = WANTED if not missed else (reached + missed) / 2 if reached else ENOUGH
        run = train(max(0.05, (wall_s / factor * MARGIN - overhead_s) / 60))
        runs.append(run)
        overhead_s = run.wall_s - 60 * run.minutes
        if run.bits <= bits:
            reached = factor
        else:
            missed = factor
        if times_quicker(wall_s, bits, runs) >= WANTED or missed == ENOUGH:
            break
    return runs


def times_quicker(wall_s: float, bits: float, runs: list[Run]) -> float:
    """How many times quicker the quickest of `runs` reached `bits`; 0 where none did."""
    return max((wall_s / run.wall_s for run in runs if run.bits <= bits), default=0.0)
