"""The Completer's manners: what it keeps, what it shows of it, and how it is stopped."""

import copy
import itertools
from collections.abc import Callable

import pytest
from networks import EVERYTHING as ALL
from networks import sure

from tinycopilot.completion import completer as completer_module
from tinycopilot.completion.completer import Completer
from tinycopilot.completion.decode import Cancelled
from tinycopilot.model.gpt import TinyGPT
from tinycopilot.model.tokenizer import SimpleTokenizer


@pytest.fixture(scope="module")
def model(model: TinyGPT) -> TinyGPT:
    """Of a network that is sure of nothing there would be nothing to see."""
    model = copy.deepcopy(model)
    model.ln.weight[:], model.ln.bias[:] = 1, 0  # what comes next depends on what is there
    return sure(model)


def test_typing_along_shows_the_rest(model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    completer = Completer(model, tokenizer, ALL)
    pairs = map("".join, itertools.product(tokenizer.alphabet, repeat=2))
    before, first = next((b, s) for b in pairs if (s := completer.suggest(b)) and len(s.text) > 2)
    for i in range(len(first.text)):
        rest = completer.suggest(before + first.text[:i])
        assert rest is not None
        assert rest.text == first.text[i:]
    other = "a" if first.text[0] != "a" else "b"
    fresh = Completer(model, tokenizer, ALL).suggest(before + other)
    assert completer.suggest(before + other) == fresh


def test_line_ends_do_not_matter(model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    texts = ["a = b\nc(\n\n", "a = b\r\nc(\r\n\r\n", "a = b\rc(\r\r"]
    assert len({str(Completer(model, tokenizer, ALL).suggest(text, text)) for text in texts}) == 1


def countdown(n: int) -> Callable[[], bool]:
    calls = itertools.count(1)
    return lambda: next(calls) > n


@pytest.mark.parametrize("n", [0, 1, 3, 5])
def test_cancelling_stops_before_the_next_forward_and_loses_nothing(
    model: TinyGPT, tokenizer: SimpleTokenizer, n: int
) -> None:
    completer = Completer(model, tokenizer, ALL)
    texts = ["abc(e)\n" * 30 + end for end in tokenizer.alphabet]  # more than two pieces to read
    text, afresh = next((t, s) for t in texts if (s := Completer(model, tokenizer, ALL).suggest(t)))
    forwards = []
    prefill = model.prefill
    model.prefill = lambda *a: (forwards.append(1), prefill(*a))[1]  # type: ignore[assignment]
    try:
        with pytest.raises(Cancelled):
            completer.suggest(text, cancelled=countdown(n))
    finally:
        del model.prefill
    assert len(forwards) == n
    there = completer.suggest(text)
    assert there is not None
    assert there.text == afresh.text
    assert there.confidence == pytest.approx(afresh.confidence)  # it was read in other pieces


def test_what_is_left_after_tidying_must_be_worth_showing(
    model: TinyGPT, tokenizer: SimpleTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completer_module, "decode", lambda *_: iter([("x", 0.0), (")", 0.0), ("\n", 0.0)]))
    assert Completer(model, tokenizer, ALL).suggest("f(", "") is not None
    assert Completer(model, tokenizer, ALL).suggest("f(", ")") is None


def test_no_suggestion_in_the_middle_of_a_word(model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    assert Completer(model, tokenizer, ALL).suggest("ab", "cd") is None


def test_an_empty_document_has_a_context(model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    assert Completer(model, tokenizer, ALL).suggest("") == Completer(model, tokenizer, ALL).suggest("", "\n")
