"""The Completer's manners: what it keeps, what it shows of it, and how it is stopped."""

import copy
import dataclasses
import itertools
from collections.abc import Callable

import pytest
from networks import EVERYTHING as ALL
from networks import sure
from torch import Tensor

from tinycopilot.completion import completer as completer_module
from tinycopilot.completion.engine import Completer, Place
from tinycopilot.completion.decoding import N_READERS, Cancelled, Reader
from tinycopilot.completion.predictor import Mixture
from tinycopilot.completion.truncation import CompleterSettings, Suggestion
from tinycopilot.completion.persistence import weights_of
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
    found = completer.suggest(before + other)
    assert (found and found.text) == (fresh and fresh.text)
    assert found is None or found.confidence == pytest.approx(
        fresh.confidence
    )  # read in other pieces, it is rounded otherwise


def a_place(model: TinyGPT, tokenizer: SimpleTokenizer, least_chars: int = 3) -> tuple[str, Suggestion]:
    """A text, and what is suggested after it: so many characters at least."""
    texts = map("".join, itertools.product(tokenizer.alphabet, repeat=2))
    suggested = ((text, Completer(model, tokenizer, ALL).suggest(text)) for text in texts)
    return next((text, s) for text, s in suggested if s and len(s.text) >= least_chars)


@pytest.fixture
def anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sure network has no likely alternatives."""
    monkeypatch.setattr(completer_module, "LEAST_LIKELY", 0.0)


def test_what_is_hardly_likely_is_no_alternative(model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    before, _ = a_place(model, tokenizer)
    completer = Completer(model, tokenizer, ALL)
    completer.suggest(before)
    assert completer.alternatives(2) == []


@pytest.mark.usefixtures("anything")
def test_alternatives_are_different_and_go_on_with_what_was_second(model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    before, first = a_place(model, tokenizer)
    completer = Completer(model, tokenizer, ALL)
    assert completer.alternatives(2) == []  # of nothing
    assert completer.suggest(before) == first
    others = completer.alternatives(2)
    assert others
    texts = [first.text, *(other.text for other in others)]
    assert not any(a.startswith(b) for a, b in itertools.permutations(texts, 2))
    assert completer.suggest(before) == first  # which is still what stands there
    assert [other.text for other in completer.alternatives(2)] == texts[1:]


@pytest.mark.usefixtures("anything")
def test_alternatives_are_those_of_the_place_whatever_was_computed_since(
    model: TinyGPT, tokenizer: SimpleTokenizer
) -> None:
    before, _ = a_place(model, tokenizer)
    at_once, later = Completer(model, tokenizer, ALL), Completer(model, tokenizer, ALL)
    at_once.suggest(before)
    later.suggest(before)
    later.work_ahead()
    texts = [[other.text for other in completer.alternatives(3)] for completer in (at_once, later)]
    assert texts[0] == texts[1]


@pytest.fixture
def n_forwards(model: TinyGPT, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each forward."""
    forwards, prefill = list[int](), model.prefill
    monkeypatch.setattr(model, "prefill", lambda *a: (forwards.append(1), prefill(*a))[1])
    return forwards


def test_what_was_found_ahead_costs_nothing_and_is_the_same(
    model: TinyGPT, tokenizer: SimpleTokenizer, n_forwards: list[int]
) -> None:
    before, first = a_place(model, tokenizer)
    completer = Completer(model, tokenizer, ALL)
    completer.suggest(before)
    completer.work_ahead()
    n_forwards.clear()
    completer.work_ahead()  # there is nothing more to find
    found = completer.suggest(before + first.text)
    assert not n_forwards
    assert found == Completer(model, tokenizer, ALL).suggest(before + first.text)


def test_what_was_found_ahead_is_forgotten_when_the_workspace_changes(
    model: TinyGPT, tokenizer: SimpleTokenizer, n_forwards: list[int]
) -> None:
    before, first = a_place(model, tokenizer)
    completer = Completer(model, tokenizer, ALL)
    completer.suggest(before)
    completer.work_ahead()
    completer.hold("other", (before + first.text + "a") * 3)
    n_forwards.clear()
    found = completer.suggest(before + first.text)
    assert n_forwards
    fresh = Completer(model, tokenizer, ALL)
    fresh.hold("other", (before + first.text + "a") * 3)
    assert found == fresh.suggest(before + first.text)


def test_working_ahead_keeps_what_can_be_learned_from_the_next_key(model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    before, first = a_place(model, tokenizer)
    key = "a" if first.text[0] != "a" else "b"
    learned = []
    for is_ahead in (False, True):
        completer = Completer(model, tokenizer, ALL)
        completer.learn_from_key(before, "", "")
        completer.suggest(before)
        if is_ahead:
            completer.work_ahead()
        learned.append(completer.learn_from_key(before + key, "", ""))
    assert learned == [True, True]


def test_keys_teach_where_it_was_found_ahead_as_they_do_elsewhere(model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    before, first = a_place(model, tokenizer)
    accepted = before + first.text
    fresh, ahead = Completer(model, tokenizer, ALL), Completer(model, tokenizer, ALL)
    for completer in (fresh, ahead):
        completer.suggest(before)
    ahead.work_ahead()
    assert fresh.suggest(accepted) == ahead.suggest(accepted)
    assert fresh.workspace.two_likeliest(accepted) == ahead.workspace.two_likeliest(accepted) is not None
    assert [completer.workspace.learn("", accepted, "", "a") for completer in (fresh, ahead)] == [True, True]
    assert weights_of(fresh.workspace.mixture) == weights_of(ahead.workspace.mixture)


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


def weights(completer: Completer) -> list[list[float]]:
    return [row.tolist() for row in completer.workspace.mixture.weights.values()]


def ask(completer: Completer, before: str, after: str = "", document: str = "x") -> bool:
    """As the server does; returns whether it learned."""
    learned = completer.learn_from_key(before, after, document)
    completer.suggest(before, after, document=document)
    return learned


TYPED_BEFORE = "abc(e) = (\n" * 6


def test_typing_teaches_what_an_explicit_lesson_would(model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    """One step for each key, with the prediction for the place where it was typed."""
    completer, taught = Completer(model, tokenizer, ALL), Completer(model, tokenizer, ALL)
    text = TYPED_BEFORE
    ask(completer, text)
    for character in "abc(e)=\N{SNOWMAN}x":
        completer._shown = None  # along a suggestion the prediction is older than the last key
        taught.typed(character, text, document="x")
        text += character
        assert ask(completer, text)
    assert weights(completer) == [pytest.approx(row) for row in weights(taught)]
    assert weights(completer)[-1] != pytest.approx(weights(Completer(model, tokenizer, ALL))[-1])


def test_suggestions_are_those_of_one_that_never_learned(model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    """With the same weights: to learn changes nothing else."""
    completer, other = Completer(model, tokenizer, ALL), Completer(model, tokenizer, ALL)
    for n in range(len(TYPED_BEFORE) - 12, len(TYPED_BEFORE)):
        completer.learn_from_key(TYPED_BEFORE[:n], "", "x")
        other.workspace.mixture = Mixture({order: tuple(w) for order, w in completer.workspace.mixture.weights.items()})
        there, wanted = (c.suggest(TYPED_BEFORE[:n], document="x") for c in (completer, other))
        assert there == wanted


def test_what_was_not_typed_teaches_nothing(model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    completer = Completer(model, tokenizer, ALL)
    text = TYPED_BEFORE
    assert not ask(completer, text)  # opened
    assert not ask(completer, text + "abc")  # pasted
    assert not ask(completer, text + "ab")  # taken back
    assert not ask(completer, text + "abc")  # undone
    assert not ask(completer, text, "abc")  # gone elsewhere
    assert not ask(completer, text + "a", "abc")  # before a word it is silent, and predicts nothing
    assert weights(completer) == weights(Completer(model, tokenizer, ALL))


def test_a_suggestion_that_is_accepted_teaches_nothing_not_even_its_last_character(
    model: TinyGPT, tokenizer: SimpleTokenizer
) -> None:
    completer = Completer(model, tokenizer, ALL)
    text = TYPED_BEFORE
    completer.learn_from_key(text, "", "x")
    suggestion = completer.suggest(text, document="x")
    assert suggestion is not None
    *typed_along, last = suggestion.text
    for character in typed_along:
        text += character
        assert ask(completer, text)  # what is typed along a suggestion is typed
    assert not ask(completer, text + last)  # it may have been accepted


def test_warming_up_leaves_nothing_behind(model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    completer = Completer(model, tokenizer, ALL)
    completer.warm_up()
    assert completer.workspace.memory.n_chars == 0


def test_a_text_without_a_name_is_held_by_nobody(model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    completer = Completer(model, tokenizer, ALL)
    completer.suggest(TYPED_BEFORE, document=None)
    assert completer.workspace.memory.n_chars == 0


def test_what_was_prepared_before_all_was_forgotten_is_of_no_account(
    model: TinyGPT, tokenizer: SimpleTokenizer
) -> None:
    completer = Completer(model, tokenizer, ALL)
    completer.hold("x", "".join(map(chr, range(0x4E00, 0x4E80))))  # characters that the network does not know
    offer = completer.prepare("y", TYPED_BEFORE + "\u4f00")
    completer.forget()
    offer()
    asked = completer.suggest(TYPED_BEFORE, "\u4f00", document="y")
    assert asked == Completer(model, tokenizer, ALL).suggest(TYPED_BEFORE, "\u4f00", document="y")


def test_line_ends_are_plain_in_all_that_is_held(model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    held = []
    for end in ("\n", "\r\n", "\r"):
        completer = Completer(model, tokenizer, ALL)
        completer.hold("x", f"a{end}b{end}")
        completer.prepare("y", f"c{end}d{end}")()
        completer.suggest(f"c{end}", f"{end}d{end}", document="y")
        held.append([page.broken.tolist() for page, _ in completer.workspace.memory._signed()])
    assert held[0] == held[1] == held[2]


def test_other_settings_hold_at_once_even_for_what_was_found_before(model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    before, first = a_place(model, tokenizer, least_chars=4)
    shorter = dataclasses.replace(ALL, max_chars=2)
    completer = Completer(model, tokenizer, ALL)
    assert completer.suggest(before) == first
    completer.work_ahead()
    completer.configure(shorter)
    for text in (before, before + first.text):
        assert completer.suggest(text) == Completer(model, tokenizer, shorter).suggest(text)


@pytest.mark.parametrize("document", ["a", None])
def test_as_if_something_else_stood_there_it_suggests_but_nothing_of_that_is_kept(
    model: TinyGPT, tokenizer: SimpleTokenizer, document: str | None
) -> None:
    then, wanted = a_place(model, tokenizer)
    place = Place(document, "x = b\r\n", "\r\n")
    completer = Completer(model, tokenizer, ALL)
    completer.suggest(place.before, place.after, document=document)
    untouched = copy.deepcopy(completer.workspace.memory._at_hand), completer._shown
    found = completer.suggest_as_if(place, (then, "\n"))
    assert found is not None
    if document is None:
        assert found.text == wanted.text
    assert (completer.workspace.memory._at_hand.keys(), completer._shown) == (untouched[0].keys(), untouched[1])
    assert [text for text, _ in completer.workspace.memory._at_hand.values()] == [
        text for text, _ in untouched[0].values()
    ]
    assert completer.alternatives(2) == []
    completer.work_ahead()
    assert completer.suggest_as_if(place, (then, "word")) is None


def test_as_if_something_else_stood_there_does_not_take_away_what_the_next_key_teaches(
    model: TinyGPT, tokenizer: SimpleTokenizer
) -> None:
    before, first = a_place(model, tokenizer)
    key = "a" if first.text[0] != "a" else "b"
    weights = []
    for is_asked in (False, True):
        completer = Completer(model, tokenizer, ALL)
        completer.learn_from_key(before, "", "")
        completer.suggest(before)
        if is_asked:
            completer.suggest_as_if(Place("", before, ""), (before + "ab", ""))
        assert completer.learn_from_key(before + key, "", "")
        weights.append({name: list(row) for name, row in completer.workspace.mixture.weights.items()})
    assert weights[0] == weights[1]


def test_who_goes_back_to_one_of_the_last_documents_waits_for_no_second_reading(
    model: TinyGPT, tokenizer: SimpleTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_read, extend = list[int](), Reader.extend

    def count(self: Reader, characters: str) -> Tensor:
        n_read.append(len(characters))
        return extend(self, characters)

    monkeypatch.setattr(Reader, "extend", count)
    completer = Completer(model, tokenizer, CompleterSettings(max_chars=1, min_confidence=0))
    names = [f"{i}.py" for i in range(N_READERS)]

    def most_read(name: str, key: str) -> int:
        n_read.clear()
        completer.suggest((name[0] + "bc") * 50 + key, document=name)  # with no beginning in common
        return max(n_read)

    assert min(most_read(name, "") for name in names) > 20  # as far as the network reaches
    assert max(most_read(name, "x") for name in names) < 10
    most_read("another.py", "")
    assert most_read(names[0], "xy") > 20  # it was used longest ago
