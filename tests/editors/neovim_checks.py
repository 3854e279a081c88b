"""Everything a user does with ghost text in Neovim, one check each, in real Neovim in a real terminal.

    python neovim_checks.py NVIM --server COMMAND...

The checks are in neovim_typing.py and neovim_at_work.py. Each types into a file of its own, and prints one line; a
failure says what was shown and what came of it. It exits with 1 if any fails. What it needs is what
neovim_ghost_text.py needs. From the root of a clone:

    tests/editors/install_editors.sh .editors nvim
    .editors/python/bin/python tests/editors/neovim_checks.py .editors/nvim/run --server .venv/bin/tinycopilot-server
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import neovim_at_work
import neovim_typing
import pynvim
from neovim_editor import Editor, found
from neovim_user import TEXT, User


def main() -> int:
    parser = argparse.ArgumentParser(description="Use tinycopilot in real Neovim as its users do.")
    parser.add_argument("nvim", help="the program")
    parser.add_argument("--only", default="", help="the checks whose names contain this")
    parser.add_argument("--server", nargs=argparse.REMAINDER, default=["tinycopilot-server"], help="its command")
    arguments = parser.parse_args()
    all_checks = neovim_typing.CHECKS + neovim_at_work.CHECKS  # the later ones look at what the first have counted
    checks = [one for one in all_checks if arguments.only in one.__name__]
    if not checks:
        parser.error(f"no check's name contains {arguments.only}")
    folder = Path(tempfile.mkdtemp(prefix="ghost"))  # a short path: sockets lie in it
    project = folder / "project"
    project.mkdir()
    (project / "pyproject.toml").touch()
    n_failed, editor = 0, None
    try:
        (project / "start.py").write_text(TEXT)
        program, *options = arguments.server
        editor = Editor(folder, found(arguments.nvim), project / "start.py", [found(program), *options])
        editor.wait_until_ready()
        user = User(editor, project)
        for one in checks:
            since = time.monotonic()
            editor.watch(60)
            try:
                one(user)
            except (AssertionError, TimeoutError, pynvim.NvimError) as error:
                n_failed += 1
                print(f"FAILED  {one.__name__}: {type(error).__name__}: {error}", flush=True)
            else:
                print(f"ok      {one.__name__} ({time.monotonic() - since:.1f} s)", flush=True)
    except (AssertionError, OSError, subprocess.SubprocessError, pynvim.NvimError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    finally:
        if editor:
            if n_failed and editor.log.exists():
                print(*editor.log.read_text(errors="replace").splitlines()[-15:], sep="\n", file=sys.stderr)
            editor.close()
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
