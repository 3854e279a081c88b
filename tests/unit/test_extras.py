"""Without PyTorch, everything except training works, and training reports how to install it."""

import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tinycopilot import UserError, extras

ROOT = Path(__file__).parents[2]
HIDDEN = "import sys; sys.modules['torch'] = None; from tinycopilot.cli import main; sys.exit(main(sys.argv[1:]))"


def run_without_torch(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", HIDDEN, *words], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("words", [["train"], ["--train"], ["train", "--resume"], ["adapt", "."]])
def test_training_without_torch_says_what_to_install(words: list[str], tmp_path: Path) -> None:
    done = run_without_torch(words, tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("tinycopilot: training needs PyTorch")
    assert "about 200 MB" in line
    assert f"{sys.executable} -m pip install" in line
    assert list(tmp_path.iterdir()) == []


def test_commands_quote_paths_with_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/home/a b/bin/python")
    assert extras.install_command("--upgrade", "torch>=2.9", "x<1") == (
        '"/home/a b/bin/python" -m pip install --upgrade "torch>=2.9" "x<1"'
    )
    monkeypatch.setattr(extras, "has_torch", lambda: False)
    with pytest.raises(UserError, match='"/home/a b/bin/python" -m pip install "torch>='):
        extras.require_torch("training")
    assert extras.in_command("/home/ab/bin/tinycopilot") == "/home/ab/bin/tinycopilot"


def test_broken_torch_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise OSError('libtorch.so: cannot open shared object file\\nsecond line')\n")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=r"^training needs PyTorch, which does not load \(libtorch") as caught:
        extras.require_torch("training")
    assert "\n" not in str(caught.value)


def test_ctrl_c_while_torch_is_imported_stops_afterwards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = "import signal\ntry:\n    signal.raise_signal(signal.SIGINT)\nexcept KeyboardInterrupt:\n    raise OSError\n"
    (tmp_path / "torch.py").write_text(code)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        extras.require_torch("training")
    assert signal.getsignal(signal.SIGINT) is before


def test_train_extra_is_what_the_message_installs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["optional-dependencies"]["train"] == [extras.TORCH]
    assert project["optional-dependencies"]["http"] == [*extras.HTTP]
    assert not any(requirement.startswith("torch") for requirement in project["dependencies"])


def test_extension_installs_the_same_torch() -> None:
    source = (ROOT / "editors" / "vscode" / "src" / "install.ts").read_text("utf-8")
    assert f"const TORCH = '{extras.TORCH}';" in source


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not delete the current folder of a process")
def test_deleted_working_folder_is_reported_before_pytorch_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(UserError, match="the current folder no longer exists; change to another one"):
        extras.require_torch("training")
