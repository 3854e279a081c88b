"""Convert minutes of training to characters: first from a trial on a throwaway network, then from the run's speed."""

import dataclasses
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

from tinycopilot import UserError
from tinycopilot.training.distributed import DistContext
from tinycopilot.training.log import TrainLog
from tinycopilot.training.optim import lr_multiplier
from tinycopilot.training.schedule import Schedule, Stage
from tinycopilot.training.train_config import TrainConfig

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
then (optim.py), so the estimated length has had no effect yet."""


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
    one_step = max(stage.batch * stage.window for stage in schedule.stages)
    n_chars = log.n_chars + max(one_step, left_s * chars_per_s)
    return Schedule.over(
        n_chars, schedule.stages, reestimated_at=log.n_steps, reestimate_after=schedule.reestimate_after[1:]
    )


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
    one_step = max(stage.batch * stage.window for stage in schedule.stages)
    n_chars = log.n_chars + max(one_step, seconds * STEPS_SHARE * chars_per_s)
    shorter = Schedule.over(n_chars, schedule.stages, reestimated_at=log.n_steps)
    multiplier = lr_multiplier(log.n_steps, log.n_chars / schedule.n_chars, config.decay_share, warm_up_steps=0)
    share_left = 1 - log.n_chars / shorter.n_chars
    return shorter, dataclasses.replace(config, decay_share=share_left / max(multiplier, 1e-6))
