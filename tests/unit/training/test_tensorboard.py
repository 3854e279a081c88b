import math
import sys
from pathlib import Path

import pytest

from tinycopilot import UserError
from tinycopilot.training import train
from tinycopilot.training.log import Evaluation, LogInterval
from tinycopilot.training.observers import TensorBoardObserver
from tinycopilot.training.setup import TrainOptions

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
