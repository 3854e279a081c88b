"""The calibration chart: confidence against accuracy."""

from collections.abc import Sequence

from tinycopilot.evaluation.report.figures import percent
from tinycopilot.evaluation.score import CalibrationBin, calibration_error
from tinycopilot.training.report.chart import Curve, Dot, chart, high_axis, wide_axis


def calibration_chart(bins: Sequence[CalibrationBin]) -> str:
    """Return the chart, as HTML."""
    error = calibration_error(bins)
    if error is None:
        return "<p>No suggestion was shown.</p>"
    n_shown = sum(b.n for b in bins)
    curves = [
        Curve("ideal", [(0, 0), (1, 1)]),
        *(Curve("gap", [(b.confidence, b.confidence), (b.confidence, b.right)]) for b in bins),
        Curve("right", [(b.confidence, b.right) for b in bins]),
    ]
    dots = [Dot("bin", b.confidence, b.right, "", _reading(b)) for b in bins]
    words = "; ".join(map(_reading, bins))
    x, y = wide_axis("confidence", 1.0), high_axis("accuracy", 0.0, 1.0)
    drawn = chart("Calibration", words, x, y, curves, dots)
    return (
        f'<div class="calibration"><div class="square">{drawn}</div>\n<div><p><b>{percent(error)}</b>'
        f" expected calibration error.</p>\n<p>{n_shown:,} suggestions in {len(bins)} bins of equal size, by"
        " confidence; each bin is a point. On the diagonal, confidence equals accuracy; above it, accuracy is higher,"
        " below it lower.</p></div></div>"
    )


def _reading(b: CalibrationBin) -> str:
    return f"{100 * b.confidence:.0f} % confidence, {100 * b.right:.0f} % correct, {b.n:,} suggestions"
