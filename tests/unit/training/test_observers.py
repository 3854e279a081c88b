"""Observers of a run: progress for programs, and TensorBoard."""

import json
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from tinycopilot import UserError
from tinycopilot.training import observers, train
from tinycopilot.training.log import Evaluation, LogInterval
from tinycopilot.training.observers import JsonProgress, TensorBoardObserver
from tinycopilot.training.schedule import Schedule, Stage
from tinycopilot.training.setup import TrainOptions
from tinycopilot.training.train import run_training

LOSS = torch.tensor(1.0)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(observers, "EVERY_S", 0.0)
    return []


def test_shares_bits_and_time(told: list[str]) -> None:
    lines = JsonProgress(told.append)
    lines.start(Schedule((Stage(4, 8),), (10,)))
    lines.on_step(LOSS, 32)
    lines.on_schedule(Schedule((Stage(4, 8),), (20,)))
    lines.on_interval(LogInterval(1, 32, 1.0, 1.25, 0.1))
    lines.on_step(LOSS, 64)
    first, second, third = map(json.loads, told)
    assert first == {"stage": "training", "share": 0.0, "bits": None, "minutes_left": None}
    assert (second["share"], second["bits"]) == (0.1, None)
    assert (third["share"], third["bits"]) == (0.1, 1.25)
    assert third["minutes_left"] >= 0


def test_lines_are_rate_limited(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    lines = JsonProgress(told.append)
    monkeypatch.setattr(observers, "EVERY_S", 1e9)
    for share in (0.1, 0.2):
        lines.say_if_due("measuring", share)
    lines.say("done", 1.0, bits=float("nan"))
    assert list(map(json.loads, told)) == [
        {"stage": "measuring", "share": 0.1},
        {"stage": "done", "share": 1.0, "bits": None},
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("told")
def test_train_prints_progress_and_its_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "code.py").write_text("".join(f"def add_{i}(a):\n    return a + {i}\n\n" for i in range(200)))
    path = tmp_path / "m.pth"
    run_training(TrainOptions([str(tmp_path)], epochs=1, model_path=str(path), device="cpu", progress="json"))
    said = capsys.readouterr()
    lines = list(map(json.loads, said.out.splitlines()))
    assert lines[0] == {"stage": "reading", "share": 0.0}
    assert lines[-1]["stage"] == "done"
    assert lines[-1]["model"] == str(path)
    shares = [line["share"] for line in lines if line["stage"] == "training"]
    assert all(a <= b for a, b in pairwise(shares))
    assert shares[-1] == 1.0
    assert "saved: " in said.err


def test_process_ends_with_its_standard_input() -> None:
    """When its parent closes the pipe, and not before."""
    code = (
        "import time; from tinycopilot.training import interrupts; interrupts.interrupt_on_stdin_close()\n"
        "try:\n  print('ready', flush=True)\n  while True: time.sleep(0.01)\n"
        "except KeyboardInterrupt: print('cleaned up')"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None
        assert it.stdout.readline() == "ready\n"
        assert it.poll() is None
        out, _ = it.communicate()
    assert out == "cleaned up\n"
    assert it.returncode == 0


INTERVALS = [
    LogInterval(20, 2000, 1.0, 6.5, 0.4),
    LogInterval(40, 4000, 1.5, math.nan, 1.0),
    LogInterval(60, 6000, 1.5, 3.0, 0.5),
]
SAMPLE = "def <b>:\n    \x00\ud800"


def test_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with pytest.raises(UserError) as caught:
        TensorBoardObserver(tmp_path / "events")
    assert "install it: pip install tensorboard" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "events").exists()


def test_invalid_folder(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write event files there"):
        TensorBoardObserver(tmp_path / "file")


def test_folder_is_expanded_and_named_when_the_run_is_resumed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_observer(folder: Path) -> None:
        raise UserError(str(folder))

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setattr(train, "TensorBoardObserver", no_observer)
    options = TrainOptions(tensorboard="~/tb", model_path=str(tmp_path / "m.pth"), device="cpu")
    with pytest.raises(UserError) as caught:
        train.run_training(options)
    assert str(caught.value) == str(tmp_path / "tb")
    assert options.unstored_flags() == ["--device", "cpu", "--tensorboard", str(tmp_path / "tb")]
    assert TrainOptions().unstored_flags() == []


def test_events_are_read_back(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    observer = TensorBoardObserver(tmp_path)
    for interval in INTERVALS:
        observer.on_interval(interval)
    observer.on_evaluation(Evaluation(60, 6000, 1.5, 3.25, SAMPLE))
    observer.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    read = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert read == {
        "bits per character/train": [(20, 6.5), (40, pytest.approx(math.nan, nan_ok=True)), (60, 3.0)],
        "learning rate (share of its peak)": [(20, pytest.approx(0.4)), (40, 1.0), (60, 0.5)],
        "characters per second": [(40, 4000.0)],
        "bits per character/held-out": [(60, 3.25)],
    }
    (text,) = events.Tensors("sample/text_summary")
    assert text.tensor_proto.string_val[0].decode() == "    def <b>:\n        \x00?"
