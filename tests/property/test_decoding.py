"""Decoding and the Engine against their definition: plain greedy decoding that reads everything again each time."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import EVERYTHING as ALL

from tinycopilot.completion.decoding import (
    Choose,
    Decoded,
    Reader,
    decode,
    decode_steps,
    network_alone,
    network_logits,
    plain_decode,
)
from tinycopilot.completion.engine import Engine, Request, Why
from tinycopilot.completion.network import Floats, Network
from tinycopilot.completion.predictor import Continuation, Place, PredictionCache, Predictor
from tinycopilot.completion.truncation import truncate
from tinycopilot.model.config import CONTEXT_STEP
from tinycopilot.model.gpt import TinyGPT
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer

N = ALL.max_chars
SHORT = st.text(alphabet="ab c(\n)=e\N{SNOWMAN}", max_size=120)
TEXT = SHORT | st.builds(lambda n, text: ("ab (c)\n" * 50)[:n] + text, st.integers(100, 300), SHORT)
"""Also longer than a context."""


def plain(network: Network, tokenizer: SimpleTokenizer, text: str) -> list[Decoded]:
    decoded = plain_decode(network_logits(network, tokenizer, text), network_alone(tokenizer.alphabet), text)
    return list(itertools.islice(decoded, N))


def no_guess(_text: str) -> str:
    return ""


class Guesser:
    """A Speculator that drafts `guess`, and verifies with `choose`."""

    def __init__(self, choose: Choose, guess: Callable[[str], str], text: str) -> None:
        self.choose, self.guess, self.text = choose, guess, text

    def draft(self, _max_chars: int) -> str:
        self.guessed = self.guess(self.text)
        return self.guessed

    def verify(self, logits: Floats) -> list[Decoded]:
        accepted = list[Decoded]()
        for row, guessed in itertools.zip_longest(logits, self.guessed):
            accepted.append(self.choose(row, self.text))
            self.text += accepted[-1][0]
            if accepted[-1][0] != guessed:
                break
        return accepted


def fast(reader: Reader, text: str, guess: Callable[[str], str] = no_guess) -> list[Decoded]:
    speculator = Guesser(network_alone(reader.tokenizer.alphabet), guess, text)
    return list(itertools.islice(decode(reader, speculator, text), N))


def assert_same(quick: list[Decoded], slow: list[Decoded]) -> None:
    assert [c for c, _ in quick] == [c for c, _ in slow]
    assert [p for _, p in quick] == pytest.approx([p for _, p in slow], rel=1e-4, abs=1e-5)


@given(texts=st.lists(TEXT, min_size=1, max_size=5))
def test_decode_equals_plain_decode(network: Network, tokenizer: SimpleTokenizer, texts: list[str]) -> None:
    reader = Reader(network, tokenizer)
    for text in texts:
        assert_same(fast(reader, text), plain(network, tokenizer, text))


GUESS = st.tuples(st.integers(0, 9), st.text(alphabet="ab c(\n)=e", max_size=9))


def guessed(coming: Iterator[tuple[int, str]], n_chars: int, comes: str, so_far: str) -> str:
    """Return the next draft after `so_far`; `comes` is the text after the first `n_chars`."""
    n_right, wrong = next(coming)
    return comes[len(so_far) - n_chars :][:n_right] + wrong


@given(texts=st.lists(TEXT, min_size=1, max_size=3), guesses=st.lists(GUESS, min_size=1, max_size=8))
def test_drafts_change_nothing(
    network: Network, tokenizer: SimpleTokenizer, texts: list[str], guesses: list[tuple[int, str]]
) -> None:
    """Each guess is a number of correct characters, followed by arbitrary text."""
    reader = Reader(network, tokenizer)
    for text in texts:
        wanted = plain(network, tokenizer, text)
        comes, coming = "".join(character for character, _ in wanted), itertools.cycle(guesses)
        assert_same(fast(reader, text, partial(guessed, coming, len(text), comes)), wanted)


def test_correct_draft_saves_one_forward_per_character(
    network: Network, tokenizer: SimpleTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, n_forwards = Reader(network, tokenizer), 0
    comes = "".join(character for character, _ in plain(network, tokenizer, "ab"))
    extend = reader.extend

    def counted(characters: str, n_last: int | None = None) -> Floats:
        nonlocal n_forwards
        n_forwards += 1
        return extend(characters, n_last)

    monkeypatch.setattr(reader, "extend", counted)
    decoded = fast(reader, "ab", lambda so_far: comes[len(so_far) - 2 :][:3])
    assert "".join(character for character, _ in decoded) == comes
    assert n_forwards == math.ceil(N / 4)  # three are drafted with the text that is read


EDIT = st.tuples(st.integers(0, 100), st.text(alphabet="ab c(\n)=e", max_size=30))


@given(text=TEXT, edits=st.lists(EDIT, min_size=1, max_size=8))
def test_typing_and_deleting_equals_plain_decode(
    network: Network, tokenizer: SimpleTokenizer, text: str, edits: list[tuple[int, str]]
) -> None:
    reader = Reader(network, tokenizer)
    for n_deleted, typed in edits:
        text = text[: max(0, len(text) - n_deleted)] + typed
        assert_same(fast(reader, text), plain(network, tokenizer, text))


@pytest.mark.parametrize("first", ["", "ab", "c"])
def test_a_window_and_less_than_a_step_more_is_read(
    network: Network, tokenizer: SimpleTokenizer, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """The next long text may share its start with the last one."""
    reader, n_read, extend = Reader(network, tokenizer), list[int](), Reader.extend
    reader.read(first)
    monkeypatch.setattr(Reader, "extend", lambda self, text, n: (n_read.append(len(text)), extend(self, text, n))[1])
    reader.read("ab(c)\n" * 200)
    assert network.config.window <= sum(n_read) < network.config.window + CONTEXT_STEP


def test_trained_network_generates_the_same(model: TinyGPT, network: Network, tokenizer: SimpleTokenizer) -> None:
    ids = itertools.islice(model.generate(tokenizer.encode(DOCUMENT_START + "abc = (")), N)
    assert tokenizer.decode(ids) == "".join(c for c, _ in plain(network, tokenizer, "abc = ("))


def test_unknown_is_never_decoded(tokenizer: SimpleTokenizer) -> None:
    def always_unknown(_: str) -> Floats:
        return np.arange(tokenizer.vocab_size, dtype=np.float32)

    decoded = list(itertools.islice(plain_decode(always_unknown, network_alone(tokenizer.alphabet), ""), 3))
    assert [c for c, _ in decoded] == [tokenizer.alphabet[-1]] * 3


@given(text=TEXT, other=st.text(alphabet="ab c(\n)=e\N{SNOWMAN}", max_size=300), max_draft_chars=st.integers(0, 12))
def test_ngram_drafts_change_nothing(
    network: Network, tokenizer: SimpleTokenizer, text: str, other: str, max_draft_chars: int
) -> None:
    """With the n-gram models: compiled draft and verify against one prediction per character."""
    predictor = Predictor(tokenizer.alphabet)
    predictor.ngrams.hold("other", other * 3)
    predictor.ngrams.hold("this", text, "ab\n")
    plain_cache, cache = PredictionCache(Place("this", text, "ab\n")), PredictionCache(Place("this", text, "ab\n"))
    choose = partial(predictor.likeliest, plain_cache)
    wanted = list(itertools.islice(plain_decode(network_logits(network, tokenizer, text), choose, text), N))
    continuation = Continuation(predictor, cache, text)
    steps = decode_steps(Reader(network, tokenizer), continuation, text, max_draft_chars=max_draft_chars)
    decoded = (one for step in steps for one in step.accepted)
    assert_same(list(itertools.islice(decoded, N)), wanted)
    for end, prediction in plain_cache.by_end.items():
        assert cache.by_end[end].log_probs == pytest.approx(prediction.log_probs, rel=1e-4, abs=1e-5)
        assert cache.by_end[end].rows == pytest.approx(prediction.rows, rel=1e-4, abs=1e-5)
        assert cache.by_end[end][2:] == prediction[2:]


@given(before=TEXT, n_keys=st.integers(0, 30))
def test_completion_equals_plain_greedy_decoding(
    network: Network, tokenizer: SimpleTokenizer, before: str, n_keys: int
) -> None:
    """A direct request and one after each keystroke give the same suggestion, truncated like the plain text."""
    predictor = Predictor(tokenizer.alphabet)
    predictor.ngrams.hold("", before, "")
    choose = partial(predictor.likeliest, PredictionCache(Place("", before, "")))
    decoded = plain_decode(network_logits(network, tokenizer, before), choose, before)
    wanted = truncate(itertools.islice(decoded, N + 1), ALL, before)
    at_once = Engine(network, tokenizer, ALL).complete(Request(before)).suggestion
    assert (at_once and at_once.text) == (wanted and wanted.text)
    engine = Engine(network, tokenizer, ALL)
    for i in range(max(0, len(before) - n_keys), len(before)):
        engine.complete(Request(before[:i], why=Why.REPLAYED))
        engine.configure(dataclasses.replace(ALL, threads=i + 2))  # typing through a suggestion is tested elsewhere
    on_the_way = engine.complete(Request(before, why=Why.REPLAYED)).suggestion
    assert (on_the_way and on_the_way.text) == (wanted and wanted.text)
