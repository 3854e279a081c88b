"""The `explain` command: read the text and cursor, index the project, and print the trace or write the page."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tinycopilot import UserError
from tinycopilot.completion.engine import Engine, Request
from tinycopilot.completion.indexing import MAX_WORKSPACE_CHARS, Project
from tinycopilot.completion.request import CompleterSettings
from tinycopilot.explain.terminal import show
from tinycopilot.explain.trace import MAX_CHARS, trace
from tinycopilot.files.left_out import MAX_BYTES
from tinycopilot.files.reading import read_source
from tinycopilot.files.secret_files import is_secret_place
from tinycopilot.page_file import check_page, write_page
from tinycopilot.paths import describe_model, find_model, folder_to_index, real_path, user_path

EXAMPLE: Final = "import argparse\n\n\ndef main():\n    parser = argparse.ArgumentParser()\n    parser.add_arg"
"""Default text."""
PLACE: Final = re.compile(r"(.+):(\d{1,18}):(\d{1,18})", re.DOTALL)
"""FILE:LINE:COLUMN. (`int` refuses thousands of digits.)"""


def run_explain(
    target: str | None,
    *,
    workspace: str | None,
    html: str | None,
    eagerness: float,
    model_path: str | None,
    tokenizer_path: str | None,
    say: Callable[[str], None],
) -> None:
    """Run the command. Raises UserError."""
    page = real_path(html) if html is not None else None
    if page:
        check_page(page, "--html")
    request, project = read_target(target, workspace)
    folder = project.folder
    paths, origin = find_model(model_path, tokenizer_path, workspace=str(folder) if folder else None)
    engine = Engine.load(paths, CompleterSettings(eagerness=eagerness))
    say(describe_model(paths, origin))
    notes = list[str]()
    if n := project.index(lambda function: function(engine.ngrams)):
        notes.append(f"{n:,} files are not indexed: the limit is {MAX_WORKSPACE_CHARS // 1_000_000} MB")
    if len(request.before) > MAX_CHARS:
        notes.append(f"explained: the last {MAX_CHARS} of {len(request.before):,} characters before the cursor")
    for line in notes:
        say(line)
    traced = trace(engine, request, MAX_CHARS)
    if not page:
        show(traced)
        return
    from tinycopilot.explain.page import render  # noqa: PLC0415 (the terminal does without Jinja2)

    write_page(page, render(traced, page, model=f"{paths.model.name} ({origin.value})", notes=notes), "page")
    say(f"page: {page}")


def read_target(target: str | None, workspace: str | None) -> tuple[Request, Project]:
    """Return the request for `target`, TEXT or FILE:LINE:COLUMN, and its project; for None, the example.

    The default workspace of a file is its folder; a text has none. Raises UserError.
    """
    folder = folder_to_index(workspace)
    if target and os.path.isfile(file := re.sub(r":\d{0,18}$", "", target)):  # noqa: PTH113 (False for any other text)
        raise UserError(f"{file}: add the cursor's position, as in {file}:1:1 (line and column, counted from 1)")
    place = PLACE.fullmatch(target) if target is not None else None
    if place is None or not _is_file_name(place[1]):
        return Request(EXAMPLE if target is None else target), Project(folder=folder)
    path = user_path(place[1])
    project = Project.of(path, folder or path.resolve().parent)
    return Request(*_sides(path, int(place[2]), int(place[3])), project.document), project


def _is_file_name(word: str) -> bool:
    """Whether a word is, or looks like, a file name: `a.py`, `src/a`; not `x[1` in the text `x[1:2:3`."""
    try:
        return user_path(word).exists() or re.fullmatch(r"[\w.~/\\:-]*(\.\w+|/[\w.-]+)", word) is not None
    except PermissionError:  # in a folder that is not readable
        return True
    except (OSError, ValueError):  # too long, or with a null character
        return False


def _sides(path: Path, line: int, column: int) -> tuple[str, str]:
    """Return the text of a file before and after a position. Raises UserError."""
    if not path.exists():
        raise UserError(f"{path}: file not found; check the path, or quote a text that does not end with :LINE:COLUMN")
    if not path.is_file():
        raise UserError(f"{path}: not a regular file; name a text file")
    if is_secret_place(path):
        raise UserError(f"{path}: probably a secret file, so it is never read")
    text = read_source(path, max_bytes=MAX_BYTES)
    lines = text.split("\n")
    if not 1 <= line <= len(lines):
        raise UserError(f"{path}: has no line {line}; use a line from 1 to {len(lines)}")
    if not 1 <= column <= len(lines[line - 1]) + 1:
        raise UserError(f"{path}: line {line} has no column {column}; use one from 1 to {len(lines[line - 1]) + 1}")
    at = sum(len(above) + 1 for above in lines[: line - 1]) + column - 1
    return text[:at], text[at:]
