"""Background colors of code, and that the code itself is complete."""

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replays import a_replay

from tinycopilot.evaluation.report.heat import EDGES_BITS, HeatMap, Run, gain_class, level


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
    assert heat.runs(0, 4, ["network"]) == [
        Run("a", "", "network 0.12, n-grams 0.25, mixed 0.12"),
        Run("bc", "n3", "network 5.00, n-grams 2.25, mixed 1.12, 2 characters"),
        Run("d", "", "network 0.12, n-grams 0.25, mixed 0.12"),
    ]
    assert heat.runs(0, 4, ["network", "mixed"], quiet=True) == [
        Run("a"),
        Run("b", "n3 b2", "network 3.00, n-grams 0.25, mixed 0.12"),
        Run("c", "n3 m2 b1", "network 2.00, n-grams 2.00, mixed 1.00"),
        Run("d"),
    ]


def test_costly_line_end_is_visible() -> None:
    heat = HeatMap(a_replay("a\nb\n", network={1: 9.0}))
    assert heat.runs(0, 2, ["network"], quiet=True) == [
        Run("a"),
        Run("", "n5 eol", "network 9.00, n-grams 0.25, mixed 0.12"),
    ]
    assert heat.runs(2, 4, ["network"], quiet=True) == [Run("b")]


def test_untyped_text_has_no_color() -> None:
    replayed = a_replay("abcdef", network=dict.fromkeys(range(6), 3.0), first=2, last=4)
    runs = HeatMap(replayed).runs(0, 6, ["network"])
    assert [(run.text, run.classes) for run in runs if run.title] == [("cd", "n3")]
    assert [run.text for run in runs] == ["ab", "cd", "ef"]


COSTS = st.sampled_from([0.0, 0.3, 0.7, 1.5, 3.0, 5.0, 20.0])


@given(st.text(min_size=1, max_size=30), st.data())
def test_code_is_complete_and_runs_are_maximal(text: str, data: st.DataObject) -> None:
    line = text.replace("\n", " ") + "\n"
    network, mixed = (dict(enumerate(data.draw(st.lists(COSTS, min_size=len(line), max_size=len(line))))) for _ in "ab")
    runs = HeatMap(a_replay(line, network=network, mixed=mixed)).runs(0, len(line), ["network", "mixed"])
    assert "".join(run.text for run in runs) == line[:-1]
    levels = [" ".join(re.findall(r"[nm]\d", run.classes)) for run in runs if run.text]
    assert all(one != other for one, other in itertools.pairwise(levels))
    told = sum(float(run.title.split()[1].rstrip(",")) for run in runs)
    end = 0 if not runs[-1].text else network[len(line) - 1]
    assert told == pytest.approx(sum(network.values()) - end, abs=0.01 * len(line))
