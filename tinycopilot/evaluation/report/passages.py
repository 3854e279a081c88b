"""Find the passages where network and mixture differ most, in bits per character, and show them side by side."""

import itertools
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinycopilot.evaluation.replay import ReplayResult
from tinycopilot.evaluation.report.figures import percent
from tinycopilot.evaluation.report.heat import GAIN_EDGES_BITS, HeatMap, heat_scale
from tinycopilot.evaluation.report.lines import Lines
from tinycopilot.training.report.frame import visible

N_EACH = 6
"""Number of passages where the n-gram model helped, and where it hurt."""
WINDOW_CHARS = 120
"""A passage is the fewest whole lines with this many characters."""
CONTEXT_LINES = 3
"""Lines shown before and after a passage."""
MEANING = {"network": "the network alone", "mixed": "mixed"}
PANES = {"network": ("network",), "mixed": ("network", "mixed")}
"""The predictors whose levels are shown in a pane; the right pane also marks the gain."""


@dataclass(frozen=True)
class Passage:
    """Whole lines of a replay."""

    number: int
    """Index of its replay."""
    first: int
    last: int
    """Offsets of its first character, and after its last."""
    shown: tuple[int, int]
    """Offsets of the passage with its context lines. Two passages never share a shown line."""
    gain_bits: float
    """Bits per character of the network minus the mixture: positive if the n-gram model helped."""


def most_different(replays: Sequence[ReplayResult], n_each: int = N_EACH) -> tuple[list[Passage], list[Passage]]:
    """Return the passages where the n-gram model helped most, and where it hurt most, largest difference first.

    Chosen greedily, without overlap.
    """
    passages = (passage for number, replayed in enumerate(replays) for passage in windows(number, replayed))
    candidates = [passage for passage in passages if passage.gain_bits and math.isfinite(passage.gain_bits)]
    candidates.sort(key=lambda passage: -abs(passage.gain_bits))
    helped, hurt = list[Passage](), list[Passage]()
    for passage in candidates:
        chosen = helped if passage.gain_bits > 0 else hurt
        if len(chosen) < n_each and not any(overlap(passage, other) for other in helped + hurt):
            chosen.append(passage)
    return helped, hurt


def windows(number: int, replayed: ReplayResult) -> Iterator[Passage]:
    """Yield the passage that starts at each line; the whole replay if it is shorter than a passage."""
    excerpt, lines = replayed.excerpt, Lines(replayed.excerpt.text)
    typed = lines.between(excerpt.first, excerpt.last)
    gains = (n - m for n, m in zip(replayed.bits["network"], replayed.bits["mixed"], strict=True))
    gained = list(itertools.accumulate(gains, initial=0.0))
    for i, (first, _) in enumerate(typed):
        last = next((typed[j][1] for j in range(i, len(typed)) if typed[j][1] - first >= WINDOW_CHARS), excerpt.last)
        if i and last - first < WINDOW_CHARS:
            return
        gain = gained[last - excerpt.first] - gained[first - excerpt.first]
        yield Passage(number, first, last, lines.around(first, last, CONTEXT_LINES), gain / (last - first))


def overlap(one: Passage, other: Passage) -> bool:
    """Whether two passages share a shown line."""
    return one.number == other.number and one.shown[0] < other.shown[1] and other.shown[0] < one.shown[1]


def passages(replays: Sequence[ReplayResult], names: Sequence[str]) -> str:
    """Return the passages that the n-gram model helped or hurt most, as HTML; empty without any. `names`: of files."""
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
    lowered, raised = (sum(sign * gain >= GAIN_EDGES_BITS[0] for gain in gains) / len(gains) for sign in (1, -1))
    return (
        f"<p>The n-gram model lowered the surprisal of {percent(lowered)} of all characters by at least half a bit, and"
        f" raised that of {percent(raised)}. These are the lines with the largest change per character. Colors show the"
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
    blanks = [line[: len(line) - len(line.lstrip(" \t"))] for line in lines if line.strip()]
    return len(os.path.commonprefix(blanks))  # noqa: RUF071 (by characters is right here)
