"""The command `play`: check the arguments, then run the terminal UI."""

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
    """Run the command; print the model first, and a summary at the end. Raises UserError."""
    if any(stream is None or not stream.isatty() for stream in (sys.stdin, sys.stdout)):  # None: closed
        raise UserError("play needs a terminal; `tinycopilot generate` works without one")
    text_file = TextFile(user_path(file)) if file is not None else None
    folder = user_path(workspace) if workspace is not None else None
    if folder and not folder.is_dir():
        raise UserError(f"{folder}: not a folder; --workspace expects the folder to index")
    paths, origin = find_model(model_path, tokenizer_path, workspace=str(folder) if folder else None)
    if not paths.model.is_file():
        raise UserError(f"{paths.model}: model file not found; use another --model_path")
    say(describe_model(paths, origin))  # visible again after the UI exits
    settings = CompleterSettings(eagerness=eagerness, max_lines=max_lines)
    engine = EngineWorker(loader(paths, settings), project(text_file, folder))
    terminal = Terminal(engine, text_file, max_lines)
    asyncio.run(terminal.run())
    say(summary(terminal.ghost))
    if not engine.close():
        os._exit(0)  # do not wait; a normal exit would crash a thread that compiles


def project(file: TextFile | None, folder: Path | None) -> Project:
    """Return the Project; the file has its path relative to the folder, so that it is not indexed twice."""
    path = file.path.resolve() if file else None
    suffixes = (path.suffix.lower(),) if path and path.suffix else (".py",)
    if path is None or folder is None or not path.is_relative_to(folder.resolve()):
        return Project(str(path or ""), folder, suffixes)
    return Project(path.relative_to(folder.resolve()).as_posix(), folder, suffixes)


def summary(ghost: GhostText) -> str:
    """Return a line about the keystrokes saved."""
    keys = f"{ghost.n_accepted} key" + "s" * (ghost.n_accepted != 1)
    return f"{ghost.n_accepted_chars} characters came from suggestions, with {keys}: {ghost.n_keys_saved} keys saved."
