"""The page of an evaluation report: results, table by file, and code colored by surprisal."""

import os
from collections.abc import Sequence
from pathlib import Path

from tinycopilot.evaluation.replay_all import EvaluationResult
from tinycopilot.evaluation.report.figures import by_file, calibration_chart, figures
from tinycopilot.evaluation.report.passages import passages
from tinycopilot.evaluation.report.typed import typed_files
from tinycopilot.training.report.frame import document, facts_table, section


def page(evaluation: EvaluationResult, *, command: str, facts: Sequence[tuple[str, str]]) -> str:
    """Return the page as HTML; all text from outside is escaped."""
    paths = [replayed.excerpt.name for replayed in evaluation.replays]
    title, names = short_names(paths)
    sections = (
        section("By file", by_file(evaluation, dict(zip(paths, names, strict=True)))),
        section("Calibration", calibration_chart(evaluation.calibration)),
        section("Where network and n-gram model disagree most", passages(evaluation.replays, names)),
        section("Replayed code", typed_files(evaluation.replays, names)),
    )
    style = Path(__file__).with_name("page.css").read_text("utf-8")
    head = facts_table(command, facts) + figures(evaluation.to_json())
    return document("evaluation", title=title, style=style, figures=head, sections=sections)


def short_names(paths: Sequence[str]) -> tuple[str, list[str]]:
    """Return a title for all paths, and each path relative to their common folder."""
    if len(set(paths)) == 1:
        return Path(paths[0]).name, [Path(path).name for path in paths]
    try:
        folder = Path(os.path.commonpath([Path(path).parent for path in paths]))
    except ValueError:  # on several drives, or no paths
        return f"{len(paths)} files", list(paths)
    return folder.name or str(folder), [str(Path(path).relative_to(folder)) for path in paths]
