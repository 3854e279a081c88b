"""Charts as inline SVG, without scripts. Coordinates are percentages: a chart fits any width, and text keeps its size.

The box is the plot area; labels outside of it need `overflow: visible` and a margin.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

Points = Sequence[tuple[float, float]]


class Axis(NamedTuple):
    """An axis: title, range and ticks."""

    title: str
    low: float
    high: float
    ticks: tuple[float, ...]

    def percent(self, value: float) -> float:
        """Return the position of `value`, 0 to 100 within the range; clipped to -100 and 200."""
        return min(max(100 * (value - self.low) / (self.high - self.low), -100), 200)


class Curve(NamedTuple):
    """A line through `points`. A NaN or infinity is a gap."""

    css_class: str
    points: Points


class Dot(NamedTuple):
    """A marked point, with a label, and a reading that is shown on hover."""

    css_class: str
    x: float
    y: float
    label: str
    reading: str


class Reading(NamedTuple):
    """A text that is shown above the chart, with a vertical line, when the pointer is nearest to `x`."""

    x: float
    words: str


def wide_axis(title: str, high: float) -> Axis:
    """Return an axis from 0 to exactly `high`."""
    high = high if high > 0 else 1.0
    return Axis(title, 0.0, high, tuple(tick for tick in _round_numbers(0.0, high, 6) if tick <= high))


def high_axis(title: str, low: float, high: float, n_ticks: int = 5) -> Axis:
    """Return an axis from the tick below `low` to the one above `high`; from 0 if the two are nearly equal."""
    if high - low <= max(1e-12, 1e-6 * abs(high)):
        low, high = min(low, 0.0), high if high > 1e-12 else 1.0
    ticks = _round_numbers(low, high, n_ticks)
    return Axis(title, ticks[0], ticks[-1], ticks)


def chart(name: str, description: str, x: Axis, y: Axis, curves: Sequence[Curve], dots: Sequence[Dot] = (),
          readings: Sequence[Reading] = ()) -> Markup:  # fmt: skip
    """Return the SVG; `name` and `description` are for screen readers. All text is escaped here."""
    return Markup("\n".join([
        f'<svg class="chart" role="img"><title>{escape(name)}</title><desc>{escape(description)}</desc>',
        *(_gridline(tick, y) for tick in y.ticks),
        *(f'<text class="x" x="{x.percent(tick):.2f}%" y="100%" dy="18">{short(tick)}</text>' for tick in x.ticks),
        f'<text class="title" y="-10">{escape(y.title)}</text>',
        f'<text class="end" x="100%" y="100%" dy="36">{escape(x.title)}</text>',
        '<svg viewBox="0 0 100 100" preserveAspectRatio="none" width="100%" height="100%">',
        *(f'<path class="{curve.css_class}" d="{_path(curve.points, x, y)}"/>' for curve in curves),
        "</svg>",
        *_strips(readings, x),
        *(_dot(dot, x, y) for dot in dots if math.isfinite(dot.x) and math.isfinite(dot.y)),
        "</svg>",
    ]))  # fmt: skip


def short(number: float) -> str:
    """Format with three digits and no exponent: 12345678 is 12.3 M, 0.25 is 0.25."""
    rounded = float(f"{number:.3g}")
    for size, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(rounded) >= size:
            return f"{rounded / size:g}{unit}"
    return f"{rounded:g}"


def _round_numbers(low: float, high: float, n: int) -> tuple[float, ...]:
    """Return about `n` multiples of 1, 2 or 5 times a power of ten, from at most `low` to at least `high`."""
    rough = (high - low) / n
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(float(f"{i * step:.12g}") for i in range(first, last + 1))


def _gridline(tick: float, y: Axis) -> str:
    place = f"{100 - y.percent(tick):.2f}%"
    label = f'<text class="y" x="-8" y="{place}">{_tick_label(tick, y)}</text>'
    return f'<line class="grid" x2="100%" y1="{place}" y2="{place}"/>{label}'


def _tick_label(tick: float, axis: Axis) -> str:
    """Format a tick with as many decimals as its step needs: 1.8, 2.0, 2.2."""
    if axis.high >= 1000:
        return short(tick)
    step = axis.ticks[1] - axis.ticks[0]
    return f"{tick:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"


def _path(points: Points, x: Axis, y: Axis) -> str:
    """Return the path; a single point between gaps is a line of length 0, whose round caps make it a dot."""
    words, pen_down = [], False
    for at, value in points:
        if drawn := math.isfinite(at) and math.isfinite(value):
            place = f"{x.percent(at):.2f} {100 - y.percent(value):.2f}"
            words.append(f"L{place}" if pen_down else f"M{place}h0")
        pen_down = drawn
    return "".join(words)


def _strips(readings: Sequence[Reading], x: Axis) -> list[str]:
    """Return adjacent hover areas, each where its reading is the nearest one."""
    places = [x.percent(reading.x) for reading in readings]
    borders = [0.0, *((a + b) / 2 for a, b in itertools.pairwise(places)), 100.0]
    return [
        f'<g class="strip"><rect x="{left:.2f}%" width="{max(right - left, 0):.2f}%" height="100%"/>'
        f'<line x1="{place:.2f}%" x2="{place:.2f}%" y2="100%"/>'
        f'<text class="end" x="100%" y="-10">{escape(reading.words)}</text></g>'
        for reading, place, left, right in zip(readings, places, borders, borders[1:], strict=False)
    ]


def _dot(dot: Dot, x: Axis, y: Axis) -> str:
    """Return a dot with its label, kept within the chart, and its reading."""
    left, top = x.percent(dot.x), max(100 - y.percent(dot.y), 0)
    anchor = "start" if left < 12 else "end" if left > 88 else "middle"
    label = (
        f'<text class="label" x="{left:.2f}%" y="{top:.2f}%" dy="-12" text-anchor="{anchor}">{escape(dot.label)}</text>'
    )
    return (
        f'<g class="strip {dot.css_class}"><circle cx="{left:.2f}%" cy="{top:.2f}%" r="4.5"/>{label}'
        f'<text class="end" x="100%" y="-10">{escape(dot.reading)}</text></g>'
    )
