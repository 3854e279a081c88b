"""Training report: one self-contained HTML page, without scripts, fonts or network access.

`page` writes the page, `curves` chooses what is plotted, `chart` draws it, `frame` is shared by all reports.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from tinycopilot import UserError
from tinycopilot.training.log import TrainLog
from tinycopilot.training.report.page import page

MARKS = (b'<meta name="generator" content="tinycopilot">', b"content=\"default-src 'none'; style-src 'unsafe-inline'\"")
"""Every report starts with one of these; those of version 0.1 with the second."""


def check_replaceable(path: Path) -> None:
    """Raise UserError if `path` exists and is not a report; OSError if it is not readable."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        start = file.read(1_000)
    if start and not any(mark in start for mark in MARKS):
        raise UserError(f"{path}: exists and is not a tinycopilot report; use another name, or move it")


def write_report(path: Path, log: TrainLog, *, title: str, command: str, facts: Sequence[tuple[str, str]]) -> None:
    """Write the report to `path`, atomically. `command` is the command line; `facts` are rows of a table.

    Raises UserError if the file cannot be written; then the old file is unchanged.
    """
    html = page(log, title=title, command=command, facts=facts)
    try:
        check_replaceable(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_page(path, html)
    except OSError as error:
        problem = f"{path}: cannot write the report ({error.strerror})"
        raise UserError(f"{problem}; use another path, or free some space") from None


def write_page(path: Path, html: str) -> None:
    """Write `html` to `path`, atomically. Raises OSError; then the old file is unchanged."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_text(html, encoding="utf-8", newline="\n")
        os.replace(temporary, path)  # noqa: PTH105
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
