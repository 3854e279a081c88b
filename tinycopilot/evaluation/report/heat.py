"""Heat map: the lines of replayed code, with the surprisal of characters as background colors."""

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
    """The code of one replay: its lines, and the color of each character. A line break belongs to its line."""

    def __init__(self, replayed: ReplayResult) -> None:
        self.replayed, self.excerpt = replayed, replayed.excerpt
        self.bits = {source: [costs[source] for costs in replayed.score.bits] for source in SOURCES}
        """-log2 p of each character of the excerpt, by predictor."""
        self._levels = {source: bytes(map(level, self.bits[source])) for source in LETTERS}
        ends = (i + 1 for i, character in enumerate(self.excerpt.text) if character == "\n")
        self._borders = list(dict.fromkeys([0, *ends, len(self.excerpt.text)]))

    def line_number(self, at: int) -> int:
        """Return the number of the line that contains offset `at`, from 1."""
        return bisect.bisect_right(self._borders, at)

    def whole_lines(self, first: int, last: int, n_more: int = 0) -> tuple[int, int]:
        """Return the range of whole lines that contain first ... last, and up to `n_more` lines on either side."""
        begin = max(bisect.bisect_right(self._borders, first) - 1 - n_more, 0)
        end = min(bisect.bisect_left(self._borders, last) + n_more, len(self._borders) - 1)
        return self._borders[begin], self._borders[end]

    def lines(self, first: int, last: int) -> list[tuple[int, int]]:
        """Return the (start, end) of each line, or part of a line, from `first` to `last`."""
        begin, end = bisect.bisect_right(self._borders, first), bisect.bisect_left(self._borders, last)
        return list(itertools.pairwise([first, *self._borders[begin:end], last]))

    def runs(self, first: int, last: int, by: Sequence[str], *, quiet: bool = False) -> list[Run]:
        """Return text[first:last], at most one line, as runs of characters with equal levels of the predictors `by`.

        Text outside the replay has no color. Each run has a title with its bits; if `quiet`, only colored ones. CSS
        shows a colored line end as a symbol.
        """
        written = last - self.excerpt.text.endswith("\n", first, last)
        runs, at = list[Run](), first
        for (levels, is_break), group in itertools.groupby(
            range(first, last), lambda i: (self._levels_at(i, by), i == written)
        ):
            end = at + len(list(group))
            text = "" if is_break else self.excerpt.text[at:end]
            if any(levels) or (levels and text and not quiet):
                runs.append(self._colored(at, end, text, dict(zip(by, levels, strict=True))))
            elif text:
                runs.append(Run(text))
            at = end
        return runs

    def _levels_at(self, at: int, by: Sequence[str]) -> tuple[int, ...]:
        """Return the levels of one character; empty outside the replay."""
        if not self.excerpt.first <= at < self.excerpt.last:
            return ()
        return tuple(self._levels[source][at - self.excerpt.first] for source in by)

    def _colored(self, first: int, last: int, text: str, levels: dict[str, int]) -> Run:
        """Return `text` in the color of `levels`, with its bits."""
        n, places = last - first, slice(first - self.excerpt.first, last - self.excerpt.first)
        network, ngrams, mixed = (sum(bits[places]) for bits in self.bits.values())
        classes = [f"{LETTERS[source]}{level}" for source, level in levels.items() if level]
        classes += [gain_class((network - mixed) / n)] if len(levels) > 1 else []
        classes += ["eol"] if not text else []
        together = f", {n} characters" if n > 1 else ""
        title = f"network {network:.2f}, n-grams {ngrams:.2f}, mixed {mixed:.2f}{together}"
        return Run(text, " ".join(filter(None, classes)), title)
