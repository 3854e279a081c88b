"""The page of a training report: results, curves, samples, hardest characters, events, command."""

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from tinycopilot.training.log import Evaluation, HardCharacter, TrainLog
from tinycopilot.training.report.chart import short
from tinycopilot.training.report.curves import curves
from tinycopilot.training.report.frame import (
    NO_FIGURE,
    UNKNOWN,
    document,
    facts_table,
    figure,
    is_plain,
    section,
    visible,
)

N_SAMPLES = 8
N_HARDEST = 15


def page(log: TrainLog, *, title: str, command: str, facts: Sequence[tuple[str, str]]) -> str:
    """Return the page as HTML; all text from outside is escaped."""
    sections = (
        section("Learning curve", curves(log)),
        section("Samples", _samples(log.evaluations, log.best_step)),
        section("The hardest characters", _hardest(log.hardest)),
        section("Events", _events(log.events)),
        section("Reproduce this run", facts_table(command, facts)),
    )
    style = "".join(Path(__file__).with_name(name).read_text("utf-8") for name in ("curves.css", "page.css"))
    return document("training report", title=title, style=style, figures=_figures(log), sections=sections)


def _figures(log: TrainLog) -> str:
    """Return the main results, as HTML."""
    bits = log.held_out_bits
    figures = (
        ("bits per character on held-out text", figure(bits, ".3f")),
        ("of training", _duration(log.seconds)),
        ("characters read", short(log.n_chars)),
        ("characters per second", short(log.chars_per_second)),
    )
    tiles = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in figures)
    meaning = f"<p>Perplexity per character: <b>{2**bits:.1f}</b>.</p>"
    return f'<dl class="figures">{tiles}</dl>{meaning if 0 <= bits < 64 else ""}'


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return NO_FIGURE
    minutes, rest_s = divmod(round(seconds), 60)
    hours, rest_min = divmod(minutes, 60)
    if hours:
        return f"{hours} h {rest_min} min"
    return f"{minutes} min {rest_s} s" if minutes else f"{rest_s} s"


def _samples(evaluations: Sequence[Evaluation], best_step: int) -> str:
    if not evaluations:
        return ""
    shown = _spread(evaluations, best_step)
    some = f" {len(shown)} of {len(evaluations)} samples." if len(shown) < len(evaluations) else ""
    items = "\n".join(_sample(evaluation, best=evaluation.step == best_step) for evaluation in shown)
    return f'<p>The same prompt and random seed, at each evaluation.{some}</p>\n<ol class="samples">{items}</ol>'


def _spread(evaluations: Sequence[Evaluation], best_step: int) -> list[Evaluation]:
    """Return about N_SAMPLES evaluations, evenly spaced, including the first, the last and the best."""
    n = min(N_SAMPLES, len(evaluations))
    indices = {round(i * (len(evaluations) - 1) / max(n - 1, 1)) for i in range(n)}
    return [evaluation for i, evaluation in enumerate(evaluations) if i in indices or evaluation.step == best_step]


def _sample(evaluation: Evaluation, *, best: bool) -> str:
    badge = '<span class="badge">best, used</span>' if best else ""
    figures = f"<b>{figure(evaluation.bits, '.3f')}</b> bits<br><small>step {evaluation.step:,}</small>{badge}"
    # HTML drops a line break at the start of <pre>, so add one.
    return f'<li><div>{figures}</div><pre tabindex="0">\n{visible(evaluation.sample.rstrip())}</pre></li>'


def _hardest(characters: Sequence[HardCharacter]) -> str:
    """Return a table of the characters with the highest count times bits, as HTML."""
    costs = [(c.n * c.bits, c) for c in characters if math.isfinite(c.bits) and c.n * c.bits > 0]
    if not costs:
        return ""
    costs.sort(key=lambda pair: -pair[0])
    total, most = sum(cost for cost, _ in costs), costs[0][0]
    rows = "\n".join(_hard_row(c, cost / total, cost / most) for cost, c in costs[:N_HARDEST])
    return (
        "<p>Share of the loss on held-out text by type of character: frequency times surprisal.</p>\n"
        '<table class="hardest"><thead><tr><th scope="col">character</th><th scope="col">share of all bits</th>'
        f'<th scope="col">bits each</th><th scope="col">count</th></tr></thead>\n<tbody>{rows}</tbody></table>'
    )


def _hard_row(character: HardCharacter, share: float, length: float) -> str:
    return (
        f'<tr><th scope="row">{_character_name(character.character)}</th>'
        f'<td><div class="share"><i style="--length: {length:.3f}"></i>{100 * share:.1f} %</div></td>'
        f"<td>{character.bits:.2f}</td><td>{character.n:,}</td></tr>"
    )


def _character_name(character: str) -> str:
    names = {" ": "space", "\n": "newline", "\t": "tab", UNKNOWN: "any other character"}
    if character in names:
        return names[character]
    if all(is_plain(point) and not point.isspace() for point in character):
        return f"<kbd>{escape(character)}</kbd>"
    return " ".join(f"U+{ord(point):04X}" for point in character)


def _events(events: Sequence[str]) -> str:
    items = "".join(f"<li>{visible(event)}</li>" for event in events)
    return f"<ul>{items}</ul>" if items else ""
