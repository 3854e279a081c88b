"""The page of a training report: results, curves, samples, hardest characters, events, command."""

import math
from collections.abc import Sequence
from pathlib import Path

from tinycopilot.page.chart import short
from tinycopilot.page.render import render
from tinycopilot.page.words import NO_FIGURE, figure
from tinycopilot.training.log import Evaluation, HardCharacter, TrainLog
from tinycopilot.training.report.curves import CURVES_CSS, curves

N_SAMPLES = 8
N_HARDEST = 15


def page(log: TrainLog, *, title: str, command: str, facts: Sequence[tuple[str, str]]) -> str:
    """Return the page as HTML; all text from outside is escaped."""
    return render(
        Path(__file__).parent,
        styles=[CURVES_CSS],
        title=title,
        figures=[
            ("bits per character on held-out text", figure(log.held_out_bits, ".3f")),
            ("of training", _duration(log.seconds)),
            ("characters read", short(log.n_chars)),
            ("characters per second", short(log.chars_per_second)),
        ],
        bits=log.held_out_bits,
        curves=curves(log),
        samples=_spread(log.evaluations, log.best_step),
        n_evaluations=len(log.evaluations),
        best_step=log.best_step,
        hardest=_hardest(log.hardest),
        events=log.events,
        command=command,
        facts=facts,
    )


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return NO_FIGURE
    minutes, rest_s = divmod(round(seconds), 60)
    hours, rest_min = divmod(minutes, 60)
    if hours:
        return f"{hours} h {rest_min} min"
    return f"{minutes} min {rest_s} s" if minutes else f"{rest_s} s"


def _spread(evaluations: Sequence[Evaluation], best_step: int) -> list[Evaluation]:
    """Return about N_SAMPLES evaluations, evenly spaced, including the first, the last and the best."""
    n = min(N_SAMPLES, len(evaluations))
    indices = {round(i * (len(evaluations) - 1) / max(n - 1, 1)) for i in range(n)}
    return [evaluation for i, evaluation in enumerate(evaluations) if i in indices or evaluation.step == best_step]


def _hardest(characters: Sequence[HardCharacter]) -> list[tuple[HardCharacter, float, float]]:
    """Return the characters with the highest count times bits; with their share of all bits, and of the first's."""
    costs = [(c.n * c.bits, c) for c in characters if math.isfinite(c.bits) and c.n * c.bits > 0]
    costs.sort(key=lambda pair: -pair[0])
    total = sum(cost for cost, _ in costs)
    return [(c, cost / total, cost / costs[0][0]) for cost, c in costs[:N_HARDEST]]
