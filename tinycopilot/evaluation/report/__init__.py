"""Evaluation report: one self-contained HTML page with results, a table by file, and code colored by surprisal."""

import itertools
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tinycopilot.evaluation.replay import ReplayResult, scores_by_file
from tinycopilot.evaluation.report.heat import EDGES_BITS, GAIN_EDGES_BITS, LETTERS, SOURCES, HeatMap
from tinycopilot.evaluation.report.passages import changed_shares, passages
from tinycopilot.evaluation.score import CalibrationBin, Score, ShownSuggestion, calibration
from tinycopilot.page.chart import Curve, Dot, chart, high_axis, wide_axis
from tinycopilot.page.render import render


def page(replays: Sequence[ReplayResult], *, command: str, facts: Sequence[tuple[str, str]]) -> str:
    """Return the page as HTML; all text from outside is escaped."""
    title, names = short_names([replayed.excerpt.name for replayed in replays])
    total = sum((replayed.score for replayed in replays), Score())
    whole, maps = total.figures(), list(map(HeatMap, replays))
    rows = by_file(replays, names, whole)
    lowered, raised = changed_shares(maps)
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
        calibration=calibration_chart(calibration(total.shown)),
        calibration_error=whole["calibration_error"],
        n_shown=len(total.shown),
        names=names,
        lowered=lowered,
        raised=raised,
        passages=passages(maps),
        files=list(map(typed_file, maps)),
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


def by_file(
    replays: Sequence[ReplayResult], names: Sequence[str], total: dict[str, Any]
) -> list[tuple[str, int | None, dict[str, Any]]]:
    """Return the name, first replay and figures of each file; the last row, of several, is their total.

    `names`: the shown file name of each replay.
    """
    paths = [replayed.excerpt.name for replayed in replays]
    rows: list[tuple[str, int | None, dict[str, Any]]] = [
        (names[paths.index(path)], paths.index(path), score.figures())
        for path, score in scores_by_file(replays).items()
    ]
    return [*rows, (f"all {len(rows)} files", None, total)] if len(rows) > 1 else rows


def length(bits: float, most: float) -> str:
    """Return `bits` as a share of `most`, 0 to 1, for CSS; 0 if undefined."""
    return f"{bits / most:.3f}" if most and math.isfinite(bits / most) else "0"


def calibration_chart(bins: Sequence[CalibrationBin]) -> Markup:
    """Return the chart of confidence against accuracy."""
    curves = [
        Curve("ideal", [(0, 0), (1, 1)]),
        *(Curve("gap", [(b.confidence, b.confidence), (b.confidence, b.right)]) for b in bins),
        Curve("right", [(b.confidence, b.right) for b in bins]),
    ]
    dots = [Dot("bin", b.confidence, b.right, "", _reading(b)) for b in bins]
    words = "; ".join(map(_reading, bins))
    return chart("Calibration", words, wide_axis("confidence", 1.0), high_axis("accuracy", 0.0, 1.0), curves, dots)


def _reading(b: CalibrationBin) -> str:
    return f"{100 * b.confidence:.0f} % confidence, {100 * b.right:.0f} % correct, {b.n:,} suggestions"


def typed_file(heat: HeatMap) -> dict[str, Any]:
    """Return the figures of a replay and its code, in whole lines, with the suggestions."""
    excerpt, shown = heat.excerpt, heat.replayed.score.shown
    whole = heat.whole_lines(excerpt.first, excerpt.last)
    return {
        "figures": heat.replayed.score.figures(),
        "begin": heat.line_number(excerpt.first),
        "before": heat.line_number(whole[0]) - 1,
        "lines": [_line(first, last, heat, shown) for first, last in heat.lines(*whole)],
    }


def _line(first: int, last: int, heat: HeatMap, shown: Sequence[ShownSuggestion]) -> dict[str, Any]:
    """Return a line of code, in pieces with the suggestions there, and the wrong ones to show next to it."""
    wrong = {one.at: one for one in shown if first <= one.at < last and not one.accepted}
    accepted = [one for one in shown if one.at < last and one.at + one.n_correct > first and one.accepted]
    ends = {at for one in accepted for at in (one.at, one.at + one.n_correct)}
    cuts = sorted(at for at in {*wrong, *ends} if first < at < last)
    pieces = [
        {
            "begin": begin,
            "wrong": wrong.get(begin),
            "accepted": next((one for one in accepted if one.at <= begin < one.at + one.n_correct), None),
            "runs": heat.runs(begin, end, tuple(LETTERS), quiet=True),
        }
        for begin, end in itertools.pairwise([first, *cuts, last])
    ]
    return {"pieces": pieces, "wrong": [*wrong.values()]}
