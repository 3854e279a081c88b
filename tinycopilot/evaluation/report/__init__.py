"""The page of an evaluation: where network and memory disagree, and what was suggested. It needs nothing else.

`page` is the page; its parts are `figures`, `calibration`, `passages`, which `disagreement` chooses, and `typed`, where
the suggestions are. `heat` colours code.
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
    """Before minutes of typing: that a page can be written there. Raises UserError."""
    try:
        if path.suffix.lower() not in SUFFIXES:  # a word too few, and `--report a.py b.py` would be the end of a.py
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
    """Write the page to `path`, atomically. `command` is what was typed; `facts` are names and values.

    Raises UserError where the file cannot be written; what was there before is then unchanged.
    """
    try:
        write_page(path, page(evaluation, command=command, facts=facts))
    except OSError as error:
        raise UserError(
            f"{path}: cannot write the report ({error.strerror}); free some space and run it again"
        ) from None
