"""Shared by the tests of editors without ghost text: the project, the settings and the environment."""

import os
import re
import shlex
import shutil
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "editors" / "README.md"
LINE = 'say("🙂 né", open(path_{}, encoding="utf-8").read())\n'
"""An emoji has 1, 2 or 4 code units, depending on the encoding; a conversion error shifts the positions after it."""
PREFIX, TYPED = "".join(map(LINE.format, range(5))) + 'say("🙂 né", ', "op"
EXPECTED = "open(path_"
"""Prefix of the expected entry, which occurs five times above."""


def settings(language: str) -> str:
    """Return the documented configuration: the code blocks in `language` in editors/README.md."""
    found = re.findall(rf"```{language}\n(.*?)```", README.read_text("utf-8"), re.S)
    if not found:
        raise AssertionError(f"{README}: no code block in {language}")
    return "\n".join(found)


def environment(folder: Path, server: list[str]) -> dict[str, str]:
    """Return the editor's environment variables: `tinycopilot-server` is on PATH, and state is stored in `folder`."""
    program = shutil.which(server[0])
    if program is None:
        raise FileNotFoundError(f"program not found: {server[0]}")
    path = folder / "bin" / "tinycopilot-server"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec {shlex.join([str(Path(program).absolute()), *server[1:]])} "$@"\n')
    path.chmod(0o755)
    homes = {f"XDG_{kind.upper()}_HOME": str(folder / kind) for kind in ("state", "data", "cache", "config")}
    return {**os.environ, **homes, "HOME": str(folder), "PATH": f"{path.parent}:{os.environ['PATH']}"}


def new_project(folder: Path) -> Path:
    """Create a project with a file to complete at its end; return the file."""
    project = folder / "project"
    (project / ".git").mkdir(parents=True)
    file = project / "readings.py"
    file.write_text(PREFIX, "utf-8")
    return file


def check_file(file: Path) -> str:
    """Check that the entry was inserted in the right place, and nothing else changed; return its line."""
    text = file.read_text("utf-8").removesuffix("\n")
    line = text.removeprefix(PREFIX)
    if not text.startswith(PREFIX) or not line.startswith(EXPECTED) or "\n" in line:
        raise AssertionError(f"not {PREFIX + EXPECTED!r} and more in one line, but\n{text!r}")
    return 'say("🙂 né", ' + line
