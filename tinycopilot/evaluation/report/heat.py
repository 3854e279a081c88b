"""Heat map: the surprisal of characters as background colors."""

import bisect
import itertools
from collections.abc import Sequence
from typing import NamedTuple

from tinycopilot.evaluation.replay import ReplayResult

EDGES_BITS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Boundaries between levels; level 0 has no color."""
GAIN_EDGES_BITS = (0.5, 2.0, 5.0)
"""Boundaries between levels of the mixture's gain or loss, compared with the network."""
SOURCES = {"network": "network", "memory": "n-grams", "mixed": "mixed"}
"""Key of each predictor in `bits`, and its name on the page."""
LETTERS = {"network": "n", "mixed": "m"}
"""The CSS class of a level is this letter and a digit: n3, m0."""


def level(bits: float) -> int:
    """Return the level of a surprisal, 0 to len(EDGES_BITS)."""
    return bisect.bisect_right(EDGES_BITS, bits)


def gain_class(bits: float) -> str:
    """Return the CSS class of a gain in bits per character: b1 to b3 for better, w1 to w3 for worse, or empty."""
    size = bisect.bisect_right(GAIN_EDGES_BITS, abs(bits))
    return f"{'b' if bits > 0 else 'w'}{size}" if size else ""


class Run(NamedTuple):
    """Characters of equal color: their text (empty for a line end), CSS classes, and title; plain without a title."""

    text: str
    classes: str = ""
    title: str = ""


class HeatMap:
    """The code of one excerpt, colored."""

    def __init__(self, replayed: ReplayResult) -> None:
        self._excerpt = replayed.excerpt
        self._bits = [replayed.bits[source] for source in SOURCES]
        self._levels = {source: bytes(map(level, replayed.bits[source])) for source in LETTERS}

    def runs(self, first: int, last: int, by: Sequence[str], *, quiet: bool = False) -> list[Run]:
        """Return text[first:last], at most one line, as runs of characters with equal levels of the predictors `by`.

        Text outside the replay has no color. Each run has a title with its bits; if `quiet`, only colored ones. CSS
        shows a colored line end as a symbol.
        """
        written = last - self._excerpt.text.endswith("\n", first, last)
        runs, at = [], first
        for levels, group in itertools.groupby(range(first, written), lambda i: self._levels_at(i, by)):
            end = at + sum(1 for _ in group)
            text = self._excerpt.text[at:end]
            is_plain = not levels or (quiet and not any(levels))
            runs.append(Run(text) if is_plain else self._colored(at, end, text, by))
            at = end
        if written < last and any(self._levels_at(written, by)):
            runs.append(self._colored(written, last, "", by))
        return runs

    def _levels_at(self, at: int, by: Sequence[str]) -> tuple[int, ...]:
        """Return the levels of one character; empty outside the replay."""
        if not self._excerpt.first <= at < self._excerpt.last:
            return ()
        return tuple(self._levels[source][at - self._excerpt.first] for source in by)

    def _colored(self, first: int, last: int, text: str, by: Sequence[str]) -> Run:
        """Return `text` in the color of its first character, with its bits."""
        n, places = last - first, slice(first - self._excerpt.first, last - self._excerpt.first)
        network, ngrams, mixed = (sum(bits[places]) for bits in self._bits)
        levels = zip(by, self._levels_at(first, by), strict=True)
        classes = [f"{LETTERS[source]}{level}" for source, level in levels if level]
        classes += [gain_class((network - mixed) / n)] if len(by) > 1 else []
        classes += ["eol"] if not text else []
        together = f", {n} characters" if n > 1 else ""
        title = f"network {network:.2f}, n-grams {ngrams:.2f}, mixed {mixed:.2f}{together}"
        return Run(text, " ".join(filter(None, classes)), title)
