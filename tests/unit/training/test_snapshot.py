"""Long runs: averaged weights, snapshots, and finishing early."""

import dataclasses
from pathlib import Path

import pytest
import torch
from learning import LINES, PLAN, Lesson, same_weights, stopped_after

from tinycopilot import UserError, cli
from tinycopilot.model.gpt import load_pair
from tinycopilot.model.storage import load_data
from tinycopilot.training import begin
from tinycopilot.training.begin import Request
from tinycopilot.training.checkpoint import CHECKPOINT_NAME, reopen
from tinycopilot.training.learner import AVERAGE_POWER
from tinycopilot.training.log import Block, TrainLog
from tinycopilot.training.optim import WARM_UP_STEPS, rate_at
from tinycopilot.training.pace import STEPS_SHARE, finished_in
from tinycopilot.training.recipe import Plan, Recipe, Size, Stage
from tinycopilot.training.run import run_training
from tinycopilot.training.snapshot import save_snapshot
from tinycopilot.training.trainer import train

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(begin.SIZES, "small", Size(n_layers=1, n_heads=2, d_model=16, window=32, is_long=True))


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """The path of a model whose run was interrupted after 20 steps."""
    (tmp_path / "text.py").write_text(LINES)
    asked = Request(
        [str(tmp_path / "text.py")], size="small", epochs=4, model_path=str(tmp_path / "m.pth"), device="cpu"
    )
    with stopped_after(45, KeyboardInterrupt):
        run_training(asked)
    return tmp_path / "m.pth"


def test_average_covers_a_fixed_share_of_the_run(tmp_path: Path) -> None:
    """Against the definition: the weight of interval i is a product of shares, which grows with i."""
    learner = Lesson(tmp_path).learner(Recipe(averages=True))
    weight, seen = learner.model.head.weight, []
    for i in range(200):
        weight.data.fill_(float(i))
        seen.append(float(i))
        learner.log.blocks.append(Block(20 * i, 0, 0.0, 2.0, 1.0))
        learner.update_average()
    expected = seen[0]
    for n, value in enumerate(seen):
        expected += (value - expected) * AVERAGE_POWER / (n + AVERAGE_POWER)
    assert learner.average["head.weight"].mean().item() == pytest.approx(expected, rel=1e-4)
    assert 199 - expected == pytest.approx(200 / (AVERAGE_POWER + 1), rel=0.1)  # its mean age


def test_better_of_weights_and_average_is_kept(tmp_path: Path) -> None:
    lesson = Lesson(tmp_path)
    learner = lesson.learner(Recipe(averages=True))
    train(learner, dataclasses.replace(PLAN, steps=(40, 40)), lesson.reader(), lesson.look, {80})
    as_trained = lesson.look(learner).bits
    current = {name: weight.clone() for name, weight in learner.model.state_dict().items()}
    with learner.averaged():
        averaged = lesson.look(learner).bits
    assert averaged != as_trained
    assert all(torch.equal(weight, current[name]) for name, weight in learner.model.state_dict().items())
    assert learner.log.looks[-1].bits == learner.best_bits == min(as_trained, averaged)
    learner.result()
    assert lesson.look(learner).bits == min(as_trained, averaged)


def test_average_survives_a_snapshot(tmp_path: Path) -> None:
    lesson = Lesson(tmp_path)
    learners = [lesson.learner(Recipe(averages=True)) for _ in range(2)]
    train(learners[0], dataclasses.replace(PLAN, steps=(40, 0)), lesson.reader())
    learners[1].restore(learners[0].snapshot())
    for learner in learners:
        train(learner, dataclasses.replace(PLAN, steps=(60, 0)), lesson.reader())
        learner.model.load_state_dict(learner.average)
    assert same_weights(learners[0].model, learners[1].model)


def test_snapshot_is_the_average_and_the_run_continues(
    stopped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (tmp_path / ".m.pth.run" / CHECKPOINT_NAME).read_bytes()
    file = tmp_path / "snapshot" / "tiny_gpt.pth"
    assert cli.main(["train", "--snapshot", str(file), "--model_path", str(stopped)]) in (0, None)
    assert "averaged weights after step 20" in capsys.readouterr().out
    model, _ = load_pair(file, file.with_name("tokenizer.pth"))
    average = reopen(tmp_path / ".m.pth.run")[1]["average"]
    assert all(torch.equal(weight, average[name]) for name, weight in model.state_dict().items())
    assert load_data(file, "model", {"training": dict})["training"]["steps"] == 20
    assert (tmp_path / ".m.pth.run" / CHECKPOINT_NAME).read_bytes() == before
    run_training(Request(resume=True, model_path=str(stopped), device="cpu"))
    assert stopped.exists()


def test_no_snapshot_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no unfinished run"):
        save_snapshot(str(tmp_path / "m.pth"), None, str(tmp_path / "s.pth"))
    assert list(tmp_path.iterdir()) == []


def log_at(step: int, plan: Plan, chars_per_s: float) -> TrainLog:
    ends = [step * i // 10 for i in range(1, 11)]
    chars = [plan.n_chars_after(end) for end in ends]
    log = TrainLog(blocks=[Block(end, n, n / chars_per_s, 2.0, 1.0) for end, n in zip(ends, chars, strict=True)])
    log.n_steps, log.n_chars = step, chars[-1]
    return log


@pytest.mark.parametrize("step", [150, 600, 900, 990])
def test_finished_run_decays_to_zero(step: int) -> None:
    plan, recipe = Plan.over(800_000, (Stage(4, 100, 80_000), Stage(8, 100))), Recipe(decay_share=0.3)
    shorter, finishing = finished_in(100.0, plan, recipe, log_at(step, plan, 1000.0))
    assert shorter.n_chars - plan.n_chars_after(step) == pytest.approx(100 * STEPS_SHARE * 1000, abs=800)
    assert shorter.at(step - 1)[:2] == plan.at(step - 1)[:2]  # past steps are unchanged
    rates = [rate_at(i, shorter.at(i)[2], finishing.decay_share) for i in range(step, shorter.n_steps)]
    assert step > WARM_UP_STEPS
    assert rates[0] == pytest.approx(rate_at(step, plan.at(step)[2], recipe.decay_share))
    assert rates == sorted(rates, reverse=True)
    share_left = 1 - shorter.at(step)[2]
    assert rates[-1] == pytest.approx(rates[0] * 800 / shorter.n_chars / share_left, rel=0.01)  # one step before zero


def test_finish_ends_the_run_early(stopped: Path) -> None:
    whole = reopen(stopped.parent / ".m.pth.run")[0].plan.n_steps
    run_training(Request(resume=True, finish=1e-6, model_path=str(stopped), device="cpu"))
    training = load_data(stopped, "model", {"training": dict})["training"]
    assert 20 < training["steps"] < whole
    with pytest.raises(UserError, match="--resume"):
        run_training(Request(finish=1.0, model_path=str(stopped), device="cpu"))
