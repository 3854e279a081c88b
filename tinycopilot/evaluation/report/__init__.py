"""Evaluation report: one self-contained HTML page.

`page` writes the page; its parts are `figures`, `calibration`, `passages` (chosen by `disagreement`) and `typed`, with
the suggestions. `heat` colors code by surprisal.
"""

from collections.abc import Sequence
from pathlib import Path

from tinycopilot import UserError
from tinycopilot.evaluation.replay_all import EvaluationResult
from tinycopilot.evaluation.report.page import page
from tinycopilot.page_file import check_page, write_page


def check_report(path: Path) -> None:
    """Check, before minutes of replaying, that a report can be written to `path`. Raises UserError."""
    check_page(path, "--report")


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
