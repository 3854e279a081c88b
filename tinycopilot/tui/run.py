"""The `play` command: check the arguments, then run the terminal UI."""

import asyncio
import os
import sys
from collections.abc import Callable
from functools import partial

from tinycopilot import UserError
from tinycopilot.completion.indexing import Project
from tinycopilot.completion.request import CompleterSettings
from tinycopilot.paths import describe_model, find_model, folder_to_index, user_path
from tinycopilot.tui.engine import EngineWorker, load_engine
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
    folder = folder_to_index(workspace)
    paths, origin = find_model(model_path, tokenizer_path, workspace=str(folder) if folder else None)
    if not paths.model.is_file():
        raise UserError(f"{paths.model}: model file not found; use another --model-path")
    say(describe_model(paths, origin))  # visible again after the UI exits
    settings = CompleterSettings(eagerness=eagerness, max_lines=max_lines)
    project = Project.of(text_file.path if text_file else None, folder)
    engine = EngineWorker(partial(load_engine, paths, settings), project)
    terminal = Terminal(engine, text_file, max_lines)
    asyncio.run(terminal.run())
    say(summary(terminal.ghost))
    if not engine.close():
        os._exit(0)  # do not wait; a normal exit would crash a thread that compiles


def summary(ghost: GhostText) -> str:
    """Return a line about the keystrokes saved."""
    keys = f"{ghost.n_accepted} key" + "s" * (ghost.n_accepted != 1)
    return f"{ghost.n_accepted_chars} characters came from suggestions, with {keys}: {ghost.n_keys_saved} keys saved."
