"""The command `adapt` in this process: its training text, and the files that it saves and removes."""

import json
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from tinycopilot import UserError
from tinycopilot.cli import main
from tinycopilot.completion.network import Network
from tinycopilot.evaluation import adapt, comparison
from tinycopilot.files.gitignore import as_pattern
from tinycopilot.model.gpt import load_pair
from tinycopilot.model.storage import load_data
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import ModelPaths, model_to_load, user_data_folder, user_model, workspace_model
from tinycopilot.training import train
from tinycopilot.training.checkpoint import run_folder

pytestmark = pytest.mark.slow

MINUTES = 0.005


@pytest.fixture(autouse=True)
def little_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the models on few characters."""
    monkeypatch.setattr(adapt, "MEASURED_CHARS", 300)


@pytest.fixture
def base(pair: ModelPaths) -> ModelPaths:
    """The user's own model, tiny and random."""
    user_model().model.parent.mkdir(parents=True)
    for path in (pair.model, pair.tokenizer):
        shutil.move(path, user_model().model.parent / path.name)
    return model_to_load()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    for i in range(12):
        names = [f"{a}{b}" for a in "abcdefgh" for b in "stuvwxyz"]
        lines = [f"def size_of_{name}_{i}(number):\n    return {i} + number\n\n\n" for name in names]
        (folder / f"module_{i}.py").write_text("".join(lines)[: 2_400 + i])
    (folder / "secrets.py").write_text("password = 'hunter2'\n" * 50)
    return folder


@pytest.fixture
def always_better(monkeypatch: pytest.MonkeyPatch) -> None:
    """The result of such a short run depends on the machine."""
    monkeypatch.setattr(comparison.Comparison, "is_better", True)


@pytest.fixture
def never_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison.Comparison, "is_better", False)


def run(*words: str) -> int:
    return main(["adapt", *words, "--minutes", str(MINUTES), "--device", "cpu"])


def kept() -> list[Path]:
    return sorted(path for path in (user_data_folder() / "workspaces").rglob("*"))


@pytest.mark.usefixtures("always_better")
def test_better_model_is_kept_for_this_workspace_only(
    folder: Path, base: ModelPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    before = base.model.read_bytes()
    assert run(str(folder)) == 0
    own = workspace_model(str(folder))
    assert model_to_load(workspace=str(folder)) == own
    assert model_to_load(workspace=str(folder.parent)) == base
    assert kept() == sorted([own.model.parent, own.model, own.tokenizer])  # neither text nor run
    assert base.model.read_bytes() == before
    network, tokenizer = load_pair(own.model, own.tokenizer)
    old, old_tokenizer = load_pair(base.model, base.tokenizer)
    assert (network.config, tokenizer.digest) == (old.config, old_tokenizer.digest)
    said = capsys.readouterr()
    assert " bits per character on 1 file held out" in said.out
    assert "in use" in said.out
    assert said.err.count("secrets.py") == 1  # the skipped file is reported
    training = load_data(own.model, "model", {"training": dict})["training"]
    [held_out] = adapt.read_workspace([str(folder)], [".py"]).held_out
    n_chars = sum(len(path.read_text()) + 1 for path in folder.glob("module_*.py") if str(path) != held_out)
    assert training["train_chars"] + training["held_out_chars"] == n_chars


@pytest.mark.usefixtures("base", "never_better")
def test_model_that_is_not_better_is_discarded(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(folder), "--progress", "json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    stages = [line["stage"] for line in lines]
    assert list(dict.fromkeys(stages)) == ["reading", "training", "measuring", "done"]
    assert lines[-1]["message"].endswith("not better; the model is unchanged")
    assert lines[-1]["better"] is False
    assert kept() == []


@pytest.mark.usefixtures("always_better")
def test_base_is_the_general_model_and_comparison_is_with_the_current_one(
    folder: Path, base: ModelPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(str(folder)) == 0
    own = workspace_model(str(folder))
    first = own.model.read_bytes()
    began_with, compared = list[str | None](), list[Network]()
    original, measure = adapt.train_without_saving, adapt.measure_bits

    def train(request, *rest):  # type: ignore[no-untyped-def]
        began_with.append(request.init)
        return original(request, *rest)

    def measured(network: Network, tokenizer: SimpleTokenizer, *rest):  # type: ignore[no-untyped-def]
        compared.append(network)
        return measure(network, tokenizer, *rest)

    monkeypatch.setattr(adapt, "train_without_saving", train)
    monkeypatch.setattr(adapt, "measure_bits", measured)
    (folder / "module_1.py").write_text((folder / "module_1.py").read_text() + "more = 1\n" * 30)
    own_before = Network.load(own.model)
    assert run(str(folder)) == 0
    assert began_with == [str(base.model)]
    logits, logits_before = (network.forward([1, 2, 3], network.new_cache()) for network in (compared[0], own_before))
    assert (logits == logits_before).all()
    assert own.model.read_bytes() != first
    own.tokenizer.write_bytes(b"damaged")
    assert run(str(folder)) == 0  # a damaged one is replaced
    load_pair(own.model, own.tokenizer)


@pytest.mark.usefixtures("base")
def test_interrupted_run_leaves_no_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "find_anomaly", stop)
    assert run(str(folder)) == 130
    assert kept() == []


@pytest.mark.usefixtures("base")
def test_invalid_input_is_one_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def problem(*words: str) -> str:
        assert run(*words) == 2
        [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("tinycopilot: ")]
        return line

    assert "not a folder" in problem(str(tmp_path / "nowhere"))
    (tmp_path / ".ssh").mkdir()
    assert "secrets" in problem(str(tmp_path / ".ssh"))
    assert "is too little: training needs 20,000" in problem(str(folder), "--ext", "rs")
    (tmp_path / "binary").mkdir()
    (tmp_path / "binary" / "one.py").write_bytes(b"\0\1")
    assert "files (left out: 1 binary file (one.py))" in problem(str(tmp_path / "binary"))
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "one.py").write_text("".join(f"x_{i} = {i}\n" for i in range(3_000)))
    assert "in at least two different files" in problem(str(tmp_path / "one"))
    shutil.copy(tmp_path / "one" / "one.py", tmp_path / "one" / "two.py")
    assert "in at least two different files" in problem(str(tmp_path / "one"))
    room = run_folder(workspace_model(str(folder)))
    room.mkdir(parents=True)
    with FileLock(room / "lock"):
        assert "another run is active here; wait for it" in problem(str(folder))
    shutil.rmtree(room.parent)
    room.parent.parent.mkdir(exist_ok=True)
    room.parent.write_text("a file where a folder should be")
    assert "cannot store the run there" in problem(str(folder))
    room.parent.unlink()


@pytest.mark.usefixtures("always_better")
def test_full_disk_keeps_the_old_model(folder: Path, base: ModelPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = base.model.read_bytes()
    monkeypatch.setattr(adapt, "replace_pair", refuse)
    with pytest.raises(UserError, match=r"No space left on device.*the previous one is kept"):
        adapt.run_adaptation([str(folder)], ext=["py"], minutes=MINUTES, device="cpu", progress=None, answer=print)
    assert kept() == []
    assert base.model.read_bytes() == before


@pytest.mark.usefixtures("base")
def test_several_folders_are_one_workspace(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "module_0.py").write_text("def f(x):\n    return x\n" * 20)
    workspace = adapt.read_workspace([str(folder), str(other)], [".py"])
    assert str(other / "module_0.py") in workspace.texts
    assert workspace.excluded >= set(map(Path, workspace.held_out))
    assert sum(e.last - e.first for e in workspace.excerpts()) <= adapt.MEASURED_CHARS


def test_excluded_files_are_not_used_at_all(folder: Path) -> None:
    names = {f"module_{i}.py" for i in range(3)}
    workspace = adapt.read_workspace([str(folder)], [".py"], ["module_[0-2].py"])
    assert names.isdisjoint(Path(path).name for path in (*workspace.texts, *workspace.held_out))
    assert names <= {path.name for path in workspace.excluded}


def test_forgotten_file_is_excluded_by_its_absolute_path(folder: Path) -> None:
    forgotten = str(folder / "module_0.py")
    workspace = adapt.read_workspace([str(folder)], [".py"], [as_pattern(forgotten)])
    assert forgotten not in workspace.texts
    assert Path(forgotten) in workspace.excluded


def test_invalid_pattern_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(folder), "--exclude=!") == 2
    assert "'!'" in capsys.readouterr().err
