"""Heat map: the surprisal of characters as background colors."""

import bisect
import itertools
from collections.abc import Sequence

from tinycopilot.evaluation.replay import ReplayResult
from tinycopilot.training.report.frame import visible

EDGES_BITS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Boundaries between levels; level 0 has no color."""
GAIN_EDGES_BITS = (0.5, 2.0, 5.0)
"""Boundaries between levels of the mixture's gain or loss, compared with the network."""
SOURCES = ("network", "memory", "mixed")
LETTERS = {"network": "n", "mixed": "m"}
"""The CSS class of a level is this letter and a digit: n3, m0."""


def level(bits: float) -> int:
    """Return the level of a surprisal, 0 to len(EDGES_BITS)."""
    return bisect.bisect_right(EDGES_BITS, bits)


def gain_class(bits: float) -> str:
    """Return the CSS class of a gain in bits per character: b1 to b3 for better, w1 to w3 for worse, or empty."""
    size = bisect.bisect_right(GAIN_EDGES_BITS, abs(bits))
    return f"{'b' if bits > 0 else 'w'}{size}" if size else ""


class HeatMap:
    """The code of one excerpt, colored."""

    def __init__(self, replayed: ReplayResult) -> None:
        self._excerpt = replayed.excerpt
        self._bits = [replayed.bits[source] for source in SOURCES]
        self._levels = {source: bytes(map(level, replayed.bits[source])) for source in LETTERS}

    def html(self, first: int, last: int, by: Sequence[str], *, quiet: bool = False) -> str:
        """Return text[first:last], at most one line, as runs of characters with equal levels of the predictors `by`.

        Text outside the replay has no color. Each run has a title with its bits; if `quiet`, only colored ones. A
        colored line end is an empty element, which CSS shows as a symbol.
        """
        written = last - self._excerpt.text.endswith("\n", first, last)
        parts, at = [], first
        for levels, group in itertools.groupby(range(first, written), lambda i: self._levels_at(i, by)):
            end = at + sum(1 for _ in group)
            text = visible(self._excerpt.text[at:end])
            is_plain = not levels or (quiet and not any(levels))
            parts.append(text if is_plain else self._run(at, end, text, by))
            at = end
        if written < last and any(self._levels_at(written, by)):
            parts.append(self._run(written, last, "", by))
        return "".join(parts)

    def _levels_at(self, at: int, by: Sequence[str]) -> tuple[int, ...]:
        """Return the levels of one character; empty outside the replay."""
        if not self._excerpt.first <= at < self._excerpt.last:
            return ()
        return tuple(self._levels[source][at - self._excerpt.first] for source in by)

    def _run(self, first: int, last: int, shown: str, by: Sequence[str]) -> str:
        """Return `shown` in the color of its first character, with its bits; empty for a line end."""
        n, places = last - first, slice(first - self._excerpt.first, last - self._excerpt.first)
        network, ngrams, mixed = (sum(bits[places]) for bits in self._bits)
        levels = zip(by, self._levels_at(first, by), strict=True)
        classes = [f"{LETTERS[source]}{level}" for source, level in levels if level]
        classes += [gain_class((network - mixed) / n)] if len(by) > 1 else []
        classes += ["eol"] if not shown else []
        words = " ".join(filter(None, classes))
        css_class = f' class="{words}"' if words else ""
        together = f", {n} characters" if n > 1 else ""
        title = f"network {network:.2f}, n-grams {ngrams:.2f}, mixed {mixed:.2f}{together}"
        return f'<i{css_class} title="{title}">{shown}</i>'


def heat_scale() -> str:
    """Return the legend: a swatch for each level, with its upper bound in bits and as a probability."""
    ends = [f"<span>{_plain(edge)}</span><span>{_percent(2**-edge)}</span>" for edge in EDGES_BITS]
    swatches = "".join(f'<li class="h{i}">{end}</li>' for i, end in enumerate([*ends, ""]))
    return f'<div class="scale heat"><span>bits<br>probability</span><ol>{swatches}</ol></div>'


def gain_scale() -> str:
    """Return the legend of gains: by how many bits the n-gram model changes a character's surprisal."""
    ends = [f"<span>{_plain(edge)}</span>" for edge in GAIN_EDGES_BITS]
    worse = "".join(f'<li class="w{i}">{end}</li>' for i, end in reversed([*enumerate(ends, 1)]))
    better = "".join(f'<li class="b{i}">{end}</li>' for i, end in enumerate([*ends, ""]))
    return f'<div class="scale gain"><span>worse</span><ol>{worse}{better}</ol><span>better, in bits</span></div>'


def _percent(share: float) -> str:
    return f"{100 * share:.{0 if share >= 0.01 else 1}f}\N{NO-BREAK SPACE}%"


def _plain(edge: float) -> str:
    return {0.5: "\N{VULGAR FRACTION ONE HALF}"}.get(edge, f"{edge:g}")
