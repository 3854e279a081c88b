"""Long runs: averaged weights, snapshots, and finishing early."""

import dataclasses
from pathlib import Path

import pytest
import torch
from learning import LINES, SCHEDULE, Lesson, same_weights, stopped_after

from tinycopilot import UserError, cli
from tinycopilot.model.gpt import load_pair
from tinycopilot.model.storage import load_data
from tinycopilot.training import setup
from tinycopilot.training.checkpoint import CHECKPOINT_NAME, load_run
from tinycopilot.training.finalize import save_snapshot
from tinycopilot.training.log import LogInterval, TrainLog
from tinycopilot.training.schedule import STEPS_SHARE, Schedule, Stage, finish_within, lr_multiplier
from tinycopilot.training.setup import TrainOptions
from tinycopilot.training.train import run_training, train
from tinycopilot.training.train_config import Size, TrainConfig
from tinycopilot.training.train_state import AVERAGE_POWER

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(setup.SIZES, "small", Size(n_layers=1, n_heads=2, d_model=16, window=32, is_long=True))


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """The path of a model whose run was interrupted after 20 steps."""
    (tmp_path / "text.py").write_text(LINES)
    asked = TrainOptions(
        [str(tmp_path / "text.py")], size="small", epochs=4, model_path=str(tmp_path / "m.pth"), device="cpu"
    )
    with stopped_after(45, KeyboardInterrupt):
        run_training(asked)
    return tmp_path / "m.pth"


def test_average_covers_a_fixed_share_of_the_run(tmp_path: Path) -> None:
    """Compared with the definition: the weight of interval i is a product of shares, which grows with i."""
    state = Lesson(tmp_path).state(TrainConfig(averages=True))
    weight, seen = state.model.head.weight, []
    for i in range(200):
        weight.data.fill_(float(i))
        seen.append(float(i))
        state.log.intervals.append(LogInterval(20 * i, 0, 0.0, 2.0, 1.0))
        state.update_average()
    expected = seen[0]
    for n, value in enumerate(seen):
        expected += (value - expected) * AVERAGE_POWER / (n + AVERAGE_POWER)
    assert state.average["head.weight"].mean().item() == pytest.approx(expected, rel=1e-4)
    assert 199 - expected == pytest.approx(200 / (AVERAGE_POWER + 1), rel=0.1)  # its mean age


def test_better_of_weights_and_average_is_kept(tmp_path: Path) -> None:
    lesson = Lesson(tmp_path)
    state = lesson.state(TrainConfig(averages=True))
    train(state, dataclasses.replace(SCHEDULE, steps=(40, 40)), lesson.loader(), lesson.evaluate, {80})
    as_trained = lesson.evaluate(state).bits
    current = {name: weight.clone() for name, weight in state.model.state_dict().items()}
    state.model.load_state_dict(state.average)
    averaged = lesson.evaluate(state).bits
    state.model.load_state_dict(current)
    assert averaged != as_trained
    assert state.evaluate_best(lesson.evaluate).bits == min(as_trained, averaged)
    assert all(torch.equal(weight, current[name]) for name, weight in state.model.state_dict().items())
    assert state.log.evaluations[-1].bits == state.best_bits == min(as_trained, averaged)
    state.result()
    assert lesson.evaluate(state).bits == min(as_trained, averaged)


def test_average_survives_a_snapshot(tmp_path: Path) -> None:
    lesson = Lesson(tmp_path)
    states = [lesson.state(TrainConfig(averages=True)) for _ in range(2)]
    train(states[0], dataclasses.replace(SCHEDULE, steps=(40, 0)), lesson.loader())
    states[1].restore(states[0].snapshot())
    for state in states:
        train(state, dataclasses.replace(SCHEDULE, steps=(60, 0)), lesson.loader())
        state.model.load_state_dict(state.average)
    assert same_weights(states[0].model, states[1].model)


def test_snapshot_is_the_average_and_the_run_continues(
    stopped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (tmp_path / ".m.pth.run" / CHECKPOINT_NAME).read_bytes()
    file = tmp_path / "snapshot" / "tiny_gpt.pth"
    assert cli.main(["train", "--snapshot", str(file), "--model_path", str(stopped)]) in (0, None)
    assert "averaged weights after step 20" in capsys.readouterr().out
    model, _ = load_pair(file, file.with_name("tokenizer.pth"))
    average = load_run(tmp_path / ".m.pth.run")[1]["average"]
    assert all(torch.equal(weight, average[name]) for name, weight in model.state_dict().items())
    assert load_data(file, "model", {"training": dict})["training"]["steps"] == 20
    assert (tmp_path / ".m.pth.run" / CHECKPOINT_NAME).read_bytes() == before
    run_training(TrainOptions(resume=True, model_path=str(stopped), device="cpu"))
    assert stopped.exists()


def test_no_snapshot_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no unfinished run"):
        save_snapshot(str(tmp_path / "m.pth"), None, str(tmp_path / "s.pth"))
    assert list(tmp_path.iterdir()) == []


def test_snapshot_does_not_replace_another_file(stopped: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("dear diary")
    with pytest.raises(UserError, match=r"notes\.txt.*not overwritten; use another name"):
        save_snapshot(str(stopped), None, str(tmp_path / "notes.txt"))
    assert (tmp_path / "notes.txt").read_text() == "dear diary"


def log_at(step: int, schedule: Schedule, chars_per_s: float) -> TrainLog:
    ends = [step * i // 10 for i in range(1, 11)]
    chars = [schedule.n_chars_after(end) for end in ends]
    log = TrainLog(
        intervals=[LogInterval(end, n, n / chars_per_s, 2.0, 1.0) for end, n in zip(ends, chars, strict=True)]
    )
    log.n_steps, log.n_chars = step, chars[-1]
    return log


@pytest.mark.parametrize("step", [150, 600, 900, 990])
def test_finished_run_decays_to_zero(step: int) -> None:
    schedule, config = Schedule.over(800_000, (Stage(4, 100, 80_000), Stage(8, 100))), TrainConfig(decay_share=0.3)
    shorter, finishing = finish_within(100.0, schedule, config, log_at(step, schedule, 1000.0))
    assert shorter.n_chars - schedule.n_chars_after(step) == pytest.approx(100 * STEPS_SHARE * 1000, abs=800)
    assert shorter.at(step - 1)[:2] == schedule.at(step - 1)[:2]  # past steps are unchanged
    rates = [lr_multiplier(i, shorter.at(i)[2], finishing.decay_share) for i in range(step, shorter.n_steps)]
    assert step > TrainConfig.warm_up_steps
    assert rates[0] == pytest.approx(lr_multiplier(step, schedule.at(step)[2], config.decay_share))
    assert rates == sorted(rates, reverse=True)
    share_left = 1 - shorter.at(step)[2]
    assert rates[-1] == pytest.approx(rates[0] * 800 / shorter.n_chars / share_left, rel=0.01)  # one step before zero


def test_finishing_during_warm_up_starts_from_the_full_rate() -> None:
    """The warm-up continues by itself; if the decay started from its rate, the rest would be trained far too slowly."""
    schedule, config = Schedule.over(800_000, (Stage(8, 100),)), TrainConfig()
    shorter, finishing = finish_within(100.0, schedule, config, log_at(10, schedule, 1000.0))
    rates = [
        lr_multiplier(i, shorter.at(i)[2], finishing.decay_share, config.warm_up_steps)
        for i in range(10, shorter.n_steps)
    ]
    assert rates[0] == pytest.approx(11 / 50)
    assert max(rates) > 0.6


def test_finish_ends_the_run_early(stopped: Path) -> None:
    whole = load_run(stopped.parent / ".m.pth.run")[0].schedule.n_steps
    run_training(TrainOptions(resume=True, finish=1e-6, model_path=str(stopped), device="cpu"))
    training = load_data(stopped, "model", {"training": dict})["training"]
    assert 20 < training["steps"] < whole
    with pytest.raises(UserError, match="--resume"):
        run_training(TrainOptions(finish=1.0, model_path=str(stopped), device="cpu"))
