"""Finds the shortest training time in which our command reaches another system's figure."""

from collections.abc import Callable
from dataclasses import dataclass

WANTED, ENOUGH = 14.0, 7.0
"""Factors to try: this speed-up first; if that fails, this one; then values in between."""
MAX_RUNS = 4
MARGIN = 0.98
"""Aim at slightly less time than allowed, since durations vary."""


@dataclass(frozen=True)
class Run:
    """One run of ours."""

    minutes: float
    """Its --minutes."""
    wall_s: float
    """Seconds from the command's start to the saved file."""
    bits: float
    """Bits per character of the saved model."""


def how_soon(wall_s: float, bits: float, overhead_s: float, train: Callable[[float], Run]) -> list[Run]:
    """Up to MAX_RUNS runs of `train`(minutes) that search for the shortest time that reaches `bits`.

    `wall_s` and `bits` are the other system's; `overhead_s` is a run's time beyond its --minutes, corrected after each
    run. Ends as soon as a run is WANTED times faster, or none is ENOUGH.
    """
    runs: list[Run] = []
    reached, missed = 0.0, 0.0  # the largest factor that reached the bits, and the smallest that did not; 0 if none did
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
    """Speed-up of the fastest of `runs` that reached `bits`; 0 if none did."""
    return max((wall_s / run.wall_s for run in runs if run.bits <= bits), default=0.0)
