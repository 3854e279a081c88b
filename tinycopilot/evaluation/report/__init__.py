"""The page of an evaluation: where network and memory disagree, and what was suggested. It needs nothing else.

`page` is the page; its parts are `figures`, `calibration`, `passages`, which `disagreement` chooses, and `typed`, where
the suggestions are. `heat` colours code.
"""

from collections.abc import Sequence
from pathlib import Path

from tinycopilot import UserError
from tinycopilot.evaluation.evaluation import Evaluation
from tinycopilot.evaluation.report.page import page
from tinycopilot.page_file import check_page, write_page


def check_report(path: Path) -> None:
    """Check, before minutes of replaying, that a report can be written to `path`. Raises UserError."""
    check_page(path, "--report")


def write_report(path: Path, evaluation: Evaluation, *, command: str, facts: Sequence[tuple[str, str]]) -> None:
    """Write the page to `path`, atomically. `command` is what was typed; `facts` are names and values.

    Raises UserError where the file cannot be written; what was there before is then unchanged.
    """
    try:
        write_page(path, page(evaluation, command=command, facts=facts))
    except OSError as error:
        raise UserError(
            f"{path}: cannot write the report ({error.strerror}); free some space and run it again"
        ) from None
