"""The length of a run, from epochs or minutes; its batches, learning rate and evaluations at each step.

Minutes are converted to characters first by a trial on a throwaway network, then from the run's own speed.
"""

import dataclasses
import itertools
import math
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from tinycopilot import UserError
from tinycopilot.training.distributed import DistContext
from tinycopilot.training.log import TrainLog
from tinycopilot.training.train_config import TrainConfig

N_WINDOWS = 16
"""Windows of at most 256 characters in a step of fine-tuning, or of a long run; of longer ones, fewer."""
STEPS_SHARE = 0.94
"""Share of the budget for training steps; the rest is for evaluations, checkpoints and saving."""
TRIAL_SHARE = 0.015
"""Share of the budget for the trial, up to MAX_TRIAL_S. The speed of a few steps can be 20 % off."""
MAX_TRIAL_S = 30.0
MIN_TRIAL_STEPS = 3
RECENT_INTERVALS = 25
REESTIMATE_AFTER = (0.2, 0.1, 0.1)
"""Shares of the run, each counted from the last, after which its length is estimated again: the machine may be slower
or faster during the trial, or in the first minutes. If the trial was about right, the learning rate is constant until
then (`lr_multiplier`), so the estimated length has had no effect yet."""


class Stage(NamedTuple):
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
    """The step after which the number of steps was last estimated."""

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

    def ending(self, n_chars: float, log: TrainLog, reestimate_after: Sequence[float] = ()) -> "Schedule":
        """Return a schedule that ends `n_chars` characters, and at least one step, after the steps of `log`."""
        one_step = max(stage.batch * stage.window for stage in self.stages)
        return Schedule.over(
            log.n_chars + max(one_step, n_chars), self.stages,
            reestimated_at=log.n_steps, reestimate_after=reestimate_after,
        )  # fmt: skip

    @property
    def until(self) -> int:
        """The step after which the length is estimated again, or the last one."""
        if not self.reestimate_after:
            return self.n_steps
        return min(self.n_steps, self.reestimated_at + max(1, round(self.reestimate_after[0] * self.n_steps)))

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


def lr_multiplier(step: int, share: float, decay_share: float, warm_up_steps: int = TrainConfig.warm_up_steps) -> float:
    """Return the factor of the peak learning rate at `step`, before which `share` of the run's characters were read.

    Warm-up, stable, then linear decay to zero over the last `decay_share` of the run (WSD: Hu et al. 2024, MiniCPM).
    """
    return min(1.0, (step + 1) / max(1, warm_up_steps)) * min(1.0, (1 - share) / decay_share)


def chars_in_budget(
    seconds: float, stages: Sequence[Stage], seconds_of: Callable[[int, Stage], float], dist: DistContext
) -> float:
    """Estimate how many characters can be read in `seconds`, trial included, from a trial of each stage.

    `seconds_of` takes n steps of a stage, on a throwaway network, and returns their time.
    """
    started = time.perf_counter()
    n_chars = planned_s = 0.0
    for stage in stages:
        first_s = seconds_of(1, stage)  # the first step is slower: it allocates memory and compiles code
        wanted = round(_trial_s(seconds) / len(stages) / max(first_s, 1e-6))
        n_steps = dist.from_main(partial(max, MIN_TRIAL_STEPS, wanted))
        chars_per_s = n_steps * stage.batch * stage.window / seconds_of(n_steps, stage)
        left_s = seconds * STEPS_SHARE - planned_s - (time.perf_counter() - started)
        n_in_stage = dist.from_main(partial(min, stage.n_chars, max(0.0, left_s) * chars_per_s))
        n_chars += n_in_stage
        if n_in_stage < stage.n_chars:
            break
        planned_s += n_in_stage / chars_per_s
    return n_chars


def _trial_s(seconds: float) -> float:
    return min(seconds * TRIAL_SHARE, MAX_TRIAL_S)


def reestimate(schedule: Schedule, seconds: float, log: TrainLog) -> Schedule:
    """Return a schedule whose length fits into `seconds`, at the speed of the last quarter of the steps so far.

    It has at least one more step.
    """
    before, now = log.intervals[(len(log.intervals) - 1) * 3 // 4], log.intervals[-1]
    if before is now:
        chars_per_s = now.chars / now.seconds
    else:
        chars_per_s = (now.chars - before.chars) / (now.seconds - before.seconds)
    left_s = seconds * STEPS_SHARE - _trial_s(seconds) - log.seconds
    return schedule.ending(left_s * chars_per_s, log, schedule.reestimate_after[1:])


def finish_within(
    seconds: float, schedule: Schedule, config: TrainConfig, log: TrainLog
) -> tuple[Schedule, TrainConfig]:
    """Return a schedule that ends about `seconds` from now, and a config whose learning rates decay to zero until then.

    They decay from their current values, so a run can also be finished during its decay. The speed is the median of the
    last intervals, so that a pause in one of them does not matter. Raises UserError before the first interval.
    """
    if not log.intervals:
        raise UserError("this run has no finished step yet, so its speed is unknown; let it run for a while")
    ends = [(0, 0.0), *((interval.chars, interval.seconds) for interval in log.intervals)][-1 - RECENT_INTERVALS :]
    chars_per_s = statistics.median(
        (chars - chars_before) / max(s - s_before, 1e-6)
        for (chars_before, s_before), (chars, s) in itertools.pairwise(ends)
    )
    shorter = schedule.ending(seconds * STEPS_SHARE * chars_per_s, log)
    multiplier = lr_multiplier(log.n_steps, log.n_chars / schedule.n_chars, config.decay_share, warm_up_steps=0)
    share_left = 1 - log.n_chars / shorter.n_chars
    return shorter, dataclasses.replace(config, decay_share=share_left / max(multiplier, 1e-6))
