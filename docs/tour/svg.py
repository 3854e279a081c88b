"""A small SVG file: shapes and text, with colors for light and dark pages."""

import itertools
from collections.abc import Iterable, Sequence
from xml.etree import ElementTree

STYLE = """
svg { background: #ffffff }
text { font: 13px system-ui, sans-serif; fill: #24292f }
.code { font-family: ui-monospace, monospace; font-size: 14px }
.small { font-size: 11px }
.tiny { font-size: 8px }
.dim { fill: #57606a }
.middle { text-anchor: middle }
.end { text-anchor: end }
.box { fill: #f6f8fa; stroke: #d0d7de }
.line { fill: none; stroke: #d0d7de }
.a { fill: #0969da } .b { fill: #bc4c00 } .c { fill: #1a7f37 } .d { fill: #8250df } .e { fill: #6e7781 }
.f { fill: #bf3989 } .g { fill: #9a6700 } .h { fill: #0a8ea0 }
path.a, path.b, path.c, path.d, path.e, path.f, path.g, path.h { fill: none; stroke-width: 2 }
path.a { stroke: #0969da } path.b { stroke: #bc4c00 } path.c { stroke: #1a7f37 } path.d { stroke: #8250df }
path.e { stroke: #6e7781 } path.f { stroke: #bf3989 } path.g { stroke: #9a6700 } path.h { stroke: #0a8ea0 }
path.cells { fill: #0969da; stroke: none }
@media (prefers-color-scheme: dark) {
  svg { background: #0d1117 }
  text { fill: #e6edf3 } .dim { fill: #9198a1 } .box { fill: #161b22; stroke: #3d444d } .line { stroke: #3d444d }
  .a { fill: #58a6ff } .b { fill: #f0883e } .c { fill: #3fb950 } .d { fill: #bc8cff } .e { fill: #9198a1 }
  .f { fill: #f778ba } .g { fill: #d29922 } .h { fill: #39c5cf }
  path.a { stroke: #58a6ff } path.b { stroke: #f0883e } path.c { stroke: #3fb950 } path.d { stroke: #bc8cff }
  path.e { stroke: #9198a1 } path.f { stroke: #f778ba } path.g { stroke: #d29922 } path.h { stroke: #39c5cf }
  path.a, path.b, path.c, path.d, path.e, path.f, path.g, path.h { fill: none }
  path.cells { fill: #58a6ff }
}
"""
N_SHADES = 8
"""Attention weights are drawn in this many opacities, one path each, which keeps the files small."""


def number(value: float) -> str:
    """Return a coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")


def visible(character: str) -> str:
    """Return a character as it is drawn: blanks need a sign."""
    return {"\n": "⏎", " ": "·", "\t": "→"}.get(character, character)


class Svg:
    """A picture of fixed size; `title` is for screen readers."""

    def __init__(self, width: float, height: float, title: str) -> None:
        box = f"0 0 {number(width)} {number(height)}"
        self._root = ElementTree.Element(
            "svg",
            xmlns="http://www.w3.org/2000/svg",
            viewBox=box,
            width=number(width),
            height=number(height),
            role="img",
        )
        ElementTree.SubElement(self._root, "title").text = title
        ElementTree.SubElement(self._root, "style").text = STYLE

    def text(self, x: float, y: float, text: str, css_class: str = "") -> None:
        """Write `text` with its baseline at y."""
        self._add("text", css_class, x=x, y=y).text = text

    def rect(self, x: float, y: float, width: float, height: float, css_class: str, opacity: float = 1) -> None:
        """Fill a rectangle."""
        element = self._add("rect", css_class, x=x, y=y, width=width, height=height)
        if opacity < 1:
            element.set("fill-opacity", f"{opacity:.2f}")

    def dot(self, x: float, y: float, radius: float, css_class: str) -> None:
        """Fill a circle."""
        self._add("circle", css_class, cx=x, cy=y, r=radius)

    def polyline(self, points: Iterable[tuple[float, float]], css_class: str) -> None:
        """Draw straight lines from point to point."""
        steps = " L".join(f"{number(x)} {number(y)}" for x, y in points)
        self._add("path", css_class).set("d", f"M{steps}")

    def cells(self, x: float, y: float, size: float, weights: Sequence[Sequence[float]]) -> None:
        """Draw a matrix of weights from 0 to 1 as squares; the larger, the more opaque."""
        shades = dict[int, list[str]]()
        for row, column in itertools.product(range(len(weights)), range(len(weights[0]))):
            if shade := round(float(weights[row][column]) * N_SHADES):
                at = f"M{number(x + column * size)} {number(y + row * size)}"
                shades.setdefault(shade, []).append(f"{at}h{number(size)}v{number(size)}h-{number(size)}z")
        for shade, squares in sorted(shades.items()):
            element = self._add("path", "cells")
            element.set("fill-opacity", f"{shade / N_SHADES:.2f}")
            element.set("d", "".join(squares))

    def _add(self, tag: str, css_class: str, **at: float) -> ElementTree.Element:
        attributes = {name: number(value) for name, value in at.items()} | ({"class": css_class} if css_class else {})
        return ElementTree.SubElement(self._root, tag, attributes)

    def __str__(self) -> str:
        ElementTree.indent(self._root, "")
        return ElementTree.tostring(self._root, "unicode") + "\n"


class Plot:
    """Axes inside an Svg: maps values to coordinates."""

    def __init__(
        self,
        svg: Svg,
        box: tuple[float, float, float, float],
        x_range: tuple[float, float],
        y_range: tuple[float, float],
    ) -> None:
        """`box`: left, top, width, height."""
        self.svg, self.box, self.x_range, self.y_range = svg, box, x_range, y_range

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the coordinates of a value."""
        left, top, width, height = self.box
        (x0, x1), (y0, y1) = self.x_range, self.y_range
        return left + width * (x - x0) / (x1 - x0), top + height * (y1 - min(max(y, y0), y1)) / (y1 - y0)

    def axes(
        self, x_ticks: Sequence[tuple[float, str]], y_ticks: Sequence[tuple[float, str]], x_title: str, y_title: str
    ) -> None:
        """Draw grid lines, tick labels and titles."""
        left, top, width, height = self.box
        for value, label in y_ticks:
            y = self.at(self.x_range[0], value)[1]
            self.svg.polyline([(left, y), (left + width, y)], "line")
            self.svg.text(left - 6, y + 4, label, "small dim end")
        for value, label in x_ticks:
            self.svg.text(self.at(value, self.y_range[0])[0], top + height + 16, label, "small dim middle")
        self.svg.text(left, top - 8, y_title, "small dim")
        self.svg.text(left + width, top + height + 32, x_title, "small dim end")

    def curve(self, points: Iterable[tuple[float, float]], css_class: str) -> None:
        """Draw a line through values."""
        self.svg.polyline((self.at(x, y) for x, y in points), css_class)
