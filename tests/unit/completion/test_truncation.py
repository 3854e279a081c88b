"""Where a suggestion is truncated."""

import math
import time

import pytest

from tinycopilot.completion.request import CompleterSettings
from tinycopilot.completion.truncation import is_at_line_end, postprocess, truncate


def certain(text: str) -> list[tuple[str, float]]:
    return [(c, 0.0) for c in text]


@pytest.mark.parametrize(
    ("decoded", "settings", "expected"),
    [
        (certain("return x\nmore"), CompleterSettings(max_lines=1), "return x"),
        (certain("return x\n\nmore()"), CompleterSettings(), "return x\n\nmore("),
        (
            [*certain("f(x)"), ("\n", -0.5), *certain("more()\n")],
            CompleterSettings(),
            "f(x)\nmore()",
        ),  # 0.6: probable enough
        ([*certain("f(x)"), ("\n", -0.8), *certain("more()\n")], CompleterSettings(), "f(x)"),  # 0.4 is not
        (certain("a:\n  b\nmore"), CompleterSettings(max_lines=2), "a:\n  b"),
        (certain("word other"), CompleterSettings(max_chars=7), "word"),  # not "word ot"
        ([*certain("word"), ("s", -9.0), ("(", 0.0)], CompleterSettings(), None),  # half a name is useless
        ([*certain("word"), ("(", -9.0)], CompleterSettings(), "word"),
        ([*certain("x, y.word"), ("s", -9.0)], CompleterSettings(), "x, y."),
        ([*certain("ab"), ("(", -9.0)], CompleterSettings(eagerness=0), None),  # one saved key does not pay for reading
        ([*certain("ab"), ("(", -9.0)], CompleterSettings(eagerness=1), "ab"),
        ([*certain("f(x)"), (" ", -1.0), *certain("+ 1\n")], CompleterSettings(), "f(x)"),  # 0.37 * 7 - ... is less
        ([*certain("f(x)"), (" ", -0.1), *certain("+ 1\n")], CompleterSettings(), "f(x) + 1"),
        ([("w", -1.7), *certain("ord" * 30), ("\n", 0.0)], CompleterSettings(), None),  # 0.18: too improbable
        (certain('print("a, b")\n'), CompleterSettings(max_chars=8), "print("),  # not 'print("a'
        (certain('print("a, b")\n'), CompleterSettings(), 'print("a, b")'),
        (certain(':\n    """Say it."""\n    x'), CompleterSettings(max_chars=8), None),  # not ':\n    ""'
        (certain('x = """a"""\n'), CompleterSettings(), 'x = """a"""'),
        (certain("x == 'don\\'t' or y\n"), CompleterSettings(max_chars=12), "x =="),
        (certain(")\n"), CompleterSettings(), None),  # one character saves nothing
        (certain("   \n"), CompleterSettings(), None),
        (certain("\nreturn"), CompleterSettings(), None),
    ],
)
def test_truncation_points(decoded, settings: CompleterSettings, expected: str | None) -> None:
    suggestion = truncate(decoded, settings)
    assert (suggestion.text if suggestion else None) == expected


def test_in_a_string_truncates_inside_the_string() -> None:
    for text in ("usage: ", "a'", "doesn't"):
        suggestion = truncate(certain(text + " more"), CompleterSettings(eagerness=0.5, max_chars=len(text)), 'x = "')
        assert suggestion is not None
        assert suggestion.text == text.rstrip()


IMPORTS = """from collections import defaultdict
from dataclasses import dataclass, field as f
import os

"""


@pytest.mark.parametrize(
    ("before", "decoded", "expected"),
    [
        ("", "from dataclasses import", "from"),
        ("from ", "dataclasses import dataclass\n", None),
        ("from data", "classes import x", None),
        ("from dataclasses ", "import replace\n", "import replace"),  # the user has typed the module
        ("from dataclasses import ", "defaultdict\n", None),
        ("from dataclasses import ", "defaultfactory\n", "defaultfactory"),
        ("from typing import field, ", "dataclass\n", None),
        ("from typing import field", ", Final\n", ", Final"),
        ("im", "port os\n", "port"),
        ("from de", "faultdict import x\n", None),  # not a module
        ("from o", "s import path\n", "s import path"),
        ("import sys", "\nfrom dataclasses import x\n", "\nfrom"),
        ("    from ", "dataclasses import dataclass\n", "dataclasses import dataclass"),  # in a function
    ],
)
def test_nothing_is_imported_twice(before: str, decoded: str, expected: str | None) -> None:
    suggestion = truncate(certain(decoded), CompleterSettings(eagerness=0.5), IMPORTS + before)
    assert (suggestion.text if suggestion else None) == expected


@pytest.mark.parametrize(
    ("before", "decoded", "expected"),
    [
        ("f(\n    width=80,\n    space=indent,\n    sp", "ace=indent,\n", "ace="),  # not the line above again
        ("f(a)\nx\n\n)\n\ny\nf(", "a)\n", None),  # one of the last three lines with content
        ("f(a)\nx\ny\nz\nf(", "a)\n", "a)"),
        ("f(a\n", "),\n    f(b),\n    f(b),\n", "),\n    f(b),"),  # nor its own
        ("f(a\n", "),\n    f(b),\n    f(b),\n    g()\n", "),\n    f(b),"),
        ("total[a] = total[a]", " = total[a] = total[\n", None),  # nor an assignment in its line
        ("total[a] = to", "tal[a] = total[a] + 1\n", "tal[a]"),
        ("a.x = x = ", "a.y = 1\n", "a.y = 1"),
        ("f(g(h(i(\n        )\n    )\n", "))\n", "))"),  # closing brackets may repeat
    ],
)
def test_no_line_is_repeated(before: str, decoded: str, expected: str | None) -> None:
    suggestion = truncate(certain(decoded), CompleterSettings(eagerness=1), before)
    assert (suggestion.text if suggestion else None) == expected


def test_row_of_symbols_is_cheap() -> None:
    before, since = "| " + (" " * 200 + "|") * 9, time.thread_time()
    suggestion = truncate(certain("first cell | second cell |\n" * 4), CompleterSettings(), before, "", "markdown")
    assert suggestion is not None
    assert time.thread_time() - since < 0.5  # of processor time: about 5 ms, not seconds


@pytest.mark.parametrize(
    ("before", "decoded", "expected"),
    [
        ("def f():\n    ", "    return x\n", None),
        ("def f():\n\t", "\treturn x\n", None),
        ("def f():\n    ", "return x\n", "return x"),
        ("class A:\n    x = 1\n\n", "    def f(self):\n", "    def f(self):"),  # unindented so far
        ("def f():\n    x", "  = y\n", "  = y"),
        ("def f():\n    ", "\n    return x\n", "\n    return x"),
    ],
)
def test_an_indented_line_is_not_indented_further(before: str, decoded: str, expected: str | None) -> None:
    """Editors indent a new line correctly, and know more about it than the text before it says."""
    suggestion = truncate(certain(decoded), CompleterSettings(), before)
    assert (suggestion.text if suggestion else None) == expected


def test_confidence_is_the_product_and_meets_the_limit() -> None:
    decoded = [("a", -0.1), ("b", -0.2), (" ", -0.3), ("c", -5.0)]
    suggestion = truncate(decoded, CompleterSettings(eagerness=1, min_confidence=0.3))
    assert suggestion is not None
    assert suggestion.text == "ab"
    assert suggestion.confidence == pytest.approx(2.718281828**-0.3)


@pytest.mark.parametrize(
    ("eagerness", "sureness"),
    [(0, [0.75]), (0.5, [0.75, 0.55, 0.45, 0.25]), (1, [0.75, 0.55, 0.45, 0.25, 0.15, 0.1])],
)
def test_eagerness(eagerness: float, sureness: list[float]) -> None:
    settings = CompleterSettings(eagerness=eagerness)

    def shown(p: float) -> bool:
        return truncate([("t", math.log(p)), *certain("otal_width(")], settings) is not None

    assert [p for p in (0.75, 0.55, 0.45, 0.25, 0.15, 0.1, 0.05) if shown(p)] == sureness


@pytest.mark.parametrize(
    ("after", "room"),
    [("", True), (")", True), ('"])', True), ("  \nx", True), ("x", False), (" = 3\n", False), ("\r\nx", True)],
)
def test_room_is_at_line_end_or_before_closers(after: str, room: bool) -> None:
    assert is_at_line_end(after) is room


@pytest.mark.parametrize(
    ("text", "before", "after", "expected"),
    [
        ("x, y)", "f(", ")", "x, y"),  # never a second closing bracket
        ("g(x), y)", "f(", ")", "g(x), y"),
        ("x, y):", "def f(", "):", "x, y"),
        ("x]", "f(", ")", "x"),
        ('key"]', 'd["', '"]', "key"),
        ("x,\n    y", "f(", ")\n", "x,"),  # one line only, before further text on the line
        ("x,\n    y", "f(", "  \n)", "x,\n    y"),
        ("return x", "    ", "\n    return x\n", ""),  # the next line exists already
        ("turn x", "    re", "\n\n    return x\n", ""),
        ("a\nreturn x", "", "\nreturn x\n", "a"),
        ("a = 1", "", "\nb = 2\n", "a = 1"),
    ],
)
def test_existing_text_is_not_repeated(text: str, before: str, after: str, expected: str) -> None:
    assert postprocess(text, before, after) == expected


@pytest.mark.parametrize(
    ("before", "text", "expected"),
    [
        ("def f():\n\ta = 1\n\tb", " = 2\n    c = 3", " = 2"),
        ("def f():\r\n\ta = 1\r\n\tb", " = 2\n\tc = 3", " = 2\n\tc = 3"),
        ("def f():\n    a = 1\n    b", " = 2\n\tc = 3", " = 2"),
        ("def f():\n    a = 1\n    b", " = 2\n    c = 3", " = 2\n    c = 3"),
        ("a = 1", "\nif a:\n\tb", "\nif a:\n\tb"),  # nothing is indented yet
    ],
)
def test_tabs_and_spaces_are_not_mixed(before: str, text: str, expected: str) -> None:
    assert postprocess(text, before, "") == expected
