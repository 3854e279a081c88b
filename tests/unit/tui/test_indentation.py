"""Enter, Tab and Backspace as in an editor."""

import pytest

from tinycopilot.tui.indentation import indentation_unit, line_break, n_for_backspace, n_for_outdent, tab


@pytest.mark.parametrize(
    ("line", "n_chars", "inserted"),
    [
        ("", 0, "\n"),
        ("x = 1", 0, "\n"),
        ("    x = 1", 0, "\n    "),
        ("def f():", 0, "\n    "),
        ("    if x:  ", 0, "\n        "),
        ("    # so it is:", 0, "\n    "),
        ("        ", 8, "\n        "),
        ("\tif x:", 0, "\n\t    "),
    ],
)
def test_new_line_keeps_or_deepens_the_indentation(line: str, n_chars: int, inserted: str) -> None:
    assert line_break(line, "    ") == (n_chars, inserted)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("", "    "),
        ("x = 1\n", "    "),
        ("def f():\n  return\n", "  "),
        ("class A:\n\n\tdef f(self):\n\t\tpass\n", "\t"),
        ('"""Notes:\n        far in"""\ndef f():\n  if x:\n    y\n', "  "),
        ("if x:\npass\n", "    "),
    ],
)
def test_indentation_unit_is_the_files(text: str, unit: str) -> None:
    assert indentation_unit(text) == unit


@pytest.mark.parametrize(
    ("line", "unit", "inserted"),
    [("", "    ", "    "), ("      ", "    ", "  "), ("abc", "  ", " "), ("abcd", "    ", "    "), ("x", "\t", "\t")],
)
def test_tab_goes_to_the_next_level(line: str, unit: str, inserted: str) -> None:
    assert tab(line, unit) == inserted


@pytest.mark.parametrize(
    ("line", "unit", "n_chars"),
    [
        ("", "    ", 1),
        ("x", "    ", 1),
        ("    x", "    ", 1),
        ("    ", "    ", 4),
        ("        ", "    ", 4),
        ("      ", "    ", 2),
        (" ", "    ", 1),
        ("\t\t", "\t", 1),
        ("  \t", "    ", 1),
    ],
)
def test_backspace_removes_one_level(line: str, unit: str, n_chars: int) -> None:
    assert n_for_backspace(line, unit) == n_chars


@pytest.mark.parametrize(
    ("line", "unit", "n_chars"),
    [("        x", "    ", 4), ("  x", "    ", 2), ("x", "    ", 0), ("\t\tx", "\t", 1), ("", "    ", 0)],
)
def test_outdent_stops_at_column_0(line: str, unit: str, n_chars: int) -> None:
    assert n_for_outdent(line, unit) == n_chars
