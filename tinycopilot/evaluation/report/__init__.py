"""Evaluation report: one self-contained HTML page.

`page` writes the page; its parts are `figures`, `calibration`, `passages` (chosen by `disagreement`) and `typed`, with
the suggestions. `heat` colors code by surprisal.
"""

import errno
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tinycopilot import UserError
from tinycopilot.evaluation.replay_all import EvaluationResult
from tinycopilot.evaluation.report.page import page
from tinycopilot.training.report import check_replaceable, write_page

SUFFIXES = (".html", ".htm")


def check_report(path: Path) -> None:
    """Raise UserError if a report cannot be written to `path`; called before the replay."""
    try:
        if path.suffix.lower() not in SUFFIXES:  # else `--report a.py b.py` would overwrite a.py
            raise OSError(errno.EINVAL, "the name does not end in .html")
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "not a regular file")
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        check_replaceable(path)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UserError(f"{path}: cannot write a report there ({error.strerror}); use another --report") from None


def write_report(path: Path, evaluation: EvaluationResult, *, command: str, facts: Sequence[tuple[str, str]]) -> None:
    """Write the report to `path`, atomically. `command` is the command line; `facts` are rows of a table.

    Raises UserError if the file cannot be written; then the old file is unchanged.
    """
    try:
        write_page(path, page(evaluation, command=command, facts=facts))
    except OSError as error:
        raise UserError(
            f"{path}: cannot write the report ({error.strerror}); free some space and run it again"
        ) from None
