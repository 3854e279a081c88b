"""The results of an evaluation: by file, and the calibration chart."""

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from tinycopilot.evaluation.replay_all import EvaluationResult
from tinycopilot.evaluation.score import CalibrationBin
from tinycopilot.page.chart import Curve, Dot, chart, high_axis, wide_axis


def by_file(evaluation: EvaluationResult, names: Sequence[str]) -> list[tuple[str, int | None, dict[str, Any]]]:
    """Return the name, first replay and figures of each file; the last row, of several, is their total.

    `names`: the shown file name of each replay.
    """
    first_replays = {replayed.excerpt.name: i for i, replayed in reversed([*enumerate(evaluation.replays)])}
    rows: list[tuple[str, int | None, dict[str, Any]]] = [
        (names[first_replays[path]], first_replays[path], score.figures()) for path, score in evaluation.scores.items()
    ]
    return [*rows, (f"all {len(rows)} files", None, evaluation.total.figures())] if len(rows) > 1 else rows


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
