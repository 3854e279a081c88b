"""Stages, batch shapes and steps of a run."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

ADAPTING_STEP_CHARS = 4096
"""Characters per step of fine-tuning, in at most 16 windows."""


@dataclass(frozen=True)
class Stage:
    """A part of a run, in which all batches have one shape."""

    batch: int
    """Windows in one step."""
    window: int
    """Characters in each."""
    n_chars: float = math.inf
    """So many are read in this stage, or all that are left."""


@dataclass(frozen=True)
class Schedule:
    """All steps of one run: so many in each stage, one stage after another."""

    stages: tuple[Stage, ...]
    steps: tuple[int, ...]
    """How many steps each stage has."""
    reestimate_after: tuple[float, ...] = ()
    """With a time budget: shares of the run, each counted from the last, after which its length is estimated again."""
    reestimated_at: int = 0
    """The step after which the number of steps was last estimated (time_budget.py)."""

    @classmethod
    def over(
        cls, n_chars: float, stages: Sequence[Stage], *, reestimate_after: Sequence[float] = (), reestimated_at: int = 0
    ) -> "Schedule":
        """The schedule that reads about `n_chars` characters, in at least one step; the last stage has no end."""
        steps, left = list[int](), n_chars
        for stage in stages:
            steps.append(round(min(left, stage.n_chars) / (stage.batch * stage.window)))
            left -= min(left, stage.n_chars)
        steps[0] += sum(steps) == 0
        return cls(tuple(stages), tuple(steps), tuple(reestimate_after), reestimated_at)

    @property
    def next_reestimate(self) -> int:
        """The step after which the length is estimated again, while `reestimate_after` is not empty."""
        return self.reestimated_at + max(1, round(self.reestimate_after[0] * self.n_steps))

    def eval_steps(self, n_eval_chars: int) -> set[int]:
        """After which steps the held-out text is measured, `n_look_chars` at a time.

        Evenly over the run, ten times at most, and fewer where that would take more than a fiftieth of the time: what
        is only read costs a third of what is learned from.
        """
        n_evals = min(10, max(1, int(self.n_chars / 50 * 3 / max(1, n_eval_chars))))
        return {self.n_steps * i // n_evals for i in range(1, n_evals + 1)}

    @property
    def n_steps(self) -> int:
        """All steps together."""
        return sum(self.steps)

    def n_chars_after(self, step: int) -> int:
        """How many characters the first `step` steps read."""
        n_chars = 0
        for stage, n in zip(self.stages, self.steps, strict=True):
            n_chars += stage.batch * stage.window * min(n, step)
            step -= min(n, step)
        return n_chars

    @property
    def n_chars(self) -> int:
        """How many characters are read, those that are read again included."""
        return self.n_chars_after(self.n_steps)

    def at(self, step: int) -> tuple[Stage, int, float]:
        """Of `step`: its stage, how many windows of that length were read before it, and the share of the run."""
        share, left = self.n_chars_after(step) / self.n_chars, step
        behind: Counter[int] = Counter()
        for stage, n in zip(self.stages, self.steps, strict=True):
            if left < n:
                return stage, behind[stage.window] + left * stage.batch, share
            behind[stage.window] += n * stage.batch
            left -= n
        raise IndexError(f"there are {self.n_steps} steps")


def stages_for(window: int, *, adapting: bool, is_long: bool) -> tuple[Stage, ...]:
    """Return the shapes of a run's batches: small ones first, for more steps from the same text, then larger ones.

    Windows are whole from the first step on: after shorter ones, later positions would have to be learned anew.
    benchmarks/LOG.md has the figures. A model that is adapted is past the beginning.
    """
    if adapting:
        return (Stage(min(16, max(1, ADAPTING_STEP_CHARS // window)), window),)
    if is_long:
        return (Stage(4, window, 2_000_000), Stage(8, window, 30_000_000), Stage(16, window))
    return (Stage(4, window, 700_000), Stage(8, window))
