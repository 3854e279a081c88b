"""Find the passages where network and mixture differ most, in bits per character."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinycopilot.evaluation.replay import ReplayResult
from tinycopilot.evaluation.report.lines import Lines

N_EACH = 6
"""Number of passages where the n-gram model helped, and where it hurt."""
WINDOW_CHARS = 120
"""A passage is the fewest whole lines with this many characters."""
CONTEXT_LINES = 3
"""Lines shown before and after a passage."""


@dataclass(frozen=True)
class Passage:
    """Whole lines of a replay."""

    number: int
    """Index of its replay."""
    first: int
    last: int
    """Offsets of its first character, and after its last."""
    shown: tuple[int, int]
    """The same, with the context lines; two passages never share a shown line."""
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
    """Whether they share a shown line."""
    return one.number == other.number and one.shown[0] < other.shown[1] and other.shown[0] < one.shown[1]
