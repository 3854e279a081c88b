"""Decoding and the Completer against their definition: plain greedy decoding, everything read again each time."""

import itertools
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tinycopilot.completion import completer as completer_module
from tinycopilot.completion.completer import Completer
from tinycopilot.completion.decode import Cancelled, Reader, decode, network_log_probs, plain_decode
from tinycopilot.completion.stopping import CompleterSettings, take
from tinycopilot.completion.tidy import has_room, without_what_follows
from tinycopilot.model.gpt import TinyGPT
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer

N = 12
ALL = CompleterSettings(min_confidence=0, max_chars=N, max_lines=N)
TEXT = st.text(alphabet="ab c(\n)=e\N{SNOWMAN}", max_size=120)


def plain(model: TinyGPT, tokenizer: SimpleTokenizer, text: str) -> list[tuple[str, float]]:
    decoded = plain_decode(network_log_probs(model, tokenizer), tokenizer.alphabet, text)
    return list(itertools.islice(decoded, N))


def assert_same(fast: list[tuple[str, float]], slow: list[tuple[str, float]]) -> None:
    assert [c for c, _ in fast] == [c for c, _ in slow]
    assert [p for _, p in fast] == pytest.approx([p for _, p in slow])


@settings(deadline=None, max_examples=50)
@given(texts=st.lists(TEXT, min_size=1, max_size=5))
def test_decode_equals_plain_decode_whatever_was_read_before(
    model: TinyGPT, tokenizer: SimpleTokenizer, texts: list[str]
) -> None:
    reader = Reader(model, tokenizer)
    for text in texts:
        assert_same(list(itertools.islice(decode(reader, text), N)), plain(model, tokenizer, text))


EDIT = st.tuples(st.integers(0, 100), st.text(alphabet="ab c(\n)=e", max_size=30))


@settings(deadline=None, max_examples=50)
@given(text=TEXT, edits=st.lists(EDIT, min_size=1, max_size=8))
def test_typing_and_deleting_equals_plain_decode(
    model: TinyGPT, tokenizer: SimpleTokenizer, text: str, edits: list[tuple[int, str]]
) -> None:
    reader = Reader(model, tokenizer)
    for n_deleted, typed in edits:
        text = text[: max(0, len(text) - n_deleted)] + typed
        assert_same(list(itertools.islice(decode(reader, text), N)), plain(model, tokenizer, text))


def test_generate_is_plain_decoding(model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    ids = itertools.islice(model.generate(tokenizer.encode(DOCUMENT_START + "abc = (")), N)
    assert tokenizer.decode(ids) == "".join(c for c, _ in plain(model, tokenizer, "abc = ("))


def test_the_unknown_is_never_decoded(tokenizer: SimpleTokenizer) -> None:
    def always_unknown(_: str) -> torch.Tensor:
        return torch.arange(tokenizer.vocab_size, dtype=torch.float64).log_softmax(-1)

    decoded = list(itertools.islice(plain_decode(always_unknown, tokenizer.alphabet, ""), 3))
    assert [c for c, _ in decoded] == [tokenizer.alphabet[-1]] * 3


@settings(deadline=None, max_examples=50)
@given(before=TEXT, n_keys=st.integers(0, 30))
def test_completion_equals_plain_greedy_decoding(
    model: TinyGPT, tokenizer: SimpleTokenizer, before: str, n_keys: int
) -> None:
    """Asked afresh, or at every key on the way there: the same suggestion, cut as the plain text is."""
    wanted = take(plain(model, tokenizer, before) + [("\n", 0.0)] * N, ALL)
    asked_at_once = Completer(model, tokenizer, ALL).suggest(before)
    assert (asked_at_once and asked_at_once.text) == (wanted and wanted.text)
    completer = Completer(model, tokenizer, ALL)
    for i in range(max(0, len(before) - n_keys), len(before)):
        completer.suggest(before[:i])
        completer._shown = None  # what is left of a suggestion is another matter
    asked_on_the_way = completer.suggest(before)
    assert (asked_on_the_way and asked_on_the_way.text) == (wanted and wanted.text)


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
    text = "abc(e)\n" * 30  # more than two pieces to read
    forwards = []
    prefill = model.prefill
    model.prefill = lambda *a: (forwards.append(1), prefill(*a))[1]  # type: ignore[assignment]
    try:
        with pytest.raises(Cancelled):
            completer.suggest(text, cancelled=countdown(n))
    finally:
        del model.prefill
    assert len(forwards) == n
    assert completer.suggest(text) == Completer(model, tokenizer, ALL).suggest(text)


def certain(text: str) -> list[tuple[str, float]]:
    return [(c, 0.0) for c in text]


@pytest.mark.parametrize(
    ("decoded", "settings", "expected"),
    [
        (certain("return x\nmore"), CompleterSettings(), "return x"),
        (certain("a:\n  b\nmore"), CompleterSettings(max_lines=2), "a:\n  b"),
        (certain("word other"), CompleterSettings(max_chars=7), "word"),  # not "word ot"
        ([*certain("word"), ("s", -9.0)], CompleterSettings(), None),  # the beginning of a name helps nobody
        ([*certain("word"), ("(", -9.0)], CompleterSettings(), "word"),
        ([*certain("x.word"), ("s", -9.0)], CompleterSettings(), "x."),
        (certain(")\n"), CompleterSettings(), None),  # one character saves nothing
        (certain("   \n"), CompleterSettings(), None),
        (certain("\nreturn"), CompleterSettings(), None),
    ],
)
def test_where_a_suggestion_ends(decoded, settings: CompleterSettings, expected: str | None) -> None:
    suggestion = take(decoded, settings)
    assert (suggestion.text if suggestion else None) == expected


def test_confidence_is_the_product_and_keeps_to_the_limit() -> None:
    suggestion = take([("a", -0.1), ("b", -0.2), (" ", -0.3), ("c", -5.0)], CompleterSettings(min_confidence=0.3))
    assert suggestion is not None
    assert suggestion.text == "ab"
    assert suggestion.confidence == pytest.approx(2.718281828**-0.3)


@pytest.mark.parametrize(
    ("after", "room"),
    [("", True), (")", True), ('"])', True), ("  \nx", True), ("x", False), (" = 3\n", False), ("\r\nx", True)],
)
def test_room_is_at_the_end_of_a_line_or_before_closers(after: str, room: bool) -> None:
    assert has_room(after) is room


@pytest.mark.parametrize(
    ("text", "before", "after", "expected"),
    [
        ("x, y)", "f(", ")", "x, y"),  # never a second closing bracket
        ("g(x), y)", "f(", ")", "g(x), y"),
        ("x, y):", "def f(", "):", "x, y"),
        ("x]", "f(", ")", "x]"),
        ('key"]', 'd["', '"]', "key"),
        ("return x", "    ", "\n    return x\n", ""),  # the next line is there already
        ("turn x", "    re", "\n\n    return x\n", ""),
        ("a\nreturn x", "", "\nreturn x\n", "a"),
        ("a = 1", "", "\nb = 2\n", "a = 1"),
    ],
)
def test_nothing_is_said_that_stands_there_already(text: str, before: str, after: str, expected: str) -> None:
    assert without_what_follows(text, before, after) == expected


def test_what_is_left_after_tidying_must_be_worth_showing(
    model: TinyGPT, tokenizer: SimpleTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completer_module, "decode", lambda *_: iter(certain("x)\n")))
    assert Completer(model, tokenizer, ALL).suggest("f(", "") is not None
    assert Completer(model, tokenizer, ALL).suggest("f(", ")") is None


def test_no_suggestion_in_the_middle_of_a_word(model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    assert Completer(model, tokenizer, ALL).suggest("ab", "cd") is None


def test_an_empty_document_has_a_context(model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    assert Completer(model, tokenizer, ALL).suggest("") == Completer(model, tokenizer, ALL).suggest("", "\n")
