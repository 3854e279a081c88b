"""From minutes to characters, on a machine of known speed."""

from collections.abc import Sequence

import pytest

from tinycopilot.training import schedule as time_budget
from tinycopilot.training.distributed import DistContext
from tinycopilot.training.log import LogInterval, TrainLog
from tinycopilot.training.schedule import Schedule, Stage

STAGES = (Stage(4, 100, 60_000), Stage(8, 100))
STEP_S = {4: 0.4, 8: 0.5}  # 1,000 and 1,600 characters per second


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(batch, steps) of each trial, which takes no time."""
    monkeypatch.setattr(time_budget.time, "perf_counter", lambda: 0.0)
    TRIALS.clear()
    return TRIALS


TRIALS = list[tuple[int, int]]()


def trial_seconds(n_steps: int, stage: Stage) -> float:
    TRIALS.append((stage.batch, n_steps))
    return n_steps * STEP_S[stage.batch]


def chars_in_budget(seconds: float, stages: Sequence[Stage] = STAGES) -> float:
    return time_budget.chars_in_budget(seconds, stages, trial_seconds, DistContext())


def test_each_stage_has_its_own_speed(tried: list[tuple[int, int]]) -> None:
    assert chars_in_budget(1000) == pytest.approx(60_000 + (1000 * time_budget.STEPS_SHARE - 60) * 1600)
    assert [batch for batch, _ in tried] == [4, 4, 8, 8]


def test_unreached_stage_is_not_tried(tried: list[tuple[int, int]]) -> None:
    assert chars_in_budget(30) == pytest.approx(30 * time_budget.STEPS_SHARE * 1000)
    assert [batch for batch, _ in tried] == [4, 4]


def test_trial_uses_its_share_of_the_time(tried: list[tuple[int, int]]) -> None:
    chars_in_budget(1000)
    assert [n_steps for _, n_steps in tried] == [1, round(7.5 / 0.4), 1, round(7.5 / 0.5)]
    tried.clear()
    chars_in_budget(1)
    assert tried == [(4, 1), (4, time_budget.MIN_TRIAL_STEPS)]


def test_trial_for_a_week_takes_half_a_minute(tried: list[tuple[int, int]]) -> None:
    chars_in_budget(7 * 24 * 3600)
    assert sum(n_steps * STEP_S[batch] for batch, n_steps in tried if n_steps > 1) == pytest.approx(30, rel=0.02)
    log = log_of((100, 100_000, 100.0))
    n_chars = time_budget.reestimate(Schedule.over(900_000, (Stage(10, 100),)), 1e6, log).n_chars
    assert n_chars == pytest.approx(1000 * (1e6 * time_budget.STEPS_SHARE - 30), abs=1000)


def log_of(*intervals: tuple[int, int, float]) -> TrainLog:
    """(steps, characters, seconds) at the end of each interval."""
    log = TrainLog(intervals=[LogInterval(steps, chars, seconds, 2.0, 1.0) for steps, chars, seconds in intervals])
    log.n_steps, log.n_chars, log.seconds = intervals[-1]
    return log


def test_length_is_settled_by_later_speed() -> None:
    """The first stage is over, so its speed is ignored."""
    schedule = Schedule.over(200_000, STAGES, reestimate_after=(0.2, 0.3))
    log = log_of((100, 40_000, 80.0), (150, 60_000, 120.0), (160, 68_000, 124.0))
    reestimate = time_budget.reestimate(schedule, 1000, log)
    left_s = 1000 * (time_budget.STEPS_SHARE - time_budget.TRIAL_SHARE) - 124
    assert reestimate == Schedule.over(68_000 + left_s * 2000, STAGES, reestimate_after=(0.3,), reestimated_at=160)


def test_slow_start_does_not_shorten_the_run() -> None:
    """The machine ran at half speed for the first fifth of the schedule."""
    chars_per_s, n_block, seconds = 10_000, 50_000, 1000.0
    ideal = chars_per_s * seconds * (time_budget.STEPS_SHARE - time_budget.TRIAL_SHARE)
    schedule = Schedule.over(ideal, (Stage(10, 100),), reestimate_after=time_budget.REESTIMATE_AFTER)
    slow_chars = 0.2 * ideal
    log = TrainLog()
    while schedule.reestimate_after:
        while log.n_chars < schedule.n_chars_after(schedule.until):
            log.n_chars += n_block
            log.seconds += n_block / chars_per_s * (2 if log.n_chars <= slow_chars else 1)
            log.n_steps = log.n_chars // 1000
            log.intervals.append(LogInterval(log.n_steps, log.n_chars, log.seconds, 2.0, 1.0))
        schedule = time_budget.reestimate(schedule, seconds, log)
    lost = slow_chars  # what the slow time would have read in addition
    assert schedule.n_chars == pytest.approx(ideal - lost, rel=0.03)


@pytest.mark.parametrize("seconds", [0.001, 130.0, 1e4])
def test_past_steps_are_unchanged(seconds: float) -> None:
    """For any error of the trial, both schedules share the steps so far, and at least one more step is taken."""
    schedule = Schedule.over(90_000, STAGES, reestimate_after=(0.2,))
    log = log_of((100, 40_000, 80.0), (150, 60_000, 120.0), (160, 68_000, 124.0))
    reestimate = time_budget.reestimate(schedule, seconds, log)
    assert reestimate.n_steps > log.n_steps
    assert [reestimate.at(i)[:2] for i in range(log.n_steps)] == [schedule.at(i)[:2] for i in range(log.n_steps)]


def test_one_interval_is_enough() -> None:
    assert time_budget.reestimate(Schedule.over(900, STAGES), 100, log_of((1, 400, 0.5))).n_chars > 400
