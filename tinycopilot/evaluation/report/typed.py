"""The replayed code of a file, colored by surprisal, with the suggestions."""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

from tinycopilot.evaluation.replay import ReplayResult, ShownSuggestion
from tinycopilot.evaluation.report.heat import LETTERS, HeatMap
from tinycopilot.evaluation.report.lines import Lines


def typed_file(replayed: ReplayResult) -> dict[str, Any]:
    """Return the figures of a replay and its code, in whole lines."""
    excerpt, lines = replayed.excerpt, Lines(replayed.excerpt.text)
    whole = lines.around(excerpt.first, excerpt.last)
    heat, shown = HeatMap(replayed), _Suggestions(replayed.shown)
    return {
        "figures": replayed.score.figures(),
        "begin": lines.number(excerpt.first),
        "before": lines.number(whole[0]) - 1,
        "lines": [_line(first, last, heat, shown) for first, last in lines.between(*whole)],
    }


class _Suggestions:
    """The suggestions of one excerpt, by offset."""

    def __init__(self, shown: Sequence[ShownSuggestion]) -> None:
        self._wrong = [one for one in shown if not one.accepted]
        self._accepted = [one for one in shown if one.accepted]
        self._starts = [one.at for one in self._accepted]
        ends = [one.at + one.n_correct for one in self._accepted]
        self._cuts = sorted({*self._starts, *ends, *(one.at for one in self._wrong)})

    def wrong_between(self, first: int, last: int) -> list[ShownSuggestion]:
        """Return the wrong suggestions at offsets first ... last - 1."""
        begin, end = (bisect_left(self._wrong, at, key=lambda one: one.at) for at in (first, last))
        return self._wrong[begin:end]

    def pieces(self, first: int, last: int) -> list[tuple[int, int]]:
        """Return first ... last as ranges, split where suggestions start and end."""
        cuts = self._cuts[bisect_right(self._cuts, first) : bisect_left(self._cuts, last)]
        return list(itertools.pairwise([first, *cuts, last]))

    def accepted_at(self, at: int) -> ShownSuggestion | None:
        """Return the accepted suggestion that contains offset `at`."""
        i = bisect_right(self._starts, at) - 1
        return self._accepted[i] if i >= 0 and at < self._starts[i] + self._accepted[i].n_correct else None


def _line(first: int, last: int, heat: HeatMap, shown: _Suggestions) -> dict[str, Any]:
    """Return a line of code, in pieces with the suggestions there, and the wrong ones to show next to it."""
    wrong = {one.at: one for one in shown.wrong_between(first, last)}
    pieces = [
        {
            "begin": begin,
            "wrong": wrong.get(begin),
            "accepted": shown.accepted_at(begin),
            "runs": heat.runs(begin, end, tuple(LETTERS), quiet=True),
        }
        for begin, end in shown.pieces(first, last)
    ]
    return {"pieces": pieces, "wrong": [*wrong.values()]}
