"""The command `play`: what was asked for is looked at first, and then the terminal is its."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

from tinycopilot import UserError
from tinycopilot.completion.truncation import CompleterSettings
from tinycopilot.paths import describe_model, find_model, user_path
from tinycopilot.tui.engine import EngineWorker, Project, loader
from tinycopilot.tui.ghost_text import GhostText
from tinycopilot.tui.terminal import Terminal
from tinycopilot.tui.text_file import TextFile


def run_play(
    file: str | None,
    *,
    workspace: str | None,
    eagerness: float,
    max_lines: int,
    model_path: str | None,
    tokenizer_path: str | None,
    say: Callable[[str], None],
) -> None:
    """The whole command; it says which model it uses, and in the end one line. Raises UserError."""
    if any(stream is None or not stream.isatty() for stream in (sys.stdin, sys.stdout)):  # None: it was closed
        raise UserError("play needs a terminal; `tinycopilot generate` works without one")
    text_file = TextFile(user_path(file)) if file is not None else None
    folder = user_path(workspace) if workspace is not None else None
    if folder and not folder.is_dir():
        raise UserError(f"{folder}: not a folder; --workspace expects the folder to index")
    paths, origin = find_model(model_path, tokenizer_path, workspace=str(folder) if folder else None)
    if not paths.model.is_file():
        raise UserError(f"{paths.model}: model file not found; use another --model_path")
    say(describe_model(paths, origin))  # seen again when the editor leaves the screen
    settings = CompleterSettings(eagerness=eagerness, max_lines=max_lines)
    engine = EngineWorker(loader(paths, settings), project(text_file, folder))
    terminal = Terminal(engine, text_file, max_lines)
    asyncio.run(terminal.run())
    say(summary(terminal.ghost))
    if not engine.close():
        os._exit(0)  # who quits does not wait; and Python's own end would tear a thread apart that is compiling


def project(file: TextFile | None, folder: Path | None) -> Project:
    """The file by its name below the folder if it is there, so that it is indexed once, as it is edited."""
    path = file.path.resolve() if file else None
    suffixes = (path.suffix.lower(),) if path and path.suffix else (".py",)
    if path is None or folder is None or not path.is_relative_to(folder.resolve()):
        return Project(str(path or ""), folder, suffixes)
    return Project(path.relative_to(folder.resolve()).as_posix(), folder, suffixes)


def summary(ghost: GhostText) -> str:
    """What the suggestions were good for."""
    keys = f"{ghost.n_accepted} key" + "s" * (ghost.n_accepted != 1)
    return f"{ghost.n_accepted_chars} characters came from suggestions, with {keys}: {ghost.n_keys_saved} keys saved."
