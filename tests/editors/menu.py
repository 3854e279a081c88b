"""Shared by tests of editors with completion menus only: a project, its settings, and the server's command."""

import os
import re
import shlex
import shutil
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "editors" / "README.md"
LINE = 'say("🙂 né", open(path_{}, encoding="utf-8").read())\n'
"""An emoji takes 1, 2 or 4 code units, depending on the encoding; a conversion error shifts the positions after it."""
BEGUN, TYPED = "".join(map(LINE.format, range(5))) + 'say("🙂 né", ', "op"
WANTED = "open(path_"
"""Prefix of the expected entry, which occurs five times above."""


def settings(language: str) -> str:
    """Return the code blocks of a language in editors/README.md, the documented configuration."""
    found = re.findall(rf"```{language}\n(.*?)```", README.read_text("utf-8"), re.S)
    if not found:
        raise AssertionError(f"no settings in {language} in {README}")
    return "\n".join(found)


def environment(folder: Path, server: list[str]) -> dict[str, str]:
    """Return the editor's environment: `tinycopilot-server` is on PATH, and state is stored in `folder`."""
    program = shutil.which(server[0])
    if program is None:
        raise FileNotFoundError(f"there is no program {server[0]}")
    path = folder / "bin" / "tinycopilot-server"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec {shlex.join([str(Path(program).absolute()), *server[1:]])} "$@"\n')
    path.chmod(0o755)
    homes = {f"XDG_{kind.upper()}_HOME": str(folder / kind) for kind in ("state", "data", "cache", "config")}
    return {**os.environ, **homes, "HOME": str(folder), "PATH": f"{path.parent}:{os.environ['PATH']}"}


def new_project(folder: Path) -> Path:
    """Create a file to complete at its end."""
    project = folder / "project"
    (project / ".git").mkdir(parents=True)
    file = project / "readings.py"
    file.write_text(BEGUN, "utf-8")
    return file


def check_file(file: Path) -> str:
    """Check that the entry is in the right place and nothing else has changed; return its line."""
    text = file.read_text("utf-8").removesuffix("\n")
    line = text.removeprefix(BEGUN)
    if not text.startswith(BEGUN) or not line.startswith(WANTED) or "\n" in line:
        raise AssertionError(f"not {BEGUN + WANTED!r} and more in one line, but\n{text!r}")
    return 'say("🙂 né", ' + line
