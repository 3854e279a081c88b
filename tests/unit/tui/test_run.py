"""The command as a user runs it: in a real terminal, and without one."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tinycopilot import UserError
from tinycopilot.completion.indexing import Project
from tinycopilot.paths import ModelPaths
from tinycopilot.tui.ghost_text import GhostText
from tinycopilot.tui.run import run_play, summary

NOTHING_SAID: dict[str, Any] = {
    **{"file": None, "workspace": None, "eagerness": 0.5, "max_lines": 1, "model_path": None, "tokenizer_path": None},
    "say": print,
}
ENDLESS = """
import sys, threading
from tinycopilot import cli
from tinycopilot.tui import run
run.loader = lambda *_: threading.Event().wait
sys.exit(cli.main(["play"]))
"""


def test_without_a_terminal_is_one_line(pair: ModelPaths, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tinycopilot", "play", str(tmp_path / "a.py"), "--model-path", str(pair.model)]
    result = subprocess.run(words, input="x", capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert "needs a terminal" in line
    assert not (tmp_path / "a.py").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"file": ".env"}, "secret file"),
        ({"workspace": "a.py"}, "not a folder"),
        ({"model_path": "missing.pth"}, "model file not found"),
    ],
)
def test_bad_input_is_reported_before_the_screen_opens(
    options: dict[str, str], says: str, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (in_folder / "a.py").write_text("x\n")
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True)
    with pytest.raises(UserError, match=says):
        run_play(**{**NOTHING_SAID, **options})


def test_workspace_file_uses_its_relative_name(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    (folder / "part").mkdir(parents=True)
    inside, outside = folder / "part" / "new.JS", tmp_path / "plain"
    assert Project.of(inside, folder) == Project("part/new.JS", folder, (".js",))
    assert Project.of(outside, folder) == Project(str(tmp_path / "plain"), folder, (".py",))
    assert Project.of(None, folder) == Project("", folder, (".py",))
    assert Project.of(inside, None) == Project(str(folder / "part" / "new.JS"), None, (".js",))


def test_closing_line() -> None:
    ghost = GhostText()
    assert summary(ghost) == "0 characters came from suggestions, with 0 keys: 0 keys saved."
    ghost.n_accepted, ghost.n_accepted_chars = 1, 10
    assert summary(ghost) == "10 characters came from suggestions, with 1 key: 9 keys saved."


class RealTerminal:
    """Python in a pseudo-terminal."""

    def __init__(self, *words: str) -> None:
        import termios
        from pty import openpty

        self._ours, theirs = openpty()
        termios.tcsetwinsize(theirs, (24, 80))
        environment = {**os.environ, "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            [sys.executable, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        )
        os.close(theirs)
        self.seen = ""

    def until(self, words: str) -> None:
        """Read until all of these are written."""
        while words not in self.seen:
            self.seen += os.read(self._ours, 65536).decode()

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def __enter__(self) -> "RealTerminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


needs_a_terminal = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")


@pytest.mark.slow
@needs_a_terminal
def test_real_terminal(pair: ModelPaths, tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"x = 1\r\n")
    words = ("-m", "tinycopilot", "play", str(path), "--model_path", str(pair.model), "--workspace", str(tmp_path))
    with RealTerminal(*words) as terminal:
        terminal.until("Tab accept")
        terminal.press("if y:\rz\x13")
        terminal.until("Saved")
        assert path.read_bytes() == b"x = 1\r\nif y:\r\n    z"
        terminal.press("!\x11\x11")
        terminal.until("keys saved.")
        assert terminal.process.wait(60) == 0
        assert path.read_bytes() == b"x = 1\r\nif y:\r\n    z"


@pytest.mark.slow
@needs_a_terminal
def test_quit_does_not_wait_for_a_loading_model() -> None:
    with RealTerminal("-c", ENDLESS) as terminal:
        terminal.until("loading the model ...")
        terminal.press("x\x11")
        terminal.until("0 keys saved.")
        assert terminal.process.wait(60) == 0
