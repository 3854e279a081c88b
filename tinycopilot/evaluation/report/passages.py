"""Find the passages where network and mixture differ most, in bits per character, to show them side by side."""

import itertools
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tinycopilot.evaluation.report.heat import GAIN_EDGES_BITS, HeatMap, Run

N_EACH = 6
"""Number of passages where the n-gram model helped, and where it hurt."""
WINDOW_CHARS = 120
"""A passage is the fewest whole lines with this many characters."""
CONTEXT_LINES = 3
"""Lines shown before and after a passage."""
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


def most_different(maps: Sequence[HeatMap], n_each: int = N_EACH) -> tuple[list[Passage], list[Passage]]:
    """Return the passages where the n-gram model helped most, and where it hurt most, largest difference first.

    Chosen greedily, without overlap.
    """
    passages = (passage for number, heat in enumerate(maps) for passage in windows(number, heat))
    candidates = [passage for passage in passages if passage.gain_bits and math.isfinite(passage.gain_bits)]
    candidates.sort(key=lambda passage: -abs(passage.gain_bits))
    helped, hurt = list[Passage](), list[Passage]()
    for passage in candidates:
        chosen = helped if passage.gain_bits > 0 else hurt
        if len(chosen) < n_each and not any(overlap(passage, other) for other in helped + hurt):
            chosen.append(passage)
    return helped, hurt


def windows(number: int, heat: HeatMap) -> Iterator[Passage]:
    """Yield the passage that starts at each line; the whole replay if it is shorter than a passage."""
    excerpt = heat.excerpt
    typed = heat.lines(excerpt.first, excerpt.last)
    gained = list(itertools.accumulate(_gains(heat), initial=0.0))
    for i, (first, _) in enumerate(typed):
        last = next((end for _, end in typed[i:] if end - first >= WINDOW_CHARS), excerpt.last)
        if i and last - first < WINDOW_CHARS:
            return
        gain = gained[last - excerpt.first] - gained[first - excerpt.first]
        yield Passage(number, first, last, heat.whole_lines(first, last, CONTEXT_LINES), gain / (last - first))


def _gains(heat: HeatMap) -> Iterator[float]:
    """Yield the bits of the network minus those of the mixture, for each character."""
    return (network - mixed for network, mixed in zip(heat.bits["network"], heat.bits["mixed"], strict=True))


def overlap(one: Passage, other: Passage) -> bool:
    """Whether two passages share a shown line."""
    return one.number == other.number and one.shown[0] < other.shown[1] and other.shown[0] < one.shown[1]


def passages(maps: Sequence[HeatMap]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the passages that the n-gram model helped or hurt most, with a heading for each kind."""
    helped, hurt = most_different(maps)
    kinds = (("Where the n-gram model helped most", helped), ("Where it hurt most", hurt))
    return [(heading, [_passage(p, maps[p.number]) for p in some]) for heading, some in kinds if some]


def changed_shares(maps: Sequence[HeatMap]) -> tuple[float, float]:
    """Return the shares of characters whose surprisal the n-gram model lowered, and raised, by at least half a bit."""
    gains = [gain for heat in maps for gain in _gains(heat)]
    lowered, raised = (sum(sign * gain >= GAIN_EDGES_BITS[0] for gain in gains) / len(gains) for sign in (1, -1))
    return lowered, raised


def _passage(passage: Passage, heat: HeatMap) -> dict[str, Any]:
    chars = slice(passage.first - heat.excerpt.first, passage.last - heat.excerpt.first)
    return {
        "number": passage.number,
        "lines": (heat.line_number(passage.first), heat.line_number(passage.last - 1)),
        "before": heat.line_number(passage.shown[0]) - 1,
        "bits": {source: sum(heat.bits[source][chars]) / (passage.last - passage.first) for source in PANES},
        "panes": {source: _pane(passage, heat, by) for source, by in PANES.items()},
    }


def _pane(passage: Passage, heat: HeatMap, by: Sequence[str]) -> list[tuple[bool, list[Run]]]:
    """Return the lines of a passage and its context: whether it is in the passage, and its code."""
    shown = heat.lines(*passage.shown)
    indentation = _common_indentation([heat.excerpt.text[first:last] for first, last in shown])
    return [
        (first < passage.last and passage.first < last, heat.runs(min(first + indentation, last - 1), last, by))
        for first, last in shown
    ]


def _common_indentation(lines: Sequence[str]) -> int:
    """Return the length of the common indentation of all lines that are not blank."""
    blanks = [line[: len(line) - len(line.lstrip(" \t"))] for line in lines if line.strip()]
    return len(os.path.commonprefix(blanks))  # noqa: RUF071 (by characters is right here)
