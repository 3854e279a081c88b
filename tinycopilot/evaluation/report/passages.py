"""The passages where the network and the mixture differ most, side by side."""

from collections.abc import Sequence

from tinycopilot.evaluation.replay import ReplayResult
from tinycopilot.evaluation.report.disagreement import Passage, most_different
from tinycopilot.evaluation.report.figures import percent
from tinycopilot.evaluation.report.heat import GAIN_EDGES_BITS, HeatMap, heat_scale
from tinycopilot.evaluation.report.lines import Lines
from tinycopilot.training.report.frame import visible

MEANING = {"network": "the network alone", "mixed": "mixed"}
PANES = {"network": ("network",), "mixed": ("network", "mixed")}
"""The predictors whose levels are shown in a pane; the right pane also marks the gain."""


def passages(replays: Sequence[ReplayResult], names: Sequence[str]) -> str:
    """Return both kinds of passages, as HTML; `names` are the shown file names. Empty if there are none."""
    helped, hurt = most_different(replays)
    kinds = (("Where the n-gram model helped most", helped), ("Where it hurt most", hurt))
    shown = [
        f"<h3>{heading}</h3>\n" + "\n".join(_passage(p, replays[p.number], names[p.number]) for p in some)
        for heading, some in kinds
        if some
    ]
    return "\n".join([_in_sum(replays), heat_scale(), *shown]) if shown else ""


def _in_sum(replays: Sequence[ReplayResult]) -> str:
    gains = [
        network - mixed
        for replayed in replays
        for network, mixed in zip(replayed.bits["network"], replayed.bits["mixed"], strict=True)
    ]
    cheaper, dearer = (sum(sign * gain >= GAIN_EDGES_BITS[0] for gain in gains) / len(gains) for sign in (1, -1))
    return (
        f"<p>The n-gram model lowered the surprisal of {percent(cheaper)} of all characters by at least half a bit, and"
        f" raised that of {percent(dearer)}. These are the lines with the largest change per character. Colors show the"
        " surprisal of each character: on the left for the network alone, on the right for the mixture; where the"
        " mixture is worse, characters are underlined. Hover over a character for its bits.</p>"
    )


def _passage(passage: Passage, replayed: ReplayResult, name: str) -> str:
    lines = Lines(replayed.excerpt.text)
    first, last = lines.number(passage.first), lines.number(passage.last - 1)
    where = f"line {first}" if first == last else f"lines {first} to {last}"
    heat = HeatMap(replayed)
    panes = "\n".join(_pane(passage, replayed, heat, lines, source) for source in PANES)
    return (
        f'<figure><figcaption><a href="#f{passage.number}-{first}">{visible(name)}, {where}</a></figcaption>\n'
        f'<div class="panes">{panes}</div></figure>'
    )


def _pane(passage: Passage, replayed: ReplayResult, heat: HeatMap, lines: Lines, source: str) -> str:
    text, start = replayed.excerpt.text, replayed.excerpt.first
    shown = lines.between(*passage.shown)
    indentation = _common_indentation([text[first:last] for first, last in shown])
    rows = "\n".join(
        f"<code{_mark(passage, first, last)}>"
        f"{heat.html(min(first + indentation, last - 1), last, PANES[source])}</code>"
        for first, last in shown
    )
    bits = sum(replayed.bits[source][passage.first - start : passage.last - start]) / (passage.last - passage.first)
    return (
        f'<div class="by-{source}"><p><b>{bits:.2f}</b> bits per character, {MEANING[source]}</p>\n'
        f'<div class="code" style="--before: {lines.number(passage.shown[0]) - 1}">\n{rows}\n</div></div>'
    )


def _mark(passage: Passage, first: int, last: int) -> str:
    """Return the CSS class of a line of the passage; empty for a context line."""
    return ' class="in"' if first < passage.last and passage.first < last else ""


def _common_indentation(lines: Sequence[str]) -> int:
    """Return the length of the common indentation of all lines that are not blank."""
    written = [line for line in lines if line.strip()]
    blanks = [line[: len(line) - len(line.lstrip(" \t"))] for line in written]
    least, most = min(blanks, default=""), max(blanks, default="")  # the common prefix of these two is that of all
    return next((i for i, pair in enumerate(zip(least, most, strict=False)) if pair[0] != pair[1]), len(least))
