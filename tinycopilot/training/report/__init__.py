"""The picture of a training run: one HTML page that needs nothing else, no script, no font, no network.

`page` is the page, `curves` what is drawn of a run, `chart` how a drawing is made, `frame` what any page of ours has.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from tinycopilot import UserError
from tinycopilot.training.log import TrainLog
from tinycopilot.training.report.page import page

MARKS = (b'<meta name="generator" content="tinycopilot">', b"content=\"default-src 'none'; style-src 'unsafe-inline'\"")
"""One of these is at the beginning of every page of ours; the second, of those that version 0.1 wrote."""


def check_replaceable(path: Path) -> None:
    """That a page takes the place of another page of ours, or of nothing. Raises UserError; OSError if unreadable."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        start = file.read(1_000)
    if start and not any(mark in start for mark in MARKS):
        raise UserError(f"{path}: exists and is not a tinycopilot report; use another name, or move it")


def write_report(path: Path, log: TrainLog, *, title: str, command: str, facts: Sequence[tuple[str, str]]) -> None:
    """Write the page to `path`, atomically. `command` is what was typed; `facts` are names and values for a table.

    Raises UserError where the file cannot be written; what was there before is then unchanged.
    """
    html = page(log, title=title, command=command, facts=facts)
    try:
        check_replaceable(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_page(path, html)
    except OSError as error:
        problem = f"{path}: the report cannot be written ({error.strerror})"
        raise UserError(f"{problem}; use another path, or free some space") from None


def write_page(path: Path, html: str) -> None:
    """Write `html` to `path`, atomically. Raises OSError; what was there before is then unchanged."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_text(html, encoding="utf-8", newline="\n")
        os.replace(temporary, path)  # noqa: PTH105
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
