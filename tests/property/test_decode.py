"""Decoding and the Completer against their definition: plain greedy decoding, everything read again each time."""

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import EVERYTHING as ALL

from tinycopilot.completion.engine import Completer
from tinycopilot.completion.decoding import (
    Reader,
    decode,
    network_alone,
    network_log_probs,
    no_draft,
    plain_decode,
)
from tinycopilot.completion.truncation import truncate
from tinycopilot.completion.predictor import Workspace
from tinycopilot.model.gpt import TinyGPT
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer

N = ALL.max_chars
TEXT = st.text(alphabet="ab c(\n)=e\N{SNOWMAN}", max_size=120)


def plain(model: TinyGPT, tokenizer: SimpleTokenizer, text: str) -> list[tuple[str, float]]:
    decoded = plain_decode(network_log_probs(model, tokenizer), network_alone(tokenizer.alphabet), text)
    return list(itertools.islice(decoded, N))


def fast(reader: Reader, text: str, draft: Callable[[str], str] = no_draft) -> list[tuple[str, float]]:
    return list(itertools.islice(decode(reader, network_alone(reader.tokenizer.alphabet), text, draft=draft), N))


def assert_same(quick: list[tuple[str, float]], slow: list[tuple[str, float]]) -> None:
    assert [c for c, _ in quick] == [c for c, _ in slow]
    assert [p for _, p in quick] == pytest.approx([p for _, p in slow])


@settings(max_examples=50)
@given(texts=st.lists(TEXT, min_size=1, max_size=5))
def test_decode_equals_plain_decode_whatever_was_read_before(
    model: TinyGPT, tokenizer: SimpleTokenizer, texts: list[str]
) -> None:
    reader = Reader(model, tokenizer)
    for text in texts:
        assert_same(fast(reader, text), plain(model, tokenizer, text))


GUESS = st.tuples(st.integers(0, 9), st.text(alphabet="ab c(\n)=e", max_size=9))


def guessed(coming: Iterator[tuple[int, str]], n_chars: int, comes: str, so_far: str) -> str:
    """The next guess of what goes on after `so_far`, where `comes` is what comes after the first `n_chars`."""
    n_right, wrong = next(coming)
    return comes[len(so_far) - n_chars :][:n_right] + wrong


@settings(max_examples=50)
@given(texts=st.lists(TEXT, min_size=1, max_size=3), guesses=st.lists(GUESS, min_size=1, max_size=8))
def test_drafts_change_nothing_however_right_or_wrong_they_are(
    model: TinyGPT, tokenizer: SimpleTokenizer, texts: list[str], guesses: list[tuple[int, str]]
) -> None:
    """Each guess: so many characters of what comes, and then something."""
    model = copy.deepcopy(model).double()
    reader = Reader(model, tokenizer)
    for text in texts:
        wanted = plain(model, tokenizer, text)
        comes, coming = "".join(character for character, _ in wanted), itertools.cycle(guesses)
        assert_same(fast(reader, text, partial(guessed, coming, len(text), comes)), wanted)


def test_a_right_draft_saves_a_forward_for_each_character(
    model: TinyGPT, tokenizer: SimpleTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, n_forwards = Reader(model, tokenizer), 0
    comes = "".join(character for character, _ in plain(model, tokenizer, "ab"))
    extend = reader.extend

    def counted(characters: str) -> torch.Tensor:
        nonlocal n_forwards
        n_forwards += 1
        return extend(characters)

    monkeypatch.setattr(reader, "extend", counted)
    decoded = fast(reader, "ab", lambda so_far: comes[len(so_far) - 2 :][:3])
    assert "".join(character for character, _ in decoded) == comes
    assert n_forwards == math.ceil(N / 4)  # three are drafted with what is read


EDIT = st.tuples(st.integers(0, 100), st.text(alphabet="ab c(\n)=e", max_size=30))


@settings(max_examples=50)
@given(text=TEXT, edits=st.lists(EDIT, min_size=1, max_size=8))
def test_typing_and_deleting_equals_plain_decode(
    model: TinyGPT, tokenizer: SimpleTokenizer, text: str, edits: list[tuple[int, str]]
) -> None:
    reader = Reader(model, tokenizer)
    for n_deleted, typed in edits:
        text = text[: max(0, len(text) - n_deleted)] + typed
        assert_same(fast(reader, text), plain(model, tokenizer, text))


@pytest.mark.parametrize("first", ["", "ab", "c"])
def test_no_more_is_read_than_can_matter(
    model: TinyGPT, tokenizer: SimpleTokenizer, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """Whether a long text begins as the last one did, or not."""
    reader, n_read, prefill = Reader(model, tokenizer), list[int](), model.prefill
    reader.read(first)
    monkeypatch.setattr(model, "prefill", lambda ids, cache: (n_read.append(len(ids)), prefill(ids, cache))[1])
    reader.read("ab(c)\n" * 200)
    assert sum(n_read) <= model.config.reach + reader._cache.spare


def test_generate_is_plain_decoding(model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    ids = itertools.islice(model.generate(tokenizer.encode(DOCUMENT_START + "abc = (")), N)
    assert tokenizer.decode(ids) == "".join(c for c, _ in plain(model, tokenizer, "abc = ("))


def test_the_unknown_is_never_decoded(tokenizer: SimpleTokenizer) -> None:
    def always_unknown(_: str) -> torch.Tensor:
        return torch.arange(tokenizer.vocab_size, dtype=torch.float64).log_softmax(-1)

    decoded = list(itertools.islice(plain_decode(always_unknown, network_alone(tokenizer.alphabet), ""), 3))
    assert [c for c, _ in decoded] == [tokenizer.alphabet[-1]] * 3


@settings(max_examples=50)
@given(before=TEXT, n_keys=st.integers(0, 30))
def test_completion_equals_plain_greedy_decoding(
    model: TinyGPT, tokenizer: SimpleTokenizer, before: str, n_keys: int
) -> None:
    """Asked afresh, or at every key on the way there: the same suggestion, cut as the plain text is."""
    workspace = Workspace(tokenizer.alphabet)
    workspace.look_at("", before, "")
    decoded = plain_decode(network_log_probs(model, tokenizer), workspace.likeliest, before)
    wanted = truncate(itertools.islice(decoded, N + 1), ALL)
    asked_at_once = Completer(model, tokenizer, ALL).suggest(before)
    assert (asked_at_once and asked_at_once.text) == (wanted and wanted.text)
    completer = Completer(model, tokenizer, ALL)
    for i in range(max(0, len(before) - n_keys), len(before)):
        completer.suggest(before[:i])
        completer._shown = None  # what is left of a suggestion is another matter
    asked_on_the_way = completer.suggest(before)
    assert (asked_on_the_way and asked_on_the_way.text) == (wanted and wanted.text)
