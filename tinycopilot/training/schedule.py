"""How many steps a run takes, the shape of its batches, and when it is evaluated."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

N_WINDOWS = 16
"""Windows of at most 256 characters in a step of fine-tuning, or of a long run; of longer ones, fewer."""


@dataclass(frozen=True)
class Stage:
    """A part of a run in which all batches have the same shape."""

    batch: int
    """Windows per step."""
    window: int
    """Characters per window."""
    n_chars: float = math.inf
    """Characters read in this stage, if the run is long enough."""


@dataclass(frozen=True)
class Schedule:
    """All steps of a run, stage after stage."""

    stages: tuple[Stage, ...]
    steps: tuple[int, ...]
    """Number of steps of each stage."""
    reestimate_after: tuple[float, ...] = ()
    """With a time budget: shares of the run, each counted from the last, after which its length is estimated again."""
    reestimated_at: int = 0
    """The step after which the number of steps was last estimated (time_budget.py)."""

    @classmethod
    def over(
        cls, n_chars: float, stages: Sequence[Stage], *, reestimate_after: Sequence[float] = (), reestimated_at: int = 0
    ) -> "Schedule":
        """Return a schedule of about `n_chars` characters, and at least one step; the last stage is unlimited."""
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
        """Return the steps after which to evaluate, on `n_eval_chars` each: at most 10, evenly spaced.

        Fewer if evaluation would take more than 2 % of the time; a forward pass costs a third of a training step.
        """
        n_evals = min(10, max(1, int(self.n_chars / 50 * 3 / max(1, n_eval_chars))))
        return {self.n_steps * i // n_evals for i in range(1, n_evals + 1)}

    @property
    def n_steps(self) -> int:
        """Total number of steps."""
        return sum(self.steps)

    def n_chars_after(self, step: int) -> int:
        """Return the number of characters that the first `step` steps read."""
        n_chars = 0
        for stage, n in zip(self.stages, self.steps, strict=True):
            n_chars += stage.batch * stage.window * min(n, step)
            step -= min(n, step)
        return n_chars

    @property
    def n_chars(self) -> int:
        """Total number of characters read, over all epochs."""
        return self.n_chars_after(self.n_steps)

    def at(self, step: int) -> tuple[Stage, int, float]:
        """Return the stage of `step`, the number of windows of that length read before it, and the share of the run."""
        share, left = self.n_chars_after(step) / self.n_chars, step
        behind: Counter[int] = Counter()
        for stage, n in zip(self.stages, self.steps, strict=True):
            if left < n:
                return stage, behind[stage.window] + left * stage.batch, share
            behind[stage.window] += n * stage.batch
            left -= n
        raise IndexError(f"there are {self.n_steps} steps")


def stages_for(window: int, *, adapting: bool, is_long: bool) -> tuple[Stage, ...]:
    """Return the stages of a run: small batches first, for more steps from the same text, then larger ones.

    Windows have full length from the first step: after shorter ones, later positions would have to be relearned
    (figures in benchmarks/LOG.md). Fine-tuning has a single stage.
    """
    n = max(1, min(N_WINDOWS, N_WINDOWS * 256 // window))
    if adapting:
        return (Stage(n, window),)
    if is_long:
        return (Stage(max(1, n // 2), window, 2_000_000), Stage(n, window, 40_000_000), Stage(2 * n, window))
    return (Stage(4, window, 700_000), Stage(8, window))
