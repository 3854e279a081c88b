"""Suggestions in the middle of a line."""

import math

import pytest
from engine_requests import suggest, type_at

from tinycopilot.completion.engine import Engine, Request, Why
from tinycopilot.completion.request import CompleterSettings
from tinycopilot.completion.truncation import MAX_INFILL_CHARS, OTHER, infill, insertions
from tinycopilot.paths import bundled_model

SETTINGS = CompleterSettings()
LINES = "".join(f"x{i} = add(alpha_{i}, beta)\ny{i} = len(names)\n" for i in range(3)) + "z = add(alpha_1, beta)\n" * 9


def spelled(text: str, p: float = 0.9) -> list[tuple[str, float]]:
    return [(character, math.log(p)) for character in text]


def knowing_lines() -> Engine:
    """The bundled model, with LINES in its workspace."""
    engine = Engine.load(bundled_model(), SETTINGS)
    engine.hold("lines.py", LINES)
    return engine


@pytest.fixture
def engine() -> Engine:
    return knowing_lines()


def test_the_cut_is_where_the_suffix_is_likeliest_to_follow() -> None:
    follows = {"": 0.0001, "name": 0.5, "name, x": 0.01}
    prefixes = insertions(spelled("name, x)\n"), lambda text: math.log(follows.get(text, 1e-6)), SETTINGS)
    found = infill(prefixes, SETTINGS, "f(", ", x)")
    assert found is not None
    joint = [math.log(follows.get("name, x)"[:n], 1e-6)) + n * math.log(0.9) for n in range(9)]
    assert found.text == "name"
    assert found.confidence == pytest.approx(math.exp(joint[4]) / (sum(map(math.exp, joint)) + OTHER))


@pytest.mark.parametrize(
    ("text", "follows", "before", "after"),
    [
        ("name", {"": 0.9, "name": 0.5}, "f(", ", x)"),  # nothing is missing
        ("name", {"name": 0.0005}, "f(", ", x)"),  # no beginning is likely to be followed by that
        ("n", {"n": 0.9}, "f(", ", x)"),  # saves nothing
        ("'a", {"'a": 0.9}, "f(", ", x)"),  # opens a string
        ("a)", {"a)": 0.9}, "f(", ", x)"),  # closes the bracket that `after` closes
        ("a # b", {"a # b": 0.9}, "f(", ", x)"),  # comments out what follows
    ],
)
def test_silence(text: str, follows: dict[str, float], before: str, after: str) -> None:
    prefixes = insertions(spelled(text), lambda text: math.log(follows.get(text, 1e-9)), SETTINGS)
    assert infill(prefixes, SETTINGS, before, after) is None


def test_only_the_first_line_of_a_continuation_counts_and_only_its_beginning() -> None:
    asked = list[str]()

    def note(text: str) -> float:
        asked.append(text)
        return -1.0

    insertions(spelled("ab\ncd"), note, SETTINGS)
    assert asked == ["", "a", "ab"]
    asked.clear()
    insertions(spelled("a" * 99, 0.99), note, SETTINGS)
    assert len(asked[-1]) == MAX_INFILL_CHARS
    asked.clear()
    insertions(spelled("abc", 0.01), note, SETTINGS)
    assert asked == ["", "a"]  # less likely than MIN_INFILL_P from there on


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("z = add(", ", beta)\n", "alpha_1"),
        ("z = add(al", ", beta)\n", "pha_1"),
        ("z = a", "(alpha_1, beta)\n", "dd"),
        ("z = add(alpha_1", ", beta)\n", None),  # nothing is missing
        ("z = ", "add(alpha_1, beta)\n", None),
    ],
)
def test_missing_text_in_the_middle_of_a_line_is_suggested(
    engine: Engine, before: str, after: str, expected: str | None
) -> None:
    found = suggest(engine, "import os\n" + before, after + "w = 1\n", "here.py")
    assert (found and found.text) == expected


def test_typing_along_shows_the_rest_of_it(engine: Engine) -> None:
    for typed in ("", "a", "al", "alp"):
        found = type_at(engine, f"z = add({typed}", ", beta)\n", "here.py").suggestion
        assert found is not None
        assert f"{typed}{found.text}" == "alpha_1"


def test_suggestion_is_independent_of_earlier_requests(engine: Engine) -> None:
    places = [
        ("z = add(", ", beta)\n"),
        ("z = add(alpha_1, ", ")\n"),
        ("z", " = add(alpha_1, beta)\n"),
        ("y1 = l", "(names)\n"),
    ]
    for before, after in [*places, *reversed(places)]:
        expected = suggest(knowing_lines(), before, after, "here.py")
        found = engine.complete(Request(before, after, "here.py", Why.REPLAYED)).suggestion
        assert (found and found.text) == (expected and expected.text)


def test_a_request_for_alternatives_has_one_suggestion_there(engine: Engine) -> None:
    result = engine.complete(Request("z = add(", ", beta)\n", "here.py", Why.INVOKED))
    assert [suggestion.text for suggestion in result.suggestions] == ["alpha_1"]


def test_no_secret_is_completed(engine: Engine) -> None:
    engine.hold("keys.py", 'password = "hunter22xyz"  # x\n' * 9)
    found = suggest(engine, "password = ", "  # x\n", "here.py")
    assert found is None or "hunter" not in found.text
