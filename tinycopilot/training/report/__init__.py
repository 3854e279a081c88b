"""Training report: one self-contained HTML page, without scripts, fonts or network access.

`page` writes the page, `curves` chooses what is plotted.
"""

from collections.abc import Sequence
from pathlib import Path

from tinycopilot import UserError
from tinycopilot.page_file import check_replaceable, write_page
from tinycopilot.training.log import TrainLog
from tinycopilot.training.report.page import page


def write_report(path: Path, log: TrainLog, *, title: str, command: str, facts: Sequence[tuple[str, str]]) -> None:
    """Write the report to `path`, atomically. `command` is the command line; `facts` are rows of a table.

    Raises UserError if the file cannot be written; then the old file is unchanged.
    """
    try:
        check_replaceable(path)
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot write the report ({error.strerror}); use another path") from None
    write_page(path, page(log, title=title, command=command, facts=facts))
