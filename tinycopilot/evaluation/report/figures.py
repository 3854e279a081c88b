"""The results of an evaluation: in total, by file, and the calibration chart."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tinycopilot.evaluation.replay_all import EvaluationResult
from tinycopilot.evaluation.report.heat import SOURCES
from tinycopilot.evaluation.score import CalibrationBin, calibration_error
from tinycopilot.training.report.chart import Curve, Dot, chart, high_axis, wide_axis
from tinycopilot.training.report.frame import NO_FIGURE, figure, visible

COLUMNS = (
    "file", "characters", "saved, net", "gross", "accepted", "shown / 100", *SOURCES, "bits per character",
)  # fmt: skip


def figures(whole: Mapping[str, Any]) -> str:
    """Return the main results of EvaluationResult.to_json, as HTML."""
    saved, latency = whole["keystrokes_saved"], whole["latency_ms"]
    tiles = (
        (
            percent(saved["net"]),
            "net keystrokes saved",
            f"{percent(saved['net_by_word'])} if single words are accepted, too; "
            f"{percent(saved['gross'])} gross, without the penalty for showing {figure(whole['shown_per_100'], '.1f')}"
            " suggestions per 100 characters",
        ),
        (
            percent(whole["accepted_share"]),
            "of suggestions accepted",
            f"{figure(whole['median_accepted'], 'g')} characters median length; flicker (changed although the typed"
            f" character matched): {percent(whole['flicker'])}",
        ),
        (
            f"{figure(latency['p50'], '.1f')} ms",
            "median latency",
            f"p95 {figure(latency['p95'], '.1f')} ms, p99 {figure(latency['p99'], '.1f')} ms",
        ),
    )
    boxes = "".join(
        f"<div><dt>{name}<br><small>{more}</small></dt><dd>{value}</dd></div>" for value, name, more in tiles
    )
    return f'<dl class="figures">{boxes}{_bits_tile(whole["bits_per_char"])}</dl>'


def _bits_tile(bits: Mapping[str, float]) -> str:
    most = max(bits.values())
    rows = "".join(
        f'<span>{source}</span><i style="--length: {_length(bits[source], most)}"></i><b>{bits[source]:.3f}</b>'
        for source in SOURCES
    )
    return f'<div class="bits"><dt>bits per character</dt><dd>{rows}</dd></div>'


def percent(share: float | None) -> str:
    """Format a share from 0 to 1."""
    return NO_FIGURE if share is None else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _length(bits: float, most: float) -> str:
    """Return `bits` as a share of `most`, 0 to 1, for CSS; 0 if undefined."""
    return f"{bits / most:.3f}" if most and math.isfinite(bits / most) else "0"


def by_file(evaluation: EvaluationResult, names: Mapping[str, str]) -> str:
    """Return the table by file, as HTML, with links to the replayed code; `names` are the shown file names."""
    first_replays = {replayed.excerpt.name: i for i, replayed in reversed([*enumerate(evaluation.replays)])}
    scores = {path: score.figures() for path, score in evaluation.scores.items()}
    most = max(max(of["bits_per_char"].values()) for of in scores.values())
    rows = [
        _row(f'<a href="#f{first_replays[path]}">{visible(names[path])}</a>', of, most) for path, of in scores.items()
    ]
    if len(rows) > 1:
        rows.append(_row(f"all {len(rows)} files", evaluation.total.figures(), most))
    head = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
    body = "\n".join(rows)
    return (
        f'<div class="wide" tabindex="0"><table class="by-file"><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(name: str, of: Mapping[str, Any], most: float) -> str:
    bits, saved = of["bits_per_char"], of["keystrokes_saved"]
    shares = [percent(share) for share in (saved["net"], saved["gross"], of["accepted_share"])]
    cells = [
        f"{of['chars']:,}",
        *shares,
        figure(of["shown_per_100"], ".1f"),
        *(f"{bits[source]:.2f}" for source in SOURCES),
    ]
    low, high = sorted((bits["network"], bits["mixed"]))
    ends = {"low": low, "high": high, "mixed": bits["mixed"]}
    style = "; ".join(f"--{end}: {_length(value, most)}" for end, value in ends.items())
    return (
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}'
        f'<td class="from-to"><i style="{style}"></i></td></tr>'
    )


def calibration_chart(bins: Sequence[CalibrationBin]) -> str:
    """Return the chart of confidence against accuracy, as HTML."""
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
        f" expected calibration error.</p>\n<p>{n_shown:,} suggestions, in bins of equal size by"
        " confidence; each bin is a point. On the diagonal, confidence equals accuracy; above it, accuracy is higher,"
        " below it lower.</p></div></div>"
    )


def _reading(b: CalibrationBin) -> str:
    return f"{100 * b.confidence:.0f} % confidence, {100 * b.right:.0f} % correct, {b.n:,} suggestions"
