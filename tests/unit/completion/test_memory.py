"""The memory against its definition, whatever was done to it before."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinycopilot.completion.alphabet import Alphabet
from tinycopilot.completion.contexts import BREAK, DEPTH, ORDERS, STRIDE, ContextIndex
from tinycopilot.completion.memory import (
    DOCUMENT_START,
    Document,
    WorkspaceMemory,
    context_of,
    plain_prediction,
)

KNOWN = "\nab("
LETTERS = st.text("ab(\n", max_size=60) | st.sampled_from(["ab(ab\n" * 40, "a" * 90, "", "\ud800\x00\U0001f600ab" * 9])
DOCUMENTS = st.tuples(LETTERS) | st.tuples(LETTERS, LETTERS)
NAMES = st.sampled_from("xyz")
STEPS = st.lists(
    st.tuples(st.just("hold"), NAMES, DOCUMENTS)
    | st.tuples(st.just("drop"), NAMES, st.just(("",)))
    | st.tuples(st.just("settle"), NAMES, st.just(("",))),
    max_size=10,
)


def texts_of(documents: dict[str, Document]) -> list[str]:
    return [text for d in documents.values() for text in (DOCUMENT_START + d[0], *d[1:])]


def predicted(memory: WorkspaceMemory, before: str) -> tuple[dict[str, float], int]:
    alphabet = memory.alphabet
    context = context_of(alphabet, before)
    possible = memory.possible()
    p, order = memory.predict(context, possible)
    characters = {alphabet.character_of(i + 1): float(q) for i, q in enumerate(p[:-1]) if possible[i]}
    assert not p[:-1][~possible[:-1]].any()
    return characters | {"": float(p[-1])}, order


@settings(max_examples=150)
@given(STEPS, st.text("ab(\n", max_size=40))
def test_it_predicts_as_its_definition_whatever_came_before(
    steps: list[tuple[str, str, Document]], before: str
) -> None:
    memory, documents = WorkspaceMemory(Alphabet(KNOWN)), dict[str, Document]()
    for what, name, document in steps:
        if what == "hold":
            memory.hold(name, *document)
            documents[name] = document
        elif what == "drop":
            memory.drop(name)
            documents.pop(name, None)
        else:
            memory.settle()
        texts = texts_of(documents)
        wanted, longest = plain_prediction(texts, sorted(set("".join(texts)) | set(KNOWN)), DOCUMENT_START + before)
        p, order = predicted(memory, before)
        assert order == longest
        assert p == pytest.approx(wanted, abs=1e-12)
        assert sum(p.values()) == pytest.approx(1)


@pytest.mark.parametrize("n", [STRIDE - 1, STRIDE, 8 * STRIDE + 17])
def test_contexts_that_were_seen_very_often(n: int) -> None:
    """Beyond a stride, counts come from the table: "aaa" is five eighths of all contexts."""
    memory = WorkspaceMemory(Alphabet(KNOWN))
    text = "aaaaaaab" * (n // 8)
    memory.hold("x", text)
    memory.settle()
    for before in ("aaa", "aaaa", "aab", "baaaaaa"):
        assert predicted(memory, before)[0] == pytest.approx(
            plain_prediction([DOCUMENT_START + text], KNOWN, DOCUMENT_START + before)[0]
        )


@given(st.lists(st.integers(0, 3), max_size=200), st.data())
def test_an_edited_index_is_that_of_the_new_text(symbols: list[int], data: st.DataObject) -> None:
    index = ContextIndex(np.array(symbols, np.uint16))
    for _ in range(4):
        start = data.draw(st.integers(0, len(symbols)))
        end = data.draw(st.integers(start, len(symbols)))
        new = data.draw(st.lists(st.integers(0, 3), max_size=50))
        index.replace(start, end, np.array(new, np.uint16))
        symbols[start:end] = new
        fresh = ContextIndex(np.array(symbols, np.uint16))
        assert index.symbols.tolist() == symbols
        assert index._positions.tolist() == fresh._positions.tolist()
        assert index._next.tolist() == fresh._next.tolist()


@given(st.lists(st.integers(0, 2), max_size=300))
def test_positions_are_sorted_by_what_stands_before_them(symbols: list[int]) -> None:
    index = ContextIndex(np.array(symbols, np.uint16))
    padded = [BREAK] * DEPTH + symbols
    where = [i for i in range(DEPTH, len(padded)) if padded[i] != BREAK]
    assert index._positions.tolist() == sorted(where, key=lambda i: (padded[i - DEPTH : i][::-1], i))


def test_no_context_reaches_over_the_cursor() -> None:
    memory = WorkspaceMemory(Alphabet(KNOWN))
    memory.hold("x", "abab", "(((")
    assert predicted(memory, "abab")[1] == 0
    assert predicted(memory, "aba")[1] == ORDERS[1]


def test_nothing_that_was_dropped_is_left() -> None:
    memory = WorkspaceMemory(Alphabet(KNOWN))
    memory.hold("x", "secret = 1\n" * 9)
    memory.settle()
    memory.drop("x")
    assert "x" not in memory
    assert predicted(memory, "secre")[1] == 0
    memory.settle()
    assert len(memory._settled.index) == 0


def test_what_is_as_it_was_again_is_on_one_shelf_again() -> None:
    """An edit that is taken back, a file that comes back: nothing piles up."""
    memory = WorkspaceMemory(Alphabet(KNOWN))
    memory.hold("x", "abab" * 20)
    memory.settle()
    n_bytes = memory.n_bytes
    for _ in range(3):
        memory.hold("x", "abab" * 20 + "(")
        memory.hold("x", "abab" * 20)
        memory.drop("x")
        memory.hold("x", "abab" * 20)
    assert memory.n_bytes <= n_bytes + 100
