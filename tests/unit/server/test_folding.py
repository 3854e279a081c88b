"""Folding: the first line of a suggestion, then the rest of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinycopilot_server.completion import Folding

LINES = "first(1)\n    second(2)\n\n    third(3)"


def test_first_line_then_the_others() -> None:
    folding = Folding()
    assert folding.fold("a", "x = ", [LINES]) == [("first(1)", 2)]
    assert folding.fold("a", "x = f", [LINES[1:]]) == [("irst(1)", 2)]  # typed along
    rest = LINES.removeprefix("first(1)")
    assert folding.fold("a", "x = first(1)", [rest]) == [(rest, 0)]  # accepted
    assert folding.fold("a", "x = first(1)", [rest]) == [(rest, 0)]  # asked again
    assert folding.fold("a", "x = first(1)\n    s", [rest[6:]]) == [(rest[6:], 0)]  # typed along
    assert folding.fold("b", "x = first(1)", [rest]) == [("\n    second(2)", 1)]
    assert folding.fold("b", "x = ", [LINES]) == [("first(1)", 2)]


def test_one_line_is_shown_as_it_is() -> None:
    folding = Folding()
    assert folding.fold("a", "", ["first"]) == [("first", 0)]
    assert folding.fold("a", "", ["\n    first"]) == [("\n    first", 0)]


def test_windows_line_ends() -> None:
    assert Folding().fold("a", "", [LINES.replace("\n", "\r\n")]) == [("first(1)", 2)]
    assert Folding().fold("a", "", ["\r\n  a\r\nb"]) == [("\r\n  a", 1)]


def test_alternatives_with_the_same_first_line_are_shown_once() -> None:
    assert Folding().fold("a", "", ["a\nb", "a\nc\nd", "e"]) == [("a", 1), ("e", 0)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@given(st.lists(st.text("ab ", max_size=3), min_size=1, max_size=5), st.text("xy\n", max_size=3))
def test_accepting_twice_inserts_all_of_it(end: str, lines: list[str], before: str) -> None:
    folding, text = Folding(), end.join([*lines, "c"])
    [(shown, n_hidden)] = folding.fold("a", before, [text])
    assert text.startswith(shown)
    assert n_hidden == sum(bool(line.strip()) for line in text[len(shown) :].splitlines())
    assert len(shown.split()) > 0
    if rest := text[len(shown) :]:
        assert n_hidden > 0
        assert folding.fold("a", before + shown, [rest]) == [(rest, 0)]
