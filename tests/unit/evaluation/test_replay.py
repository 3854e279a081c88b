"""The simulated user, with scripted suggestions: all counts are known."""

import dataclasses
from typing import cast

import pytest

from tinycopilot.completion.engine import Engine, Request, Result, Silence
from tinycopilot.completion.request import Suggestion
from tinycopilot.evaluation.excerpts import Excerpt
from tinycopilot.evaluation.replay import is_indentation, replay
from tinycopilot.evaluation.score import (
    DISPLAY_PENALTY_KEYS,
    Score,
    ShownSuggestion,
    calibration,
    calibration_error,
    percentile,
)


class Scripted:
    """An engine that suggests `script[text]`; each character costs two bits."""

    def __init__(self, script: dict[str, str]) -> None:
        self.script = script
        self.asked: list[str] = []

    def complete(self, request: Request) -> Result:
        self.asked.append(request.before)
        text = self.script.get(request.before)
        return Result((Suggestion(text, 0.5),)) if text else Result(silence=Silence.UNSURE)

    def observe(self, request: Request, character: str) -> dict[str, float]:
        assert len(character) == 1
        return {"network": 2.0}


def replayed(text: str, script: dict[str, str]) -> Score:
    return replay(cast(Engine, Scripted(script)), Excerpt("a.py", text, 0, len(text))).score


def accepted_chars(score: Score) -> list[int]:
    return [one.n_correct for one in score.shown if one.accepted]


def shown(confidence: float, is_right: bool) -> ShownSuggestion:
    return ShownSuggestion("a.py", 0, 1, "", "code", Suggestion("ab", confidence), 2 * is_right)


def test_without_suggestions_each_character_is_a_key() -> None:
    score = replayed("abc def\n", {})
    assert (score.n_keys, score.n_chars, score.shown) == (8, 8, [])
    assert score.figures()["keystrokes_saved"] == {"net": 0, "net_by_word": 0, "gross": 0}


def test_correct_suggestion_is_one_key() -> None:
    score = replayed("return x\n", {"re": "turn x"})
    assert (score.n_keys, score.n_chars, accepted_chars(score)) == (2 + 1 + 1, 9, [6])
    assert score.figures()["keystrokes_saved"]["net"] == pytest.approx(1 - (4 + DISPLAY_PENALTY_KEYS) / 9, abs=1e-4)
    [one] = score.shown
    assert (one.line, one.before, one.n_correct, one.accepted) == (1, "re", 6, True)
    assert one.at == 2


def test_calibration_is_also_measured_by_context() -> None:
    text = 'def f():\n    x = "word"  # note\n'
    script = {text[: text.index(word) + 1]: word[1:] for word in ("def", "word", "note")}
    script |= {text[: text.index("x =")]: "y", text[: text.index("=")]: "=="}
    score = replayed(text, script)
    contexts = {one.suggestion.text: one.context for one in score.shown}
    assert contexts == {"ef": "code", "y": "line start", "==": "code", "ord": "string", "ote": "comment"}
    sure = [dataclasses.replace(one, suggestion=Suggestion(one.suggestion.text, 0.9)) for one in score.shown]
    expected = {"code": 0.4, "comment": 0.1, "line start": 0.9, "string": 0.1}  # of two in code, one is right
    assert Score(shown=sure).figures()["calibration_error_by_context"] == pytest.approx(expected)


def test_indentation_is_free_for_both() -> None:
    text = "if a:\n    foo()\n    bar()\n"
    typed = replayed(text, {})
    accepted = replayed(text, {"if a:\n    ": "foo()\n    bar()"})
    assert typed.n_chars == accepted.n_chars == len(text) - 8
    assert accepted.n_keys == typed.n_keys - len("foo()\nbar()") + 1


def test_wrong_suggestion_is_not_accepted() -> None:
    score = replayed("return x\n", {"re": "turn y"})
    [one] = score.shown
    assert (score.n_keys, one.accepted, one.n_correct) == (9, False, 5)


@pytest.mark.parametrize(
    ("text", "script", "n_saved"),
    [
        ("return x\n", {"re": "turn y"}, 3),  # "turn" with one key
        ("return x\n", {"re": "turn x"}, 5),  # the rest
        ("return x\n", {"re": "turn y", "ret": "urn z"}, 3),  # saved once
        ("return x\n", {"re": "turn y", "ret": "urn x"}, 4),  # " x" with another key
        ("return x\n", {"re": "turn y", "ret": "u"}, 3),
        ("f(a, bc)\n", {"f": "(a, bd)"}, 0),  # "(", "a" and ",": no key is saved; " bd" is wrong
        ("if a:\n    foo(b)\n", {"if a": ":\n    foo(c)"}, 3),  # "\n    foo" without the indentation
    ],
)
def test_word_accepts_cost_a_key_each(text: str, script: dict[str, str], n_saved: int) -> None:
    score = replayed(text, script)
    typed = replayed(text, {})
    assert typed.n_keys - score.n_keys_by_word == n_saved


def test_typed_through_suggestion_is_shown_once() -> None:
    script = {"r": "eturn y", "re": "turn y", "ret": "urn y"}
    score = replayed("retx", script)
    assert (len(score.shown), score.n_typed_through, score.n_flickers) == (1, 2, 0)


def test_changed_suggestion_after_a_matching_key_is_a_flicker() -> None:
    score = replayed("retx", {"r": "eturn y", "re": "quest", "ret": ""})
    assert (len(score.shown), score.n_typed_through, score.n_flickers) == (2, 1, 1)


def test_vanished_suggestion_after_a_matching_key_is_a_flicker() -> None:
    score = replayed("retx", {"r": "eturn y"})
    assert (len(score.shown), score.n_typed_through, score.n_flickers) == (1, 1, 1)


def test_indentation_counts_for_nothing() -> None:
    """Indentation in suggestions does not count either; a blank within a line counts like any character."""
    text = "if a b:\n    \tpass\n"
    score = replayed(text, {text[:10]: "  \tpass", text[:13]: "pass"})
    assert score.n_chars == len(text) - 5
    assert accepted_chars(score) == [4]
    assert len(score.bits) == len(text)
    assert [is_indentation(" a b\n \t", i) for i in range(7)] == [True, False, False, False, False, True, True]


def test_engine_sees_text_before_the_cursor_only() -> None:
    engine = Scripted({})
    replay(cast(Engine, engine), Excerpt("a.py", "0123456789", 4, 7))
    assert engine.asked == ["0123", "01234", "012345"]


def test_bits_of_each_character_are_kept() -> None:
    """Accepted characters and indentation are included."""

    class Counting(Scripted):
        def observe(self, request: Request, character: str) -> dict[str, float]:
            return {"network": len(request.before) / 4, "mixed": ord(character)}

    result = replay(cast(Engine, Counting({"x\n\tre": "turn"})), Excerpt("a.py", "x\n\treturn\n", 1, 10))
    assert accepted_chars(result.score) == [4]
    assert [bits["network"] for bits in result.score.bits] == [i / 4 for i in range(1, 10)]
    assert [bits["mixed"] for bits in result.score.bits] == list(b"\n\treturn\n")


def test_scores_add_up() -> None:
    one = replayed("return x\n", {"re": "turn x"})
    two = replayed("abc", {})
    both = one + two
    assert (both.n_keys, both.n_chars, accepted_chars(both)) == (7, 12, [6])
    assert both.figures()["bits_per_char"] == {"network": 2.0}
    assert len(both.latencies_ms) == 7 == both.n_keys


def test_zero_cost_is_a_figure() -> None:
    score = Score(bits=[{"network": 1.0, "mixed": 0.0}])
    assert (Score() + score).figures()["bits_per_char"] == {"network": 1.0, "mixed": 0.0}


def test_empty_score_does_not_divide_by_zero() -> None:
    figures = Score().figures()
    assert figures["keystrokes_saved"] == {"net": None, "net_by_word": None, "gross": None}
    assert figures["latency_ms"] == {"p50": None, "p95": None, "p99": None}


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 5), (0.51, 6), (0.95, 10), (1.0, 10)])
def test_percentiles_are_nearest_ranks(share: float, value: float) -> None:
    assert percentile([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], share) == value


def test_calibration_compares_confidence_with_accuracy() -> None:
    sure = [shown(0.9, i % 10 > 0) for i in range(300)]
    unsure = [shown(0.5, i % 2 == 0) for i in range(300)]
    bins = calibration(sure + unsure)
    assert [b.n for b in bins] == [60] * 10
    assert [b.confidence for b in bins] == pytest.approx([0.5] * 5 + [0.9] * 5)
    assert sum(b.right * b.n for b in bins) == 150 + 270
    assert len(calibration(sure[:149])) == 2
    assert calibration_error([shown(0.9, False)] * 30) == pytest.approx(0.9)
    assert calibration_error([shown(1.0, True)] * 3) == 0
    assert calibration_error([]) is None
