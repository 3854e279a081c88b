"""All commands and the server use the same model, and name it first."""

import io
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tinycopilot_server.models import to_use
from tinycopilot_server.settings import Settings

from tinycopilot import UserError
from tinycopilot.cli import main
from tinycopilot.completion import network
from tinycopilot.completion.engine import Engine
from tinycopilot.evaluation import adapt, bench, environment
from tinycopilot.model import gpt
from tinycopilot.paths import (
    ModelPaths,
    Origin,
    bundled_model,
    describe_model,
    model_to_load,
    user_model,
    workspace_model,
)
from tinycopilot.tui import run as play

CODE = "".join(f"def add_{i}(a, b):\n    return a + b + {i}\n\n\n" for i in range(600))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class UsedError(UserError):
    """Raised instead of loading a model, since no test here needs the rest of the command."""


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The models that were requested."""
    paths: list[Path] = []

    def load_pair(model: Path, _tokenizer: Path, **_: object) -> None:
        paths.append(model)
        raise UsedError("enough")

    def load(pair: ModelPaths, *_: object) -> None:
        load_pair(pair.model, pair.tokenizer)

    for module in (gpt, network, adapt):
        monkeypatch.setattr(module, "load_pair", load_pair)
    monkeypatch.setattr(bench, "load_widened", load)
    monkeypatch.setattr(Engine, "load", load)
    monkeypatch.setattr(play, "EngineWorker", lambda load_engine, _project: load_engine())
    monkeypatch.setattr(environment, "ask_environment", load)
    monkeypatch.setattr("sys.stdin", Terminal())
    return paths


@pytest.fixture
def project(in_folder: Path, pair: ModelPaths, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: two files of code, and a paras/ that a stranger may have added."""
    folder = in_folder / "project"
    for name in ("one.py", "two.py"):
        (folder / "src").mkdir(parents=True, exist_ok=True)
        (folder / "src" / name).write_text(CODE if name == "one.py" else CODE.upper())
    (folder / "paras").mkdir()
    shutil.copy(pair.model, folder / "paras" / "tiny_gpt.pth")
    shutil.copy(pair.tokenizer, folder / "paras" / "tokenizer.pth")
    monkeypatch.chdir(folder)
    return folder


def install(target: ModelPaths, pair: ModelPaths) -> ModelPaths:
    target.model.parent.mkdir(parents=True)
    shutil.copy(pair.model, target.model)
    shutil.copy(pair.tokenizer, target.tokenizer)
    return target


COMMANDS = [
    ["generate", "x"],
    ["eval", "src", "--max_chars", "5"],
    ["bench", "src"],
    ["play", "--workspace", "src"],
    ["adapt", "src"],
    ["doctor"],
]
"""Each loads the model before any other long work."""


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
@pytest.mark.usefixtures("project")
def test_all_commands_use_and_name_the_same_model(
    words: list[str], loaded: list[Path], pair: ModelPaths, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def used(expected: ModelPaths, origin: Origin, *more: str) -> None:
        loaded.clear()
        monkeypatch.setattr("sys.stdout", Terminal())
        code = main([*words, *more])
        out, err = sys.stdout.getvalue(), capsys.readouterr().err  # type: ignore[attr-defined]
        assert loaded[-1] == expected.model
        assert code == (1 if words[0] == "doctor" else 2)
        if words[0] == "doctor":
            assert f"{origin.value}: {expected.model}" in out
        elif words[0] == "generate":
            assert err == "tinycopilot: enough\n"  # a model that fails to load is not named
        elif words[0] != "adapt":  # it names the model after loading, since it may skip one
            assert (out if words[0] == "play" else err).splitlines()[0] == describe_model(expected, origin)

    used(bundled_model(), Origin.SHIPPED)
    users = install(user_model(), pair)
    used(users, Origin.USER)
    if words[0] != "adapt":
        used(ModelPaths(Path("paras/tiny_gpt.pth"), Path()), Origin.GIVEN, "--model_path", "paras/tiny_gpt.pth")


def test_server_uses_the_workspace_model_that_eval_and_play_use(
    project: Path, loaded: list[Path], pair: ModelPaths, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = str(project / "src")
    settings = Settings()
    assert to_use(settings, source) == (model_to_load(), Origin.SHIPPED) == (bundled_model(), Origin.SHIPPED)
    users = install(user_model(), pair)
    assert to_use(settings, source) == (users, Origin.USER)
    own = install(workspace_model(source), pair)
    assert to_use(settings, source) == (own, Origin.WORKSPACE)
    assert to_use(settings, str(project)) == to_use(settings, None) == (users, Origin.USER)
    for words, expected in (
        (["eval", "src"], own),
        (["eval", "src/one.py"], own),
        (["eval", "src/one.py", "--workspace", "."], users),
        (["eval", "src", "."], users),
        (["play", "--workspace", "src"], own),
        (["play"], users),
        (["generate", "x"], users),
    ):
        loaded.clear()
        monkeypatch.setattr("sys.stdout", Terminal())
        assert main(words) == 2
        assert loaded == [expected.model]
    assert "the model was trained on files in this folder" in capsys.readouterr().err


NEEDED = (
    *("torch", "numpy", "numba", "pygls", "lsprotocol"),
    *("platformdirs", "pathspec", "rich", "prompt_toolkit", "filelock"),
)
WITHOUT = """
import sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None
from tinycopilot.cli import main
sys.exit(main(["doctor"]))
"""


@pytest.mark.parametrize("missing", ["platformdirs", ",".join(NEEDED)], ids=["platformdirs", "all"])
def test_doctor_works_with_anything_missing(missing: str, temporary_home: Path) -> None:
    command = [sys.executable, "-c", WITHOUT, missing]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=temporary_home)
    assert "Traceback" not in done.stdout + done.stderr
    sections = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert sections[:6] == ["installed", "model", "device", "folders", "editors", "server"]
    assert done.returncode == 1
    assert "platformdirs cannot be imported" in done.stdout
