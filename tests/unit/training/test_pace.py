"""From minutes to characters, with a machine whose speed is known."""

from collections.abc import Sequence
from unittest.mock import Mock

import pytest

from tinycopilot.training import pace
from tinycopilot.training.distributed import Team
from tinycopilot.training.recipe import Stage

STAGES = (Stage(4, 100, 60_000), Stage(8, 100))
STEP_S = {4: 0.4, 8: 0.5}  # 1,000 and 1,600 characters a second


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


def test_each_stage_at_its_own_speed(tried: list[tuple[int, int]]) -> None:
    assert chars_in(1000) == pytest.approx(60_000 + (1000 * pace.STEPS_SHARE - 60) * 1600)
    assert [batch for batch, _ in tried] == [4, 4, 8, 8]


def test_a_stage_that_is_not_reached_is_not_tried(tried: list[tuple[int, int]]) -> None:
    assert chars_in(30) == pytest.approx(30 * pace.STEPS_SHARE * 1000)
    assert [batch for batch, _ in tried] == [4, 4]


def test_the_trial_takes_its_share_of_the_time(tried: list[tuple[int, int]]) -> None:
    chars_in(4000)
    assert [n_steps for _, n_steps in tried] == [1, round(30 / 0.4), 1, round(30 / 0.5)]
    tried.clear()
    chars_in(1)
    assert tried == [(4, 1), (4, pace.LEAST_TRIED)]
