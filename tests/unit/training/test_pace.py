"""From minutes to characters, on a machine of known speed."""

from collections.abc import Sequence
from unittest.mock import Mock

import pytest

from tinycopilot.training import pace
from tinycopilot.training.distributed import Team
from tinycopilot.training.log import Block, TrainLog
from tinycopilot.training.recipe import Plan, Stage

STAGES = (Stage(4, 100, 60_000), Stage(8, 100))
STEP_S = {4: 0.4, 8: 0.5}  # 1,000 and 1,600 characters per second


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(batch, steps) of each trial, which takes no time."""
    trials: list[tuple[int, int]] = []

    def seconds_of(n_steps: int, stage: Stage, *_: object) -> float:
        trials.append((stage.batch, n_steps))
        return n_steps * STEP_S[stage.batch]

    monkeypatch.setattr(pace, "_seconds_of", seconds_of)
    monkeypatch.setattr(pace.time, "perf_counter", lambda: 0.0)
    return trials


def chars_in(seconds: float, stages: Sequence[Stage] = STAGES) -> float:
    return pace.chars_in(seconds, stages, Mock(), Mock(), Team())


def test_each_stage_has_its_own_speed(tried: list[tuple[int, int]]) -> None:
    assert chars_in(1000) == pytest.approx(60_000 + (1000 * pace.STEPS_SHARE - 60) * 1600)
    assert [batch for batch, _ in tried] == [4, 4, 8, 8]


def test_unreached_stage_is_not_tried(tried: list[tuple[int, int]]) -> None:
    assert chars_in(30) == pytest.approx(30 * pace.STEPS_SHARE * 1000)
    assert [batch for batch, _ in tried] == [4, 4]


def test_trial_uses_its_share_of_the_time(tried: list[tuple[int, int]]) -> None:
    chars_in(4000)
    assert [n_steps for _, n_steps in tried] == [1, round(30 / 0.4), 1, round(30 / 0.5)]
    tried.clear()
    chars_in(1)
    assert tried == [(4, 1), (4, pace.LEAST_TRIED)]


def log_of(*blocks: tuple[int, int, float]) -> TrainLog:
    """(steps, characters, seconds) at the end of each interval."""
    log = TrainLog(blocks=[Block(steps, chars, seconds, 2.0, 1.0) for steps, chars, seconds in blocks])
    log.n_steps, log.n_chars, log.seconds = blocks[-1]
    return log


def test_length_is_settled_by_later_speed() -> None:
    """The first stage is over, so its speed no longer counts."""
    plan = Plan.over(200_000, STAGES, settled_after=(0.2, 0.3))
    log = log_of((100, 40_000, 80.0), (150, 60_000, 120.0), (160, 68_000, 124.0))
    settled = pace.settled(plan, 1000, log)
    left_s = 1000 * (pace.STEPS_SHARE - pace.TRIAL_SHARE) - 124
    assert settled == Plan.over(68_000 + left_s * 2000, STAGES, settled_after=(0.3,), settled_at=160)


def test_slow_start_does_not_shorten_the_run() -> None:
    """The machine ran at half speed for the first fifth of the plan."""
    chars_per_s, n_block, seconds = 10_000, 50_000, 1000.0
    ideal = chars_per_s * seconds * (pace.STEPS_SHARE - pace.TRIAL_SHARE)
    plan = Plan.over(ideal, (Stage(10, 100),), settled_after=pace.SETTLED_AFTER)
    slow_chars = 0.2 * ideal
    log = TrainLog()
    while plan.settled_after:
        while log.n_chars < plan.n_chars_after(plan.next_settled_at):
            log.n_chars += n_block
            log.seconds += n_block / chars_per_s * (2 if log.n_chars <= slow_chars else 1)
            log.n_steps = log.n_chars // 1000
            log.blocks.append(Block(log.n_steps, log.n_chars, log.seconds, 2.0, 1.0))
        plan = pace.settled(plan, seconds, log)
    lost = slow_chars  # what the slow time would have read in addition
    assert plan.n_chars == pytest.approx(ideal - lost, rel=0.03)


@pytest.mark.parametrize("seconds", [0.001, 130.0, 1e4])
def test_past_steps_are_unchanged(seconds: float) -> None:
    """With any error of the trial, both plans share the steps so far, and one more is taken."""
    plan = Plan.over(90_000, STAGES, settled_after=(0.2,))
    log = log_of((100, 40_000, 80.0), (150, 60_000, 120.0), (160, 68_000, 124.0))
    settled = pace.settled(plan, seconds, log)
    assert settled.n_steps > log.n_steps
    assert [settled.at(i)[:2] for i in range(log.n_steps)] == [plan.at(i)[:2] for i in range(log.n_steps)]


def test_one_interval_is_enough() -> None:
    assert pace.settled(Plan.over(900, STAGES), 100, log_of((1, 400, 0.5))).n_chars > 400
