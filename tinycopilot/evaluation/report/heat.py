"""Heat: what characters cost in bits, as colours behind the code."""

import bisect
import itertools
from collections.abc import Sequence

from tinycopilot.evaluation.replay import ReplayResult
from tinycopilot.training.report.frame import visible

EDGES_BITS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Where one level of heat ends and the next begins; level 0 has no colour."""
GAIN_EDGES_BITS = (0.5, 2.0, 5.0)
"""The same of what the mixture gains on the network, or loses. Where neither has a colour, nor has the gain."""
SOURCES = ("network", "memory", "mixed")
LETTERS = {"network": "n", "mixed": "m"}
"""A level is a class of CSS, the letter and a figure: n3, m0."""


def level(bits: float) -> int:
    """0 to len(EDGES_BITS)."""
    return bisect.bisect_right(EDGES_BITS, bits)


def gain_class(bits: float) -> str:
    """The class of a gain in bits per character: b1 to b3 for better, w1 to w3 for worse, nothing near to 0."""
    size = bisect.bisect_right(GAIN_EDGES_BITS, abs(bits))
    return f"{'b' if bits > 0 else 'w'}{size}" if size else ""


class HeatMap:
    """The code of one excerpt, coloured."""

    def __init__(self, replayed: ReplayResult) -> None:
        self._excerpt = replayed.excerpt
        self._bits = [replayed.bits[source] for source in SOURCES]
        self._levels = {source: bytes(map(level, replayed.bits[source])) for source in LETTERS}

    def html(self, first: int, last: int, by: Sequence[str], *, quiet: bool = False) -> str:
        """text[first:last], at most one line, in runs of characters whose levels `by` each of these are the same.

        What was not typed has no colour. Each run has a title with its bits; if `quiet`, only those with a colour. A
        line end that has one is an empty element, for which the style has a sign.
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
        """The levels of one character; none of one that was not typed."""
        if not self._excerpt.first <= at < self._excerpt.last:
            return ()
        return tuple(self._levels[source][at - self._excerpt.first] for source in by)

    def _run(self, first: int, last: int, shown: str, by: Sequence[str]) -> str:
        """`shown` in the colours of its first character, with all its bits; an empty one is a line end."""
        n, places = last - first, slice(first - self._excerpt.first, last - self._excerpt.first)
        network, memory, mixed = (sum(bits[places]) for bits in self._bits)
        levels = zip(by, self._levels_at(first, by), strict=True)
        classes = [f"{LETTERS[source]}{level}" for source, level in levels if level]
        classes += [gain_class((network - mixed) / n)] if len(by) > 1 else []
        classes += ["eol"] if not shown else []
        words = " ".join(filter(None, classes))
        css_class = f' class="{words}"' if words else ""
        together = f", {n} characters" if n > 1 else ""
        title = f"network {network:.2f}, memory {memory:.2f}, mixed {mixed:.2f}{together}"
        return f'<i{css_class} title="{title}">{shown}</i>'


def heat_scale() -> str:
    """The legend: a swatch for each level, and where it ends, in bits and as the probability that these are."""
    ends = [f"<span>{_plain(edge)}</span><span>{_percent(2**-edge)}</span>" for edge in EDGES_BITS]
    swatches = "".join(f'<li class="h{i}">{end}</li>' for i, end in enumerate([*ends, ""]))
    return f'<div class="scale heat"><span>bits<br>probability</span><ol>{swatches}</ol></div>'


def gain_scale() -> str:
    """The legend of gains: how many bits dearer, or cheaper, the memory made a character."""
    ends = [f"<span>{_plain(edge)}</span>" for edge in GAIN_EDGES_BITS]
    worse = "".join(f'<li class="w{i}">{end}</li>' for i, end in reversed([*enumerate(ends, 1)]))
    better = "".join(f'<li class="b{i}">{end}</li>' for i, end in enumerate([*ends, ""]))
    return f'<div class="scale gain"><span>worse</span><ol>{worse}{better}</ol><span>better, in bits</span></div>'


def _percent(share: float) -> str:
    return f"{100 * share:.{0 if share >= 0.01 else 1}f}\N{NO-BREAK SPACE}%"


def _plain(edge: float) -> str:
    return {0.5: "\N{VULGAR FRACTION ONE HALF}"}.get(edge, f"{edge:g}")
