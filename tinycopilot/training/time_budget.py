"""From minutes to characters: first as a trial says, on a network that is thrown away; then as the run itself does."""

import dataclasses
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

from tinycopilot import UserError
from tinycopilot.training.batches import BatchLoader
from tinycopilot.training.distributed import DistContext
from tinycopilot.training.log import TrainLog
from tinycopilot.training.loop import train
from tinycopilot.training.optim import lr_multiplier
from tinycopilot.training.schedule import Schedule, Stage
from tinycopilot.training.train_config import TrainConfig
from tinycopilot.training.train_state import TrainState

STEPS_SHARE = 0.94
"""Of the minutes, so much is for steps; looks at the held-out text, checkpoints and the saving take the rest."""
TRIAL_SHARE = 0.015
"""And so much for trying: what a few steps alone say can be a fifth off."""
LEAST_TRIED = 3
RECENT_INTERVALS = 25
REESTIMATE_AFTER = (0.2, 0.1, 0.1)
"""After so much of a run, and so much more, and more, its length is estimated again: a machine may be slower or quicker
for the seconds of a trial, or for the first minutes. If the trial was about right the rate is flat until then
(optim.py), and how long the run will be makes no difference yet."""


def chars_in_budget(
    seconds: float,
    stages: Sequence[Stage],
    make_state: Callable[[], TrainState],
    loader: BatchLoader,
    dist: DistContext,
) -> float:
    """How many characters can be read in `seconds`, the trying included, as far as a trial of each stage can tell."""
    began = time.perf_counter()
    n_chars = planned_s = 0.0
    state = make_state()
    for stage in stages:
        first_s = _seconds_of(1, stage, state, loader, dist)  # slower: memory is taken, code compiled
        n_steps = dist.from_main(partial(_n_tried, seconds * TRIAL_SHARE / len(stages), first_s))
        chars_per_s = n_steps * stage.batch * stage.window / _seconds_of(n_steps, stage, state, loader, dist)
        left_s = seconds * STEPS_SHARE - planned_s - (time.perf_counter() - began)
        n_in_stage = dist.from_main(partial(min, stage.n_chars, max(0.0, left_s) * chars_per_s))
        n_chars += n_in_stage
        if n_in_stage < stage.n_chars:
            break
        planned_s += n_in_stage / chars_per_s
    return n_chars


def reestimate(schedule: Schedule, seconds: float, log: TrainLog) -> Schedule:
    """Return a schedule whose length fits into `seconds`, at the speed of the last quarter of the steps so far.

    It has at least one more step.
    """
    before, now = log.intervals[(len(log.intervals) - 1) * 3 // 4], log.intervals[-1]
    if before is now:
        chars_per_s = now.chars / now.seconds
    else:
        chars_per_s = (now.chars - before.chars) / (now.seconds - before.seconds)
    left_s = seconds * (STEPS_SHARE - TRIAL_SHARE) - log.seconds
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
    multiplier = lr_multiplier(log.n_steps, log.n_chars / schedule.n_chars, config.decay_share)
    share_left = 1 - log.n_chars / shorter.n_chars
    return shorter, dataclasses.replace(config, decay_share=share_left / max(multiplier, 1e-6))


def _n_tried(seconds: float, seconds_per_step: float) -> int:
    """How many steps to try in about `seconds`."""
    return max(LEAST_TRIED, round(seconds / max(seconds_per_step, 1e-6)))


def _seconds_of(n_steps: int, stage: Stage, state: TrainState, loader: BatchLoader, dist: DistContext) -> float:
    """What so many steps of `stage` take."""
    done, before = state.log.n_steps, state.log.seconds
    train(state, Schedule((stage,), (done + n_steps,)), loader, dist=dist)
    return state.log.seconds - before
