"""Install, use, update and uninstall the wheel with pip, pipx and uv, each in an empty home folder.

    python tests/install_tools.py WHEEL [--tools pip pipx uv] [--python PYTHON] [--extra http]

Needs a package registry for the dependencies, and the programs pipx and uv, if they are listed. After `tinycopilot
clean --all` and the uninstallation, no file of tinycopilot may be left. Not part of the test suite: the release
workflow runs it, on the oldest and the newest Python. It compiles once per tool, unless NUMBA_CACHE_DIR has compiled
code.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

PROGRAMS = ("tinycopilot", "tinycopilot-server")
LIMIT_S = 1_800


class Home:
    """An empty home folder, and a tool that installs there."""

    def __init__(self, folder: Path, tool: str, python: str) -> None:
        self.folder, self.tool, self.python = folder, tool, python
        self.bin = folder / ("env/bin" if tool == "pip" else "bin")
        if os.name == "nt" and tool == "pip":
            self.bin = folder / "env/Scripts"
        kinds = {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("DATA", "STATE", "CONFIG")}
        self.environment = {**os.environ, **kinds, "HOME": str(folder), "PIPX_HOME": str(folder / "pipx")}
        self.environment |= {"PIPX_BIN_DIR": str(self.bin), "PIPX_DEFAULT_PYTHON": python}
        self.environment |= {"UV_TOOL_DIR": str(folder / "uv"), "UV_TOOL_BIN_DIR": str(self.bin)}
        self.environment.pop("PYTHONPATH", None)
        if cache := self.environment.get("NUMBA_CACHE_DIR"):  # a copy, since `clean` deletes it
            shutil.copytree(cache, folder / "compiled")
            self.environment["NUMBA_CACHE_DIR"] = str(folder / "compiled")

    def run(self, *words: str, text: str = "") -> str:
        """Run a command in this home folder; return its output. Raises RuntimeError if it fails."""
        start_s = time.perf_counter()
        print(f"{self.tool}> {' '.join(words)}", flush=True)
        done = subprocess.run(
            words, cwd=self.folder, env=self.environment, input=text, capture_output=True, text=True, timeout=LIMIT_S
        )
        if done.returncode != 0:
            raise RuntimeError(f"{words[0]}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        print(f"    {time.perf_counter() - start_s:.0f} s", flush=True)
        return done.stdout + done.stderr

    def install(self, requirement: str) -> None:
        if self.tool == "pip":
            self.run(self.python, "-m", "venv", str(self.folder / "env"))
            self.run(self._environment_python(), "-m", "pip", "install", "--quiet", requirement)
        elif self.tool == "pipx":
            self.run("pipx", "install", requirement)
        else:
            self.run("uv", "tool", "install", "--python", self.python, requirement)

    def update(self, requirement: str) -> None:
        if self.tool == "pip":
            self.run(self._environment_python(), "-m", "pip", "install", "--quiet", "--upgrade", requirement)
        elif self.tool == "pipx":
            self.run("pipx", "install", "--force", requirement)
        else:
            self.run("uv", "tool", "install", "--force", "--python", self.python, requirement)

    def uninstall(self) -> None:
        if self.tool == "pip":
            self.run(self._environment_python(), "-m", "pip", "uninstall", "--yes", "tinycopilot")
        elif self.tool == "pipx":
            self.run("pipx", "uninstall", "tinycopilot")
        else:
            self.run("uv", "tool", "uninstall", "tinycopilot")

    def program(self, name: str) -> str:
        found = shutil.which(name, path=str(self.bin))
        assert found is not None, f"{self.tool}: there is no {name} in {self.bin}"
        return found

    def _environment_python(self) -> str:
        return self.program("python")

    def remaining(self) -> list[str]:
        """Return the paths of tinycopilot's files and folders, except for caches, logs and locks of the tools."""
        found = [path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*tinycopilot*")]
        return [path for path in found if not path.startswith((".cache/", "pipx/logs/", "pipx/venvs/."))]


def check(tool: str, python: str, wheel: Path, extra: str) -> None:
    """Install, use, update and uninstall once. Raises AssertionError or RuntimeError."""
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name).resolve(), tool, python)
        requirement = f"{wheel}[{extra}]" if extra else str(wheel)
        home.install(requirement)
        tinycopilot = home.program("tinycopilot")
        version = home.run(tinycopilot, "--version").split()[1]
        assert version == wheel.name.split("-")[1]
        assert "--tcp" in home.run(home.program("tinycopilot-server"), "--help")
        words = ("generate", "--temperature", "0", "--max_new_chars", "6", "import o")
        assert "import o" in home.run(tinycopilot, *words)
        assert "(ships with tinycopilot)" in home.run(tinycopilot, *words)
        home.update(requirement)
        assert home.run(tinycopilot, "--version").split()[1] == version
        own = home.folder / "data" / "tinycopilot" / "paras" / "tiny_gpt.pth"
        own.parent.mkdir(parents=True)
        own.write_bytes(b"trained")
        home.run(tinycopilot, "clean", "--yes")
        assert own.exists()  # without --all, trained models are kept
        print("    " + home.run(tinycopilot, "clean", "--all", "--yes").replace("\n", "\n    ").rstrip())
        assert not own.exists()
        home.uninstall()
        assert home.remaining() == [], home.remaining()
        assert not any((home.bin / program).exists() for program in PROGRAMS)
        print(f"{tool}: installed, used, updated, cleaned and uninstalled; nothing is left", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--tools", nargs="+", default=["pip", "pipx", "uv"], choices=["pip", "pipx", "uv"])
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--extra", default="")
    arguments = parser.parse_args(argv)
    for tool in arguments.tools:
        check(tool, arguments.python, arguments.wheel.resolve(), arguments.extra)
    return 0


if __name__ == "__main__":
    sys.exit(main())
