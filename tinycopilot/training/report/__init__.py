"""The picture of a training run: one HTML page that needs nothing else, no script, no font, no network.

`page` is the page, `curves` what is drawn of a run, `chart` how a drawing is made, `frame` what any page of ours has.
"""

from collections.abc import Sequence
from pathlib import Path

from tinycopilot import UserError
from tinycopilot.page_file import check_replaceable, write_page
from tinycopilot.training.log import TrainLog
from tinycopilot.training.report.page import page


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
