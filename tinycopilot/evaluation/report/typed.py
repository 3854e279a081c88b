"""The replayed code by file, colored by surprisal, with the suggestions."""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from tinycopilot.evaluation.replay import ReplayResult, ShownSuggestion
from tinycopilot.evaluation.report.figures import percent
from tinycopilot.evaluation.report.heat import LETTERS, HeatMap, gain_scale, heat_scale
from tinycopilot.evaluation.report.lines import Lines
from tinycopilot.training.report.frame import visible

VIEWS = (
    ("mixed", "mixed"),
    ("network", "network alone"),
    ("gain", "change by the n-gram model"),
    ("plain", "no colors"),
)


def typed_files(replays: Sequence[ReplayResult], names: Sequence[str]) -> str:
    """Return a switch for the colors, and the replays, collapsed, as HTML; `names` are the shown file names."""
    inputs = "".join(
        f'<input type="radio" name="view" id="by-{view}"{" checked" * (view == "mixed")}>' for view, _ in VIEWS
    )
    labels = "".join(f'<label for="by-{view}">{words}</label>' for view, words in VIEWS)
    files = "\n".join(_file(i, *pair) for i, pair in enumerate(zip(replays, names, strict=True)))
    return (
        f'{inputs}<input type="checkbox" id="with-shown" checked>\n<div class="bar"><div class="views">{labels}</div>'
        f'<label for="with-shown">suggestions</label>{heat_scale()}{gain_scale()}</div>\n{LEGEND}\n'
        f'<div class="files">\n{files}\n</div>'
    )


LEGEND = (
    '<p class="marks"><u>accepted</u> with one key <s class="at"></s> a wrong suggestion; its text is next to the'
    " line, <small>correct part<s> and wrong part</s> <em>46</em></small>, with its confidence in %. Hover over a"
    " line to see text that does not fit.</p>"
)


def _file(number: int, replayed: ReplayResult, name: str) -> str:
    excerpt, figures = replayed.excerpt, replayed.score.figures()
    lines = Lines(excerpt.text)
    whole = lines.around(excerpt.first, excerpt.last)
    heat, shown = HeatMap(replayed), _Suggestions(replayed.shown)
    rows = "\n".join(
        f'<code id="f{number}-{lines.number(first)}">{_line(first, last, heat, shown)}</code>'
        for first, last in lines.between(*whole)
    )
    bits, saved = figures["bits_per_char"], figures["keystrokes_saved"]["net"]
    return (
        f"<details><summary><b>{visible(name)}</b> <span>{figures['chars']:,} characters from line"
        f" {lines.number(excerpt.first)} on</span> <span>network {bits['network']:.2f}, mixed {bits['mixed']:.2f} bits"
        f" per character</span> <span>{percent(saved)} of keystrokes saved</span></summary>\n"
        f'<div class="code" id="f{number}" style="--before: {lines.number(whole[0]) - 1}">\n{rows}\n</div></details>'
    )


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


def _line(first: int, last: int, heat: HeatMap, shown: _Suggestions) -> str:
    """Return a line of code with its suggestions marked, and the wrong ones next to it."""
    wrong = {one.at: one for one in shown.wrong_between(first, last)}
    code = "".join(
        (_mark(wrong[begin]) if begin in wrong else "") + _piece(begin, end, heat, shown.accepted_at(begin))
        for begin, end in shown.pieces(first, last)
    )
    notes = "".join(map(_note, wrong.values()))
    return f"<span>{code}</span><small>{notes}</small>" if notes else f"<span>{code}</span>"


def _piece(begin: int, end: int, heat: HeatMap, accepted: ShownSuggestion | None) -> str:
    code = heat.html(begin, end, tuple(LETTERS), quiet=True)
    if accepted is None:
        return code
    css_class = ' class="on"' if accepted.at < begin else ""  # starts in a line above
    return f'<u{css_class} title="accepted, {_sure(accepted)}">{code}</u>'


def _mark(wrong: ShownSuggestion) -> str:
    return f'<s class="at" title="{visible(_on_one_line(wrong.suggestion.text))}: wrong, {_sure(wrong)}"></s>'


def _note(wrong: ShownSuggestion) -> str:
    text, n = wrong.suggestion.text, wrong.n_correct
    right, not_right = (visible(_on_one_line(part)) for part in (text[:n], text[n:]))
    return f"<span>{right}<s>{not_right}</s> <em>{100 * wrong.suggestion.confidence:.0f}</em></span>"


def _on_one_line(text: str) -> str:
    return text.replace("\n", "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}")


def _sure(shown: ShownSuggestion) -> str:
    return f"{100 * shown.suggestion.confidence:.0f} % sure"
