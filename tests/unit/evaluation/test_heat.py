"""Background colors of code, and that the code itself is complete."""

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outline import Outline
from replays import a_replay

from tinycopilot.evaluation.report.heat import EDGES_BITS, HeatMap, gain_class, level
from tinycopilot.training.report.frame import visible


@pytest.mark.parametrize(
    ("bits", "expected"),
    [(0.0, 0), (0.499, 0), (0.5, 1), (1.0, 2), (3.99, 3), (4.0, 4), (8.0, 5), (900.0, 5), (math.inf, 5), (math.nan, 5)],
)
def test_levels(bits: float, expected: int) -> None:
    assert level(bits) == expected


@pytest.mark.parametrize(
    ("bits", "expected"), [(0.4, ""), (-0.4, ""), (0.5, "b1"), (2.0, "b2"), (-2.0, "w2"), (-9.0, "w3")]
)
def test_gains_are_signed(bits: float, expected: str) -> None:
    assert gain_class(bits) == expected


def test_no_gain_color_where_neither_side_has_one() -> None:
    assert gain_class(EDGES_BITS[0] - 1e-9) == "" == gain_class(1e-9 - EDGES_BITS[0])


def test_neighbors_of_one_color_are_merged() -> None:
    heat = HeatMap(a_replay("abcd", network={1: 3.0, 2: 2.0}, mixed={2: 1.0}))
    assert heat.html(0, 4, ["network"]) == (
        '<i title="network 0.12, n-grams 0.25, mixed 0.12">a</i>'
        '<i class="n3" title="network 5.00, n-grams 2.25, mixed 1.12, 2 characters">bc</i>'
        '<i title="network 0.12, n-grams 0.25, mixed 0.12">d</i>'
    )
    assert heat.html(0, 4, ["network", "mixed"], quiet=True) == (
        'a<i class="n3 b2" title="network 3.00, n-grams 0.25, mixed 0.12">b</i>'
        '<i class="n3 m2 b1" title="network 2.00, n-grams 2.00, mixed 1.00">c</i>d'
    )


def test_costly_line_end_is_visible() -> None:
    heat = HeatMap(a_replay("a\nb\n", network={1: 9.0}))
    assert heat.html(0, 2, ["network"], quiet=True) == (
        'a<i class="n5 eol" title="network 9.00, n-grams 0.25, mixed 0.12"></i>'
    )
    assert heat.html(2, 4, ["network"], quiet=True) == "b"


def test_untyped_text_has_no_color() -> None:
    replayed = a_replay("abcdef", network=dict.fromkeys(range(6), 3.0), first=2, last=4)
    assert re.sub(' title="[^"]*"', "", HeatMap(replayed).html(0, 6, ["network"])) == 'ab<i class="n3">cd</i>ef'


COSTS = st.sampled_from([0.0, 0.3, 0.7, 1.5, 3.0, 5.0, 20.0])


@given(st.text(min_size=1, max_size=30), st.data())
def test_code_is_complete_and_runs_are_maximal(text: str, data: st.DataObject) -> None:
    line = text.replace("\n", " ") + "\n"
    network, mixed = (dict(enumerate(data.draw(st.lists(COSTS, min_size=len(line), max_size=len(line))))) for _ in "ab")
    html = HeatMap(a_replay(line, network=network, mixed=mixed)).html(0, len(line), ["network", "mixed"])
    outline = Outline(f"<p>{html}</p>")
    shown = outline.words["p"][0]
    assert visible(shown) == visible(line[:-1])
    runs = [" ".join(re.findall(r"[nm]\d", attributes.get("class") or "")) for _, attributes in outline.elements[1:]]
    written = runs[:-1] if outline.of_class("eol") else runs
    assert all(one != other for one, other in itertools.pairwise(written))
    titles = [attributes["title"] or "" for _, attributes in outline.elements[1:]]
    told = sum(float(title.split()[1].rstrip(",")) for title in titles)
    end = 0 if outline.of_class("eol") else network[len(line) - 1]
    assert told == pytest.approx(sum(network.values()) - end, abs=0.01 * len(line))
