"""The results of an evaluation: in total, and by file."""

import math
from collections.abc import Mapping
from typing import Any

from tinycopilot.evaluation.replay_all import EvaluationResult
from tinycopilot.evaluation.report.heat import SOURCES
from tinycopilot.training.report.frame import visible

NO_FIGURE = "\N{EN DASH}"
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
            f"{percent(saved['gross'])} gross, without the cost of reading {_number(whole['shown_per_100'], '.1f')}"
            " suggestions per 100 characters",
        ),
        (
            percent(whole["accepted_share"]),
            "of suggestions accepted",
            f"{_number(whole['median_accepted'], 'g')} characters median length; flicker (changed although the typed"
            f" character matched): {percent(whole['flicker'])}",
        ),
        (
            f"{_number(latency['p50'], '.1f')} ms",
            "median latency",
            f"p95 {_number(latency['p95'], '.1f')} ms, p99 {_number(latency['p99'], '.1f')} ms",
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


def _number(value: float | None, form: str) -> str:
    return NO_FIGURE if value is None else format(value, form)


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
        _number(of["shown_per_100"], ".1f"),
        *(f"{bits[source]:.2f}" for source in SOURCES),
    ]
    low, high = sorted((bits["network"], bits["mixed"]))
    ends = {"low": low, "high": high, "mixed": bits["mixed"]}
    style = "; ".join(f"--{end}: {_length(value, most)}" for end, value in ends.items())
    return (
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}'
        f'<td class="from-to"><i style="{style}"></i></td></tr>'
    )
