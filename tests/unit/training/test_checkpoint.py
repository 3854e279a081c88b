"""Runs survive any interruption: a resumed run ends like one that was never interrupted."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from learning import LINES, stopped_after

from tinycopilot import UserError
from tinycopilot.model.gpt import TinyGPT, load_pair
from tinycopilot.model.storage import load_data
from tinycopilot.paths import ModelPaths
from tinycopilot.training import checkpoint, finalize, setup, train, train_state
from tinycopilot.training.checkpoint import (
    CHECKPOINT_NAME,
    CheckpointWriter,
    discard_command,
    load_run,
    lock_run_folder,
    run_folder,
)
from tinycopilot.training.schedule import Schedule
from tinycopilot.training.setup import TrainOptions
from tinycopilot.training.train import run_training
from tinycopilot.training.train_config import Size

pytestmark = pytest.mark.slow

TINY = Size(n_layers=1, n_heads=2, d_model=16, window=32)


@pytest.fixture(scope="module", autouse=True)
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Use a small network, one thread and no home folder, for shared runs, too."""
    home = str(tmp_path_factory.mktemp("home"))
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(setup.SIZES, "nano", TINY)
        patch.setattr(setup, "has_fast_bfloat16", lambda _device: False)
        for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
            patch.setenv(name, home)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "text.py").write_text(LINES)
    run_training(request(folder / "text.py", folder / "whole.pth"))
    return folder / "whole.pth"


@pytest.fixture(scope="module")
def whole_of_minutes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of an uninterrupted run with a time budget."""
    folder = tmp_path_factory.mktemp("minutes")
    (folder / "text.py").write_text(LINES)
    with pytest.MonkeyPatch.context() as patch:
        twice_as_quick(patch)
        run_training(request_of_minutes(folder / "text.py", folder / "whole.pth"))
    return folder / "whole.pth"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "text.py"
    path.write_text(LINES)
    return path


def request(corpus: Path, model: Path, **more: object) -> TrainOptions:
    return TrainOptions(corpus=[str(corpus)], epochs=1, model_path=str(model), device="cpu", **more)  # type: ignore[arg-type]


def request_of_minutes(corpus: Path, model: Path) -> TrainOptions:
    return TrainOptions(corpus=[str(corpus)], minutes=1.0, model_path=str(model), device="cpu")


def twice_as_quick(patch: pytest.MonkeyPatch) -> None:
    """A machine with known speed: twice the trial's."""
    patch.setattr(train, "chars_in_budget", lambda *_: 10_000)
    patch.setattr(train, "reestimate", lambda schedule, *_: Schedule.over(20_000, schedule.stages))


def weights(path: Path) -> TinyGPT:
    return load_pair(path, path.with_suffix(".tokenizer.pth"))[0]


def equal(a: Path, b: Path) -> bool:
    pairs = zip(weights(a).state_dict().values(), weights(b).state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


@pytest.mark.parametrize(("n_batches", "error"), [*((n, KeyboardInterrupt) for n in (0, 7, 20, 33)), (33, MemoryError)])
def test_ctrl_c_saves_and_says_how_to_resume(
    n_batches: int,
    error: type[BaseException],
    whole: Path,
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stopped = tmp_path / "stopped.pth"
    with stopped_after(n_batches, error):
        run_training(request(corpus, stopped))
    said = capsys.readouterr().err
    n_steps = max(0, n_batches // 20 * 20 - 20)  # to the end of the last complete interval
    assert f"the checkpoint is of step {n_steps};" in said
    assert f"tinycopilot train --resume --model-path {stopped}" in said
    assert not stopped.exists()
    corpus.write_text("changed = True\n")  # the run has its own copy
    run_training(TrainOptions(resume=True, model_path=str(stopped), device="cpu"))
    assert equal(stopped, whole)
    assert not run_folder(ModelPaths(stopped, stopped)).exists()


@pytest.mark.parametrize("n_batches", [7, 45, 70, 100])
def test_stop_before_and_after_the_time_budget_is_settled(
    n_batches: int,
    whole_of_minutes: Path,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    twice_as_quick(monkeypatch)
    stopped = tmp_path / "stopped.pth"
    with stopped_after(n_batches, KeyboardInterrupt):
        run_training(request_of_minutes(corpus, stopped))
    assert "measuring the training speed ...\n" in capsys.readouterr().err
    run_training(TrainOptions(resume=True, model_path=str(stopped), device="cpu"))
    assert equal(stopped, whole_of_minutes)
    assert load_data(stopped, "model", {"training": dict})["training"]["steps"] == round(20_000 / (4 * 32))


KILLED = """
import os, sys
from tinycopilot.training import batches, checkpoint, metrics, setup, train
from tinycopilot.training.schedule import Schedule
from tinycopilot.training.train_config import Size
from tinycopilot.training.train import run_training
setup.SIZES["nano"] = Size(n_layers=1, n_heads=2, d_model=16, window=32)
setup.has_fast_bfloat16 = lambda device: False
checkpoint.CHECKPOINT_S = 0.0  # after each block
import torch
torch.set_num_threads(1)
metrics.write_sample = lambda *_: "x"
read, left = batches.BatchLoader.batch, int(sys.argv[3])
def batch(*arguments):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)
    return read(*arguments)
batches.BatchLoader.batch = batch
resume = sys.argv[4:] == ["resume"]
what = {"resume": True} if resume else {"corpus": [sys.argv[1]], "epochs": 1}
run_training(setup.TrainOptions(model_path=sys.argv[2], device="cpu", **what))
"""


def test_run_killed_repeatedly_ends_the_same(
    whole: Path, corpus: Path, tmp_path: Path, training_python: Sequence[str]
) -> None:
    """kill -9 in several places, one after another, in one run."""
    model = tmp_path / "killed.pth"
    for i, n_batches in enumerate((0, 25, 21, 10_000)):
        words = [str(corpus), str(model), str(n_batches), *(["resume"] if i else [])]
        result = subprocess.run([*training_python, "-c", KILLED, *words], capture_output=True, text=True)
        assert result.returncode == (0 if n_batches == 10_000 else -signal.SIGKILL), result.stderr
    assert equal(model, whole)


def test_sigterm_acts_like_ctrl_c(corpus: Path, tmp_path: Path, training_python: Sequence[str]) -> None:
    """SIGTERM, as from a system shutdown or torchrun."""
    code = KILLED.replace("os.kill(os.getpid(), 9)", "os.kill(os.getpid(), 15)").replace("S = 0.0", "S = 1e9")
    words = [str(corpus), str(tmp_path / "m.pth"), "45"]
    result = subprocess.run([*training_python, "-c", code, *words], capture_output=True, text=True)
    assert "KeyboardInterrupt" in result.stderr
    assert "the checkpoint is of step 20" in result.stderr
    assert load_run(tmp_path / ".m.pth.run")[1]["log"].n_steps == 20


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a text, and of a run on it that was interrupted after 20 steps."""
    folder = tmp_path_factory.mktemp("stopped")
    (folder / "text.py").write_text(LINES)
    with stopped_after(45, KeyboardInterrupt):
        run_training(request(folder / "text.py", folder / "m.pth"))
    return folder


@pytest.fixture
def stopped(stopped_once: Path, tmp_path: Path) -> Path:
    """The path of a model with a copy of that run."""
    shutil.copytree(stopped_once, tmp_path, dirs_exist_ok=True)
    return tmp_path / "m.pth"


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"seed": 1}, "--seed was 0, not 1"),
        ({"size": "base"}, "--size was nano, not base"),
        ({"corpus": ["stdlib"]}, r"--corpus was \S+text.py, not stdlib"),
        ({"epochs": 3}, "--epochs was 1, not 3"),
        ({"minutes": 3}, "--minutes was not given, not 3"),
        ({"ext": ["rs"]}, "--ext was .py, not .rs"),
        ({"precision": "float32"}, "--precision was auto, not float32"),
    ],
)
def test_resume_with_other_settings_is_refused(more: dict[str, object], named: str, stopped: Path) -> None:
    before = (stopped.parent / ".m.pth.run" / CHECKPOINT_NAME).read_bytes()
    with pytest.raises(UserError, match=named):
        run_training(TrainOptions(resume=True, model_path=str(stopped), device="cpu", **more))  # type: ignore[arg-type]
    assert (stopped.parent / ".m.pth.run" / CHECKPOINT_NAME).read_bytes() == before


def test_resume_with_the_same_flags(stopped: Path, stopped_once: Path) -> None:
    run_training(request(stopped_once / "text.py", stopped, seed=0, size="nano", resume=True))
    assert stopped.exists()


def test_new_run_does_not_overwrite_a_resumable_one(stopped: Path, corpus: Path) -> None:
    with pytest.raises(UserError, match=r"unfinished run.*--resume.*rm -r \S+\.m\.pth\.run"):
        run_training(request(corpus, stopped))
    load_run(stopped.parent / ".m.pth.run")


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run to resume"):
        run_training(TrainOptions(resume=True, model_path=str(tmp_path / "m.pth"), device="cpu"))
    assert list(tmp_path.iterdir()) == []


def test_run_folder_without_checkpoint_is_not_a_run(corpus: Path, tmp_path: Path) -> None:
    """Killed while reading the corpus: a new run removes it."""
    (tmp_path / ".m.pth.run").mkdir()
    (tmp_path / ".m.pth.run" / "train.bin").write_bytes(b"half")
    run_training(request(corpus, tmp_path / "m.pth"))
    assert not (tmp_path / ".m.pth.run").exists()


@pytest.mark.parametrize("name", [CHECKPOINT_NAME, "train.bin", "held_out.bin", "corpus.json"])
@pytest.mark.parametrize("damage", ["shorter", "other", "gone"])
def test_damaged_run_is_one_line(name: str, damage: str, stopped: Path) -> None:
    path = stopped.parent / ".m.pth.run" / name
    if damage == "gone":
        path.unlink()
    else:
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2 - 1] if damage == "shorter" else b"{}" * (len(data) // 2))
    with pytest.raises(UserError) as caught:
        run_training(TrainOptions(resume=True, model_path=str(stopped), device="cpu"))
    assert "\n" not in str(caught.value)


def test_code_in_a_checkpoint_is_not_run(stopped: Path) -> None:
    class Calls:
        def __reduce__(self) -> tuple[object, ...]:
            return (os.mkdir, (str(stopped.parent / "called"),))

    torch.save({"kind": "checkpoint", "asked": Calls()}, stopped.parent / ".m.pth.run" / CHECKPOINT_NAME)
    with pytest.raises(UserError, match="more than data"):
        run_training(TrainOptions(resume=True, model_path=str(stopped), device="cpu"))
    assert not (stopped.parent / "called").exists()


def test_full_disk_keeps_the_last_checkpoint(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training continues; the previous checkpoint is kept, and can be resumed."""
    save, n_saved = checkpoint.save_atomically, 0

    def full_after_two(contents: dict[str, object], path: Path) -> None:
        nonlocal n_saved
        n_saved += 1
        if n_saved > 2:
            raise OSError(28, "No space left on device")
        save(contents, path)

    monkeypatch.setattr(checkpoint, "save_atomically", full_after_two)
    monkeypatch.setattr(checkpoint, "CHECKPOINT_S", 0.0)
    with stopped_after(50, KeyboardInterrupt):
        run_training(request(corpus, tmp_path / "m.pth"))
    said = capsys.readouterr().err
    assert "cannot write a checkpoint (No space left on device)" in said
    assert "the one of step 0 is kept" in said
    assert load_run(tmp_path / ".m.pth.run")[1]["log"].n_steps == 0


def test_clock_jumps_do_not_matter(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of day may change; only monotonic clocks are read."""
    for module in (checkpoint, train, setup):
        if hasattr(module, "time"):
            monkeypatch.setattr(time, "time", lambda: 1 / 0)
    run_training(request(corpus, tmp_path / "m.pth"))
    assert (tmp_path / "m.pth").exists()


def test_run_folder_is_private(stopped: Path) -> None:
    """It contains a copy of the user's code."""
    assert (stopped.parent / ".m.pth.run").stat().st_mode & 0o077 == 0


def test_result_records_its_provenance(corpus: Path, tmp_path: Path) -> None:
    run_training(request(corpus, tmp_path / "m.pth"))
    training = load_data(tmp_path / "m.pth", "model", {"training": dict})["training"]
    assert training["corpus"] == "text.py"
    assert training["chars"] == pytest.approx(training["train_chars"], rel=0.2)
    assert training["epochs"] == 1
    assert str(tmp_path) not in str(training)
    report = (tmp_path / "m.training.html").read_text("utf-8")
    assert "text.py" in report


def test_checkpoint_interval_follows_the_clock(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reestimate, snapshot = load_run(stopped.parent / ".m.pth.run")
    now = [0.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    checkpoints = CheckpointWriter(stopped.parent / "new.run", reestimate, snapshot, print, "")
    path = stopped.parent / "new.run" / CHECKPOINT_NAME
    checkpoints.on_snapshot(snapshot)
    assert not path.exists()
    now[0] = checkpoint.CHECKPOINT_S
    checkpoints.on_snapshot(snapshot)
    assert path.exists()


def test_stopped_while_reading_leaves_no_folder(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "prepare_corpus", _press_ctrl_c)
    for model in (tmp_path / "new" / "deep" / "m.pth", tmp_path / "m.pth"):
        with pytest.raises(KeyboardInterrupt):
            run_training(request(corpus, model))
        assert list(tmp_path.iterdir()) == [corpus]


def test_concurrent_runs_use_separate_folders(stopped: Path, corpus: Path, tmp_path: Path) -> None:
    """Neither a new nor a resumed run uses the folder of an active run, and the attempt loses nothing."""
    folder = tmp_path / ".other.pth.run"
    with lock_run_folder(folder):
        (folder / "train.bin").write_bytes(b"text")
        with pytest.raises(UserError, match="another run is active here"):
            run_training(request(corpus, tmp_path / "other.pth"))
        with pytest.raises(UserError, match="give one of them"):
            run_training(request(corpus, tmp_path / "other.pth", minutes=1))
        assert (folder / "train.bin").read_bytes() == b"text"
    with lock_run_folder(stopped.parent / ".m.pth.run"):
        for options in (TrainOptions(resume=True, model_path=str(stopped), device="cpu"), request(corpus, stopped)):
            with pytest.raises(UserError, match="another run is active here"):
                run_training(options)
    run_training(TrainOptions(resume=True, model_path=str(stopped), device="cpu"))


def test_run_folder_without_a_checkpoint_is_deleted_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There, an open file such as the lock cannot be deleted."""
    folder = tmp_path / "new" / ".m.pth.run"

    def rmtree(path: Path, *, ignore_errors: bool) -> None:
        assert ignore_errors
        for file in path.iterdir():
            if file.name != "lock":
                file.unlink()

    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setattr("shutil.rmtree", rmtree)
    with lock_run_folder(folder):
        (folder / "train.bin").write_bytes(b"text")
    assert list(tmp_path.iterdir()) == []


def test_command_that_discards_a_run_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    assert discard_command(Path("a b")) == 'cmd /c rmdir /s /q "a b"'


def test_second_ctrl_c_does_not_prevent_the_save(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save, n_saved = checkpoint.save_atomically, 0

    def pressed_again(contents: dict[str, object], path: Path) -> None:
        nonlocal n_saved
        n_saved += 1
        if n_saved == 2:  # the write that the first Ctrl-C requests
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
        save(contents, path)

    monkeypatch.setattr(checkpoint, "save_atomically", pressed_again)
    with stopped_after(45, KeyboardInterrupt):
        run_training(request(corpus, tmp_path / "m.pth"))
    assert n_saved == 2
    assert load_run(tmp_path / ".m.pth.run")[1]["log"].n_steps == 20
    assert "the checkpoint is of step 20;" in capsys.readouterr().err


def test_checkpoint_of_another_version_is_one_line(stopped: Path) -> None:
    path = stopped.parent / ".m.pth.run" / CHECKPOINT_NAME
    data = torch.load(path, weights_only=True)
    data["learner"]["optimizers"] = data["learner"]["optimizers"][:1]
    torch.save(data, path)
    with pytest.raises(UserError, match=r"from another version.*rm -r"):
        run_training(TrainOptions(resume=True, model_path=str(stopped), device="cpu"))


def test_unresumable_run_is_reported(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def diverge(*_: object) -> None:
        raise train_state.DivergedError("steps 1 to 20: no number")

    monkeypatch.setattr(train, "train", diverge)
    with pytest.raises(UserError):
        run_training(request(corpus, tmp_path / "m.pth"))
    said = capsys.readouterr().err
    assert "this run cannot be resumed; discard it: rm -r" in said
    assert "resume with" not in said


def test_stopped_during_the_comparison_saves_the_model(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(finalize, "_draw", _press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        run_training(request(corpus, tmp_path / "m.pth"))
    said = capsys.readouterr().err
    assert "saved: " in said
    assert "resume with" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.pth", "m.tokenizer.pth", "text.py"]


def _press_ctrl_c(*_: object) -> None:
    raise KeyboardInterrupt
