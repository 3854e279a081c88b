"""The page of an evaluation report: results, table by file, and code colored by surprisal."""

import os
from collections.abc import Sequence
from pathlib import Path

from tinycopilot.evaluation.replay_all import EvaluationResult
from tinycopilot.evaluation.report.figures import by_file, calibration_chart, length
from tinycopilot.evaluation.report.heat import EDGES_BITS, GAIN_EDGES_BITS, SOURCES
from tinycopilot.evaluation.report.passages import changed_shares, passages
from tinycopilot.evaluation.report.typed import typed_file
from tinycopilot.page.render import render


def page(evaluation: EvaluationResult, *, command: str, facts: Sequence[tuple[str, str]]) -> str:
    """Return the page as HTML; all text from outside is escaped."""
    paths = [replayed.excerpt.name for replayed in evaluation.replays]
    title, names = short_names(paths)
    whole, rows = evaluation.to_json(), by_file(evaluation, names)
    lowered, raised = changed_shares(evaluation.replays)
    return render(
        Path(__file__).parent,
        title=title,
        command=command,
        facts=facts,
        sources=SOURCES,
        edges_bits=EDGES_BITS,
        gain_edges_bits=GAIN_EDGES_BITS,
        length=length,
        whole=whole,
        rows=rows,
        most=max(bits for _, _, of in rows for bits in of["bits_per_char"].values()),
        calibration=calibration_chart(evaluation.calibration),
        calibration_error=whole["calibration_error"],
        n_shown=len(evaluation.shown),
        names=names,
        lowered=lowered,
        raised=raised,
        passages=passages(evaluation.replays),
        files=[typed_file(replayed) for replayed in evaluation.replays],
    )


def short_names(paths: Sequence[str]) -> tuple[str, list[str]]:
    """Return a title for all paths, and each path relative to their common folder."""
    if len(set(paths)) == 1:
        return Path(paths[0]).name, [Path(path).name for path in paths]
    try:
        folder = Path(os.path.commonpath([Path(path).parent for path in paths]))
    except ValueError:  # on several drives, or no paths
        return f"{len(paths)} files", list(paths)
    return folder.name or str(folder), [str(Path(path).relative_to(folder)) for path in paths]
