"""Evaluation report: one self-contained HTML page.

`page` writes the page; its parts are `figures`, `calibration`, `passages` (chosen by `disagreement`) and `typed`, with
the suggestions. `heat` colors code by surprisal.
"""

from collections.abc import Sequence
from pathlib import Path

from tinycopilot.evaluation.replay_all import EvaluationResult
from tinycopilot.evaluation.report.page import page
from tinycopilot.page_file import write_page


def write_report(path: Path, evaluation: EvaluationResult, *, command: str, facts: Sequence[tuple[str, str]]) -> None:
    """Write the report to `path`, atomically. `command` is the command line; `facts` are rows of a table.

    Raises UserError if the file cannot be written; then the old file is unchanged.
    """
    write_page(path, page(evaluation, command=command, facts=facts))
