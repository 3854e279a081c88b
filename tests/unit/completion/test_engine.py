"""The Engine: its state, what it shows, and how it is cancelled."""

import copy
import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from engine_requests import alternatives, suggest, type_at
from networks import EVERYTHING as ALL
from networks import compiled, sure

from tinycopilot.completion import engine as engine_module
from tinycopilot.completion import suffix_array
from tinycopilot.completion.engine import Engine, Request, Silence, Why
from tinycopilot.completion.network import Network
from tinycopilot.completion.request import Suggestion
from tinycopilot.model.gpt import TinyGPT
from tinycopilot.model.tokenizer import SimpleTokenizer


@pytest.fixture(scope="module")
def network(model: TinyGPT) -> Network:
    """A network that is certain enough to show suggestions."""
    model = copy.deepcopy(model)
    model.ln.weight[:], model.ln.bias[:] = 1, 0  # predictions depend on the text
    return compiled(sure(model))


def test_typing_through_shows_the_rest(network: Network, tokenizer: SimpleTokenizer) -> None:
    engine = Engine(network, tokenizer, ALL)
    pairs = map("".join, itertools.product(tokenizer.alphabet, repeat=2))
    before, first = next((b, s) for b in pairs if (s := suggest(engine, b)) and len(s.text) > 2)
    for i in range(len(first.text)):
        rest = suggest(engine, before + first.text[:i])
        assert rest is not None
        assert rest.text == first.text[i:]
    other = "a" if first.text[0] != "a" else "b"
    fresh = suggest(Engine(network, tokenizer, ALL), before + other)
    found = suggest(engine, before + other)
    assert (found and found.text) == (fresh and fresh.text)
    assert found is None or found.confidence == pytest.approx(fresh.confidence)  # rounding differs with the chunks read


@functools.cache
def a_place(network: Network, tokenizer: SimpleTokenizer, least_chars: int = 3) -> tuple[str, Suggestion]:
    """A text, and the suggestion after it, of at least that many characters."""
    texts = map("".join, itertools.product(tokenizer.alphabet, repeat=2))
    suggested = ((text, suggest(Engine(network, tokenizer, ALL), text)) for text in texts)
    return next((text, s) for text, s in suggested if s and len(s.text) >= least_chars)


@pytest.fixture
def anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A certain network has no probable alternatives."""
    monkeypatch.setattr(engine_module, "MIN_FORK_P", 0.0)


def test_improbable_alternatives_are_not_offered(network: Network, tokenizer: SimpleTokenizer) -> None:
    before, _ = a_place(network, tokenizer)
    engine = Engine(network, tokenizer, ALL)
    suggest(engine, before)
    assert alternatives(engine, before) == []


@pytest.mark.usefixtures("anything")
def test_alternatives_are_distinct_and_start_with_the_second_choice(
    network: Network, tokenizer: SimpleTokenizer
) -> None:
    before, first = a_place(network, tokenizer)
    engine = Engine(network, tokenizer, ALL)
    others = alternatives(engine, before)  # whether or not it was suggested before
    assert suggest(engine, before) == first
    assert others
    texts = [first.text, *(other.text for other in others)]
    assert not any(a.startswith(b) for a, b in itertools.permutations(texts, 2))
    assert suggest(engine, before) == first  # which is still the suggestion there
    assert [other.text for other in alternatives(engine, before)] == texts[1:]


@pytest.fixture
def n_forwards(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry per forward pass."""
    forwards, forward = list[int](), Network.forward
    monkeypatch.setattr(Network, "forward", lambda *a, **k: (forwards.append(1), forward(*a, **k))[1])
    return forwards


def test_line_ends_do_not_matter(network: Network, tokenizer: SimpleTokenizer) -> None:
    texts = ["a = b\nc(\n\n", "a = b\r\nc(\r\n\r\n", "a = b\rc(\r\r"]
    assert len({str(suggest(Engine(network, tokenizer, ALL), text, text)) for text in texts}) == 1


def countdown(n: int) -> Callable[[], bool]:
    calls = itertools.count(1)
    return lambda: next(calls) > n


@pytest.mark.parametrize("n", [0, 1, 3, 5])
def test_cancel_stops_before_the_next_forward(
    network: Network, tokenizer: SimpleTokenizer, n: int, n_forwards: list[int]
) -> None:
    engine = Engine(network, tokenizer, ALL)
    texts = ["abc(e)\n" * 30 + end for end in tokenizer.alphabet]  # more than two chunks to read
    text, afresh = next((t, s) for t in texts if (s := suggest(Engine(network, tokenizer, ALL), t)))
    n_forwards.clear()
    result = engine.complete(Request(text), cancelled=countdown(n))
    assert (result.suggestions, result.silence) == ((), Silence.CANCELLED)
    assert len(n_forwards) == n
    there = suggest(engine, text)
    assert there is not None
    assert there.text == afresh.text
    assert there.confidence == pytest.approx(afresh.confidence, rel=1e-4)  # it was read in other chunks


def test_text_left_after_postprocessing_must_be_worth_showing(
    network: Network, tokenizer: SimpleTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "decode", lambda *_: iter([("x", 0.0), (")", 0.0), ("\n", 0.0)]))
    assert suggest(Engine(network, tokenizer, ALL), "f(", "") is not None
    assert suggest(Engine(network, tokenizer, ALL), "f(", ")") is None


def test_no_suggestion_in_the_middle_of_a_word(network: Network, tokenizer: SimpleTokenizer) -> None:
    assert suggest(Engine(network, tokenizer, ALL), "ab", "cd") is None


def test_empty_document_has_a_context(network: Network, tokenizer: SimpleTokenizer) -> None:
    assert suggest(Engine(network, tokenizer, ALL), "") == suggest(Engine(network, tokenizer, ALL), "", "\n")


def weights(engine: Engine) -> list[list[float]]:
    return list(engine.mixture.as_rows().values())


def ask(engine: Engine, before: str, after: str = "", document: str = "x") -> bool:
    """Request as the server does; return whether the engine learned."""
    return type_at(engine, before, after, document).has_learned


TYPED_BEFORE = "abc(e) = (\n" * 6


def test_typing_teaches_like_an_explicit_lesson(network: Network, tokenizer: SimpleTokenizer) -> None:
    """One update per key, with the prediction for the position where it was typed."""
    engine, taught = Engine(network, tokenizer, ALL), Engine(network, tokenizer, ALL)
    text = TYPED_BEFORE
    ask(engine, text)
    engine.configure(dataclasses.replace(ALL, max_chars=1))  # no typing through: that suggestion would be older
    for character in "abc(e)=\N{SNOWMAN}x":
        taught.observe(Request(text, document="x"), character)
        text += character
        assert ask(engine, text)
    assert weights(engine) == [pytest.approx(row) for row in weights(taught)]
    assert weights(engine)[-1] != pytest.approx(weights(Engine(network, tokenizer, ALL))[-1])


def test_suggestion_snapshot_ignores_later_learning(network: Network, tokenizer: SimpleTokenizer) -> None:
    """With equal weights: learning changes nothing else."""
    engine, other = Engine(network, tokenizer, ALL), Engine(network, tokenizer, ALL)
    for n in range(len(TYPED_BEFORE) - 12, len(TYPED_BEFORE)):
        there = suggest_typed(engine, TYPED_BEFORE[:n])
        other.restore(engine.mixture)
        assert there == suggest(other, TYPED_BEFORE[:n], document="x")


def suggest_typed(engine: Engine, before: str) -> Suggestion | None:
    return type_at(engine, before, document="x").suggestion


def test_untyped_text_teaches_nothing(network: Network, tokenizer: SimpleTokenizer) -> None:
    engine = Engine(network, tokenizer, ALL)
    text = TYPED_BEFORE
    assert not ask(engine, text)  # opened
    assert not ask(engine, text + "abc")  # pasted
    assert not ask(engine, text + "ab")  # deleted
    assert not ask(engine, text + "abc")  # undone
    assert not ask(engine, text, "abc")  # cursor moved
    assert not ask(engine, text + "ab", "abc")  # two characters at once
    assert weights(engine) == weights(Engine(network, tokenizer, ALL))


def test_accepted_suggestion_teaches_nothing(network: Network, tokenizer: SimpleTokenizer) -> None:
    engine = Engine(network, tokenizer, ALL)
    text = TYPED_BEFORE
    suggestion = type_at(engine, text, document="x").suggestion
    assert suggestion is not None
    *typed_along, last = suggestion.text
    for character in typed_along:
        text += character
        assert ask(engine, text)  # typing through a suggestion is typing
    assert not ask(engine, text + last)  # it may have been accepted


def test_warm_up_leaves_no_state(network: Network, tokenizer: SimpleTokenizer) -> None:
    engine = Engine(network, tokenizer, ALL)
    engine.warm_up()
    assert engine.ngrams.n_chars == 0


def test_warm_up_compiles_what_an_edit_calls(
    network: Network, tokenizer: SimpleTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the first edit would wait until that is compiled."""
    called = set[str]()

    def spy(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: called.add(name) or function(*arguments)

    for name in ("_ranks", "_spliced"):
        monkeypatch.setattr(suffix_array, name, spy(name, getattr(suffix_array, name)))
    Engine(network, tokenizer, ALL).warm_up()
    assert called == {"_ranks", "_spliced"}


def test_unnamed_text_is_not_indexed(network: Network, tokenizer: SimpleTokenizer) -> None:
    engine = Engine(network, tokenizer, ALL)
    suggest(engine, TYPED_BEFORE, document=None)
    assert engine.ngrams.n_chars == 0


def test_prepared_document_is_dropped_after_forget_all(network: Network, tokenizer: SimpleTokenizer) -> None:
    engine = Engine(network, tokenizer, ALL)
    engine.hold("x", "".join(map(chr, range(0x4E00, 0x4E80))))  # characters unknown to the network
    offer = engine.prepare("y", TYPED_BEFORE + "\u4f00")
    engine.forget()
    offer()
    asked = suggest(engine, TYPED_BEFORE, "\u4f00", document="y")
    assert asked == suggest(Engine(network, tokenizer, ALL), TYPED_BEFORE, "\u4f00", document="y")


def test_line_ends_are_normalized_in_the_index(network: Network, tokenizer: SimpleTokenizer) -> None:
    held = []
    for end in ("\n", "\r\n", "\r"):
        engine = Engine(network, tokenizer, ALL)
        engine.hold("x", f"a{end}b{end}")
        engine.prepare("y", f"c{end}d{end}")()
        suggest(engine, f"c{end}", f"{end}d{end}", document="y")
        held.append(symbols_in(engine))
    assert held[0] == held[1] == held[2]


def test_changed_settings_apply_at_once(network: Network, tokenizer: SimpleTokenizer) -> None:
    before, first = a_place(network, tokenizer, least_chars=4)
    shorter = dataclasses.replace(ALL, max_chars=2)
    engine = Engine(network, tokenizer, ALL)
    assert suggest(engine, before) == first
    engine.configure(shorter)
    for text in (before, before + first.text):
        assert suggest(engine, text) == suggest(Engine(network, tokenizer, shorter), text)


@pytest.mark.parametrize("document", ["a", None])
def test_selected_entry_is_suggested_for_but_not_kept(
    network: Network, tokenizer: SimpleTokenizer, document: str | None, n_forwards: list[int]
) -> None:
    then, wanted = a_place(network, tokenizer)
    texts = ["x = b\r\n" + character for character in tokenizer.alphabet]
    before = next(text for text in texts if suggest(Engine(network, tokenizer, ALL), text, "\r\n", document))
    request = Request(before, "\r\n", document)
    engine = Engine(network, tokenizer, ALL)
    plain, indexed = engine.complete(request).suggestion, symbols_in(engine)
    assert plain is not None
    found = engine.complete(dataclasses.replace(request, selected=(then, "\n"))).suggestion
    assert found is not None
    if document is None:
        assert found.text == wanted.text
    assert symbols_in(engine) == indexed
    n_forwards.clear()
    assert engine.complete(request).suggestion == plain
    assert not n_forwards  # it was still shown
    invoked = dataclasses.replace(request, selected=(then, "\n"), why=Why.INVOKED)
    assert engine.complete(invoked).suggestions == (found,)


def symbols_in(engine: Engine) -> list[list[int]]:
    return [segment.broken.tolist() for segment, _ in engine.ngrams.segments()]


def test_selected_entry_does_not_disturb_learning(network: Network, tokenizer: SimpleTokenizer) -> None:
    before, first = a_place(network, tokenizer)
    key = "a" if first.text[0] != "a" else "b"
    weights = []
    for is_asked in (False, True):
        engine = Engine(network, tokenizer, ALL)
        type_at(engine, before)
        if is_asked:
            engine.complete(Request(before, selected=(before + "ab", "")))
        assert type_at(engine, before + key).has_learned
        weights.append(engine.mixture.as_rows())
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("document", "language", "expected"),
    [
        ("a.py", "", "python"),
        ("new", "javascript", "javascript"),
        (None, "rust", "rust"),
        ("a.cs", "c-sharp", "csharp"),
        ("new", "log", "log"),
    ],
)
def test_language_is_given_by_the_editor_or_the_file_name(
    network: Network,
    tokenizer: SimpleTokenizer,
    monkeypatch: pytest.MonkeyPatch,
    document: str | None,
    language: str,
    expected: str,
) -> None:
    languages = list[str]()

    def truncated(*arguments: Any) -> None:
        languages.append(arguments[-1])

    monkeypatch.setattr(engine_module, "truncate", truncated)
    Engine(network, tokenizer, ALL).complete(Request("ab", "", document, language=language))
    assert languages == [expected]
