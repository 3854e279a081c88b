"""Disagreement: the passages where what the network says alone and the mixture differ most, per character."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinycopilot.evaluation.replay import ReplayResult
from tinycopilot.evaluation.report.lines import Lines

N_EACH = 6
"""So many passages where the memory helped, and so many where it hurt."""
WINDOW_CHARS = 120
"""A passage is the fewest whole lines that have as many characters: a lone bracket is no place to compare."""
CONTEXT_LINES = 3
"""Shown before and after it."""


@dataclass(frozen=True)
class Passage:
    """Whole lines of what was typed."""

    number: int
    """Of its replay, from 0."""
    first: int
    last: int
    """The offsets of its first character and of the one after its last."""
    shown: tuple[int, int]
    """The same with the lines around it; no two passages share a line that is shown."""
    gain_bits: float
    """Per character, the network's bits less the mixture's: above 0 where the memory helped."""


def most_different(replays: Sequence[ReplayResult], n_each: int = N_EACH) -> tuple[list[Passage], list[Passage]]:
    """Where the memory helped most, and where it hurt most, the greatest difference first; none overlap.

    Each is the most different of all that overlap none before it.
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
    """The passage that begins at each line, where enough was typed; all of it where all is shorter than that."""
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
    """Whether they share a line that is shown."""
    return one.number == other.number and one.shown[0] < other.shown[1] and other.shown[0] < one.shown[1]
