import copy
import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from learning import CPU, SCHEDULE, Lesson, same_weights
from torch import Tensor

from tinycopilot.training.batches import BatchLoader
from tinycopilot.training.log import INTERVAL_STEPS, LogInterval
from tinycopilot.training.observers import Observer, ObserverList
from tinycopilot.training.schedule import Schedule, Stage, lr_multiplier
from tinycopilot.training.train import train
from tinycopilot.training.train_config import TrainConfig
from tinycopilot.training.train_state import MAX_ATTEMPTS, RECOVERY_INTERVALS, DivergedError, find_anomaly

pytestmark = pytest.mark.slow


class Notes(Observer):
    """Records all callbacks."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.intervals: list[LogInterval] = []
        self.events: list[str] = []
        self.kept: list[dict[str, Any]] = []

    def on_step(self, loss: Tensor, n_chars: int) -> None:
        self.losses.append(loss.item())

    def on_interval(self, interval: LogInterval) -> None:
        self.intervals.append(interval)

    def on_event(self, line: str) -> None:
        self.events.append(line)

    def on_snapshot(self, snapshot: dict[str, Any]) -> None:
        self.kept.append(snapshot)


@pytest.fixture
def lesson(tmp_path: Path) -> Lesson:
    return Lesson(tmp_path / "lesson")


def test_training_learns_and_reports(lesson: Lesson) -> None:
    state, notes = lesson.state(), Notes()
    train(state, SCHEDULE, lesson.loader(), lesson.evaluate, {75, 150}, ObserverList([notes]))
    log = state.log
    assert len(notes.losses) == log.n_steps == SCHEDULE.n_steps == 150
    assert log.n_chars == SCHEDULE.n_chars
    assert notes.losses[0] == pytest.approx(math.log(lesson.tokenizer.vocab_size), rel=1e-3)  # uniform
    assert [interval.step for interval in log.intervals] == [20, 40, 60, 80, 100, 120, 140, 150]
    assert notes.intervals == log.intervals
    assert log.intervals[0].bits == pytest.approx(sum(notes.losses[:20]) / 20 / math.log(2))
    assert log.intervals[-1].lr_multiplier == pytest.approx(
        lr_multiplier(149, SCHEDULE.at(149)[2], TrainConfig().decay_share)
    )
    assert [evaluation.step for evaluation in log.evaluations] == [80, 150]  # at the end of an interval
    assert log.evaluations[-1].bits < 2.5 < 5 < log.intervals[0].bits
    assert log.best_step == 150
    result = state.result()
    assert not result.training
    assert not result.head.weight.requires_grad


def test_same_seed_same_weights_on_one_thread(lesson: Lesson) -> None:
    schedule = Schedule(SCHEDULE.stages, (10, 15))
    states = [lesson.state(TrainConfig(seed=seed)) for seed in (0, 0, 1)]
    for state in states:
        train(state, schedule, lesson.loader())
    a, b, other = (state.model for state in states)
    assert same_weights(a, b)
    assert not same_weights(a, other)


def test_result_is_the_best_evaluation(tmp_path: Path) -> None:
    """Random text can only be memorised: an early evaluation is the best."""
    generator = torch.Generator().manual_seed(0)
    noise = "".join(chr(97 + i) for i in torch.randint(26, (2000,), generator=generator))
    lesson = Lesson(tmp_path, noise[:1500], noise[1500:])
    state = lesson.state()
    train(state, Schedule((Stage(8, 32),), (200,)), lesson.loader(), lesson.evaluate, range(40, 201, 20))
    log = state.log
    assert log.best_step < log.n_steps
    assert log.evaluations[-1].bits > min(evaluation.bits for evaluation in log.evaluations) + 0.1
    state.result()
    assert lesson.evaluate(state).bits == pytest.approx(min(evaluation.bits for evaluation in log.evaluations))


def test_resumed_run_ends_the_same(lesson: Lesson) -> None:
    """Bit for bit, in weights, optimizers and log; resuming does not change the snapshot."""
    schedule, whole, notes = Schedule(SCHEDULE.stages, (40, 60)), lesson.state(), Notes()
    notes.kept.append(whole.snapshot())
    train(whole, schedule, lesson.loader(), lesson.evaluate, {50, 100}, notes)
    end, result = timeless(whole.snapshot()), whole.result()
    assert len(notes.kept) > 5
    for snapshot in (notes.kept[i] for i in (1, 3, 5)):
        before = copy.deepcopy(snapshot)
        resumed = lesson.state(TrainConfig())
        resumed.restore(snapshot)
        train(resumed, schedule, lesson.loader(), lesson.evaluate, {50, 100})
        assert equal(end, timeless(resumed.snapshot()))
        assert equal(snapshot, before)
        assert same_weights(result, resumed.result())


def timeless(snapshot: dict[str, Any]) -> dict[str, Any]:
    """The log without durations."""
    log = snapshot["log"].to_data()
    for row in (*log["blocks"], *log["looks"]):
        row[2] = 0.0
    return snapshot | {"log": log | {"seconds": 0.0}}


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if dataclasses.is_dataclass(a):
        return equal(vars(a), vars(b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b) or (a != a and b != b)


class Poisoned(BatchLoader):
    """Changes the network at certain batches."""

    def __init__(self, lesson: Lesson, state: Any, at: range, factor: float) -> None:
        super().__init__(lesson.corpus.train, lesson.tokenizer, CPU)
        self._state, self._at, self._factor = state, at, factor

    def batch(self, batch: int, window: int, first: int, rank: int = 0, world_size: int = 1) -> tuple[Tensor, Tensor]:
        if window == 32 and first // batch in self._at:
            with torch.no_grad():
                self._state.model.head.weight.mul_(self._factor)
        return super().batch(batch, window, first, rank, world_size)


@pytest.mark.parametrize(("factor", "named"), [(math.nan, "a loss that is not a number"), (-200.0, "loss spike from")])
def test_spike_is_reported_and_rolled_back(factor: float, named: str, lesson: Lesson) -> None:
    state, notes, schedule = lesson.state(), Notes(), Schedule(SCHEDULE.stages, (60, 60))
    train(state, schedule, Poisoned(lesson, state, range(25, 26), factor), lesson.evaluate, {120}, notes)
    assert len(notes.events) == 1
    assert notes.events == state.log.events
    assert notes.events[0].startswith(f"steps 81 to 100: {named}")
    assert "back to step 60" in notes.events[0]  # from step 80 on, no complete interval was good
    assert state.n_attempts == 1
    assert state.log.n_steps == 120
    assert [interval.step for interval in state.log.intervals] == [20, 40, 60, 80, 100, 120]
    assert state.log.intervals[-1].lr_multiplier == pytest.approx(
        0.5 * lr_multiplier(119, schedule.at(119)[2], TrainConfig().decay_share)
    )  # from then on, half
    assert state.log.evaluations[-1].bits < 3
    assert all(torch.isfinite(weight).all() for weight in state.model.state_dict().values())


def test_repeated_spikes_end_the_run(lesson: Lesson) -> None:
    state, notes = lesson.state(), Notes()
    with pytest.raises(DivergedError):
        train(state, SCHEDULE, Poisoned(lesson, state, range(0, 10**6), math.nan), None, (), notes)
    assert len(notes.events) == MAX_ATTEMPTS
    assert {snapshot["log"].n_steps for snapshot in notes.kept} == {0, INTERVAL_STEPS, 2 * INTERVAL_STEPS}
    for snapshot in notes.kept:  # the kept weights are valid
        assert all(torch.isfinite(weight).all() for weight in snapshot["weights"].values())


def test_ordinary_noise_is_not_a_spike() -> None:
    before = [LogInterval(20, 1, 1.0, 3.0, 1.0), LogInterval(40, 2, 2.0, 2.0, 1.0)]
    assert find_anomaly([4.4, 4.4], [1.0], before) == ""
    assert find_anomaly([9.0], [1.0], []) == ""
    assert "from 3.00 to 4.60" in find_anomaly([4.5, 4.7], [1.0], before)
    assert "loss that is not a number" in find_anomaly([2.0, math.inf], [1.0], before)
    assert "gradient that is not a number" in find_anomaly([2.0, 2.0], [1.0, math.nan], before)


@pytest.mark.parametrize("at", [5, 19])
def test_nan_gradient_is_rolled_back_anywhere_in_an_interval(at: int, lesson: Lesson) -> None:
    """Including an interval's last step, whose loss was still finite."""
    state, notes = lesson.state(), Notes()
    n_steps = 0

    def spoil(gradient: Tensor) -> Tensor:
        nonlocal n_steps
        n_steps += 1
        return gradient * math.nan if n_steps == 80 + at + 1 else gradient

    state.model.head.weight.register_hook(spoil)
    train(state, Schedule(SCHEDULE.stages, (60, 60)), lesson.loader(), None, (), notes)
    assert len(notes.events) == 1
    assert "not a number" in notes.events[0]
    assert "back to step 60" in notes.events[0]
    for snapshot in notes.kept:
        assert all(torch.isfinite(weight).all() for weight in snapshot["weights"].values())


def test_reduced_learning_rate_recovers(lesson: Lesson) -> None:
    state = lesson.state()
    state.n_attempts, state.n_skipped = 3, 120
    for _ in range(RECOVERY_INTERVALS):
        assert state.n_attempts == 3
        state.count_good_interval()
    assert state.n_attempts == 0
    assert state.n_skipped == 120


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_training_on_cuda(lesson: Lesson) -> None:
    cuda = torch.device("cuda")
    state = lesson.state(device=cuda)
    train(state, SCHEDULE, lesson.loader(cuda), lesson.evaluate, {150})
    assert state.log.evaluations[-1].bits < 2.5
