"""The replayed code of a file, colored by surprisal, with the suggestions."""

import itertools
from collections.abc import Sequence
from typing import Any

from tinycopilot.evaluation.replay import ReplayResult, ShownSuggestion
from tinycopilot.evaluation.report.heat import LETTERS, HeatMap
from tinycopilot.evaluation.report.lines import Lines


def typed_file(replayed: ReplayResult) -> dict[str, Any]:
    """Return the figures of a replay and its code, in whole lines."""
    excerpt, lines = replayed.excerpt, Lines(replayed.excerpt.text)
    whole = lines.around(excerpt.first, excerpt.last)
    heat = HeatMap(replayed)
    return {
        "figures": replayed.score.figures(),
        "begin": lines.number(excerpt.first),
        "before": lines.number(whole[0]) - 1,
        "lines": [_line(first, last, heat, replayed.shown) for first, last in lines.between(*whole)],
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
