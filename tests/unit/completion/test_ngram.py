"""The n-gram model equals its definition after any sequence of changes."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinycopilot.completion import ngram as ngram_module
from tinycopilot.completion.distribution import word_successor
from tinycopilot.completion.ngram import Document, NGramModel, context_of, plain_prediction, plain_successor
from tinycopilot.completion.predictor import KINDS, kind_of
from tinycopilot.completion.segments import Alphabet, Compaction, MergedSegment, Segment, symbols_of
from tinycopilot.completion.suffix_array import BREAK, DEPTH, LONG, ORDERS, RARE, SHORT_STRIDE, SuffixArray, padded
from tinycopilot.model.tokenizer import DOCUMENT_START

KNOWN = "\nab("
LETTERS = st.text("ab(\n", max_size=60) | st.sampled_from(["ab(ab\n" * 40, "a" * 90, "", "\ud800\x00\U0001f600ab" * 9])
NAMES = st.sampled_from("xyz")
NOTHING = st.just("")
Step = tuple[str, str, str, str]
STEPS = st.lists(
    st.tuples(st.sampled_from(["hold", "put"]), NAMES, LETTERS, NOTHING)
    | st.tuples(st.just("look at"), NAMES, LETTERS, LETTERS)
    | st.tuples(st.sampled_from(["drop", "take away", "begin", "sort", "finish", "settle"]), NAMES, NOTHING, NOTHING),
    max_size=14,
)


class Model:
    """The texts that an n-gram model contains, and the pending compaction."""

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self.at_hand: list[str] = []
        self.useful_s: dict[str, float] = {}
        self.meanwhile: set[str] = set()
        self.changes: dict[str, tuple[str, float] | None] = {}

    def hold(self, name: str, when_s: float, *document: str) -> None:
        if len(document) > 1:
            self.at_hand = [*(n for n in self.at_hand if n != name), name][-ngram_module.MAX_RECENT :]
        self.documents[name], self.useful_s[name] = document, when_s
        self.meanwhile.add(name)

    def drop(self, name: str) -> None:
        self.documents.pop(name, None)
        self.at_hand = [n for n in self.at_hand if n != name]
        self.meanwhile.add(name)

    def begin(self) -> None:
        self.meanwhile, self.changes = set(self.at_hand), {}

    def finish(self) -> None:
        for name, change in self.changes.items():
            if name not in self.meanwhile:
                self.documents.pop(name, None)
                if change is not None:
                    text, self.useful_s[name] = change
                    self.documents[name] = (text,)

    def pieces(self) -> list[str]:
        return [text for first, *others in self.documents.values() for text in (DOCUMENT_START + first, *others)]


def n_bytes_of(memory: NGramModel) -> int:
    """Memory of the suffix arrays."""
    return sum(segment.n_bytes for segment, _ in memory.segments())


def predicted(memory: NGramModel, before: str) -> tuple[dict[str, float], int]:
    alphabet = memory.alphabet
    context = context_of(alphabet, before)
    possible = memory.possible()
    p, order = memory.predict(context, possible)
    characters = {alphabet.character_of(i + 1): float(q) for i, q in enumerate(p[:-1]) if possible[i]}
    assert not p[:-1][~possible[:-1]].any()
    return characters | {"": float(p[-1])}, order


def assert_predicts(memory: NGramModel, pieces: list[str], before: str) -> None:
    """Check predictions against the definition for these texts."""
    characters = sorted(set("".join(pieces)) | set(KNOWN))
    wanted, longest = plain_prediction(pieces, characters, DOCUMENT_START + before)
    p, order = predicted(memory, before)
    assert order == longest
    assert p == pytest.approx(wanted, abs=1e-12)
    assert sum(p.values()) == pytest.approx(1)
    assert successor(memory, before) == plain_successor(pieces, (DOCUMENT_START + before[-DEPTH:])[-DEPTH:])


def successor(memory: NGramModel, before: str) -> str:
    alphabet = memory.alphabet
    kinds = np.array([0, *(KINDS.index(kind_of(alphabet.character_of(i + 1))) for i in range(len(alphabet)))])
    symbol = word_successor(memory.headers(), kinds, context_of(alphabet, before))
    return alphabet.character_of(symbol) if symbol != BREAK else ""


@pytest.mark.parametrize(
    ("text", "before", "wanted"),
    [
        ("load_kestrel", "load_k", "e"),
        ("load_kestrel load_kestrel", "(loa", "d"),
        ("load_kestrel load_kiwi", "load_", "k"),
        ("load_kestrel load_kiwi", "load_k", ""),
        ("load load_kestrel", "load", ""),  # a word itself
        ("upload_kestrel", "load_k", ""),
        ("load_kestrel", "lo", ""),
        ("LOAD_KESTREL", "LOAD_K", "E"),
        ("100 1000", "100", ""),
        ("x1000", "x10", "0"),
        ("façade", "faç", "a"),
        ("load_kestrel " * 501, "load_k", ""),  # frequent
        ("a" * 40, "a" * 31, "a"),
        ("a" * 40, "a" * 32, ""),  # may begin before the context
    ],
)
def test_word_is_completed_if_there_is_one_way(text: str, before: str, wanted: str) -> None:
    memory = NGramModel(Alphabet(KNOWN))
    memory.hold("x", f" {text} ")
    assert successor(memory, before) == wanted


def take_step(memory: NGramModel, compaction: Compaction, model: Model, step: Step, when_s: int) -> Compaction:
    """Apply a step to the n-gram model and to the reference; return the pending compaction."""
    what, name, text, after = step
    if what == "hold":
        memory.hold(name, text, last_used_s=when_s)
        model.hold(name, when_s, text)
    elif what == "look at":
        memory.hold(name, text, after, last_used_s=when_s)
        model.hold(name, when_s, text, after)
    elif what == "drop":
        was_there = name in memory
        assert memory.drop(name) == was_there
        model.drop(name)
    elif what == "put" and compaction.merged is None:
        compaction.put(name, text, when_s)
        model.changes[name] = text, when_s
    elif what == "take away" and compaction.merged is None:
        compaction.drop(name)
        model.changes[name] = None
    elif what == "sort" and compaction.merged is None:
        compaction.sort(memory.max_chars, everything=name == "x")
    elif what in ("begin", "settle", "finish"):
        if what == "settle":
            memory.compact()
        elif what == "finish":
            if compaction.merged is None:
                compaction.sort(memory.max_chars, everything=name == "x")
            memory.finish_compaction(compaction)
            model.finish()
        model.begin()
        return memory.begin_compaction()
    return compaction


@pytest.mark.slow
@settings(max_examples=max(100, settings.default.max_examples))
@given(STEPS, st.sampled_from([1, 2, 8]), st.text("ab(\n", max_size=40))
def test_predict_equals_the_definition(steps: list[Step], n_at_hand: int, before: str) -> None:
    """After any sequence of indexing, dropping, predicting and compacting."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngram_module, "MAX_RECENT", n_at_hand)
        memory, model = NGramModel(Alphabet(KNOWN)), Model()
        compaction = memory.begin_compaction()
        for when_s, step in enumerate(steps):
            compaction = take_step(memory, compaction, model, step, when_s)
            assert {name for name in "xyz" if name in memory} == set(model.documents)
            assert_predicts(memory, model.pieces(), before)


@pytest.mark.slow
@settings(max_examples=max(70, settings.default.max_examples))
@given(STEPS, st.integers(0, 300), st.text("ab(\n", max_size=40))
def test_forgetting_drops_whole_documents_least_recently_used_first(
    steps: list[Step], max_chars: int, before: str
) -> None:
    memory, model = NGramModel(Alphabet(KNOWN), max_chars), Model()
    compaction = memory.begin_compaction()
    for when_s, step in enumerate(steps):
        is_in_the_way = step[0] == "finish" and model.changes.keys() & model.meanwhile  # sorted in vain
        compaction = take_step(memory, compaction, model, step, when_s)
        kept = {name for name in model.documents if name in memory}
        forgotten, here = model.documents.keys() - kept, {*model.at_hand[-1:]}
        n_chars = sum(len(piece) for name in kept for piece in model.documents[name])
        assert n_chars + 2 * len(kept) <= memory.n_chars <= n_chars + 3 * len(kept)
        assert memory.n_chars <= max_chars or kept == here
        is_too_long = any(len("".join(model.documents[name])) + 2 > max_chars for name in forgotten)  # for any limit
        if not is_too_long and not is_in_the_way:
            assert all(model.useful_s[name] <= model.useful_s[other] for name in forgotten for other in kept - here)
        for name in forgotten:
            model.drop(name)
        assert_predicts(memory, model.pieces(), before)


@pytest.mark.parametrize("n", [SHORT_STRIDE - 1, SHORT_STRIDE, 8 * SHORT_STRIDE + 17, LONG + 3])
def test_frequent_contexts(n: int) -> None:
    """Beyond a stride, counts come from the table: "aaa" is five eighths of all contexts."""
    memory = NGramModel(Alphabet(KNOWN))
    text = "aaaaaaab" * (n // 8)
    memory.hold("x", text)
    memory.compact()
    for before in ("aaa", "aaaa", "aab", "baaaaaa"):
        assert predicted(memory, before)[0] == pytest.approx(
            plain_prediction([DOCUMENT_START + text], KNOWN, DOCUMENT_START + before)[0]
        )


@given(LETTERS, LETTERS, st.integers(3, 60))
def test_numbers_of_characters_do_not_matter(merged: str, separate: str, n: int) -> None:
    """From RARE on, the next characters are read from the text."""
    others = "".join(map(chr, range(0x4E00, 0x4E00 + RARE - 3)))
    found = []
    for known in (KNOWN + others, others + KNOWN):
        memory = NGramModel(Alphabet(known))
        memory.hold("x", merged)
        memory.compact()
        memory.hold("y", separate)
        found.append(predicted(memory, (merged or separate)[:n]))
    assert found[0][0] == pytest.approx(found[1][0])
    assert found[0][1] == found[1][1]


def assert_same_index(index: SuffixArray, symbols: list[int]) -> None:
    fresh = SuffixArray(padded([np.array(symbols, np.uint16)]))
    assert index.symbols.tolist() == symbols
    assert index.positions.tolist() == fresh.positions.tolist()
    assert index._next.tolist() == fresh._next.tolist()
    counts, fresh_counts = index._until, fresh._until
    width = fresh_counts.shape[1]
    assert counts[:, :width].tolist() == fresh_counts.tolist()
    assert not counts[:, width:].any()


@given(st.lists(st.integers(0, 3), max_size=60), st.sampled_from([1, 40, 90]), st.data())
def test_edited_index_equals_a_fresh_one(some: list[int], n_times: int, data: st.DataObject) -> None:
    """The repeated text is so long that an edit sorts only part of it. Some edits contain a new symbol."""
    symbols = some * n_times
    index = SuffixArray(padded([np.array(symbols, np.uint16)]))
    for _ in range(4):
        start = data.draw(st.integers(0, len(symbols)))
        end = data.draw(st.integers(start, min(start + 60, len(symbols))))
        new = data.draw(st.lists(st.integers(0, 5) | st.integers(RARE - 1, RARE + 1), max_size=50))
        before, index = index, index.replaced(start, end, np.array(new, np.uint16))
        assert before.symbols.tolist() == symbols  # another thread may still read the old index
        symbols[start:end] = new
        assert_same_index(index, symbols)


def test_long_edit_of_a_long_text() -> None:
    """The text is so long that an edit rebuilds the table of counts, but does not sort everything again."""
    dice = np.random.default_rng(0)
    symbols = dice.integers(0, 9, 40_000).astype(np.uint16)
    new = dice.integers(0, 9, 2_000).astype(np.uint16)
    index = SuffixArray(padded([symbols])).replaced(20_000, 21_000, new)
    assert_same_index(index, [*symbols[:20_000].tolist(), *new.tolist(), *symbols[21_000:].tolist()])


def test_new_character_rebuilds_the_table_without_widening_it() -> None:
    symbols, late = np.arange(90_000, dtype=np.uint16) % 50 + 1, 20_000
    edited = SuffixArray(padded([symbols])).replaced(500, 501, np.array([late], np.uint16))
    assert_same_index(edited, [*symbols[:500].tolist(), late, *symbols[501:].tolist()])
    assert edited.n_bytes < 12 * len(symbols)


def test_table_of_a_text_with_many_characters_stays_small() -> None:
    text = "".join(map(chr, range(0x4E00, 0x9E00))) * 3
    memory = NGramModel(Alphabet(KNOWN))
    memory.hold("x", text)
    memory.compact()
    assert predicted(memory, text[:500])[0][text[500]] > 0.9
    assert n_bytes_of(memory) < 13 * len(text)


@given(st.lists(st.integers(0, 2), max_size=300))
def test_positions_are_sorted_by_reversed_prefix(symbols: list[int]) -> None:
    index = SuffixArray(padded([np.array(symbols, np.uint16)]))
    text = [BREAK] * DEPTH + symbols
    where = [i for i in range(DEPTH, len(text)) if text[i] != BREAK]
    assert index.positions.tolist() == sorted(where, key=lambda i: (text[i - DEPTH : i][::-1], i))


def test_no_context_reaches_over_the_cursor() -> None:
    memory = NGramModel(Alphabet(KNOWN))
    memory.hold("x", "abab", "(((")
    assert predicted(memory, "abab")[1] == 0
    assert predicted(memory, "aba")[1] == ORDERS[1]


def test_dropped_documents_leave_nothing() -> None:
    memory = NGramModel(Alphabet(KNOWN))
    memory.hold("x", "secret = 1\n" * 9)
    memory.compact()
    memory.drop("x")
    assert "x" not in memory
    assert predicted(memory, "secre")[1] == 0
    memory.compact()
    assert len(memory.merged()[0]) == 0


def test_unchanged_document_returns_to_the_merged_segment() -> None:
    """An undone edit or a restored file leaves no extra segment."""
    memory = NGramModel(Alphabet(KNOWN))
    memory.hold("x", "abab" * 20)
    memory.compact()
    n_bytes = n_bytes_of(memory)
    for _ in range(3):
        memory.hold("x", "abab" * 20 + "(")
        memory.hold("x", "abab" * 20)
        memory.drop("x")
        memory.hold("x", "abab" * 20)
    assert n_bytes_of(memory) <= n_bytes + 100


def test_current_document_is_never_forgotten() -> None:
    memory = NGramModel(Alphabet(KNOWN), max_chars=100)
    memory.hold("old", "a" * 40, last_used_s=1)
    memory.hold("new", "b" * 40, last_used_s=2)
    memory.hold("here", "(" * 30, "", last_used_s=0)
    assert [name for name in ("old", "new", "here") if name in memory] == ["new", "here"]
    memory.hold("here", "(" * 300, "")
    assert [name for name in ("old", "new", "here") if name in memory] == ["here"]
    memory.hold("here", "(", "")
    memory.hold("old", "a" * 40, last_used_s=1)
    assert "old" in memory


def test_compaction_keeps_the_most_useful_documents() -> None:
    memory = NGramModel(Alphabet(KNOWN), max_chars=130)
    memory.hold("held", "a" * 40, last_used_s=2)
    compaction = memory.begin_compaction()
    for name, useful_s in (("late", 3), ("early", 1), ("later", 4)):
        compaction.put(name, "b" * 40, useful_s)
    compaction.sort(memory.max_chars, everything=True)
    memory.finish_compaction(compaction)
    assert [name for name in ("held", "early", "late", "later") if name in memory] == ["held", "late", "later"]
    assert "early" not in memory.merged()[0]  # it was not even sorted


def test_many_segments_need_compaction() -> None:
    memory = NGramModel(Alphabet(KNOWN))
    for i in range(ngram_module.MAX_SEPARATE + 1):
        assert not memory.needs_compaction
        memory.hold(str(i), "ab")
    assert memory.needs_compaction
    memory.compact()
    assert not memory.needs_compaction


def test_concurrent_threads_number_each_character_once() -> None:
    alphabet = Alphabet(KNOWN)
    texts = ["".join(chr(0x400 + (i * step) % 997) for i in range(997)) for step in (1, 5, 11, 500)]
    with ThreadPoolExecutor(len(texts)) as threads:
        symbols = list(threads.map(alphabet.symbols_of, texts))
    assert len(alphabet) == len(KNOWN) + 997
    for text, numbers in zip(texts, symbols, strict=True):
        assert "".join(alphabet.character_of(int(n)) for n in numbers) == text


def test_prepared_document_may_come_from_disk() -> None:
    """The document was opened, and closed before it was prepared."""
    memory = NGramModel(Alphabet(KNOWN))
    memory.drop("x")
    memory.offer("x", "abab" * 9, memory.prepare("x", "abab" * 9))
    compaction = memory.begin_compaction()
    compaction.put("x", "abab" * 9, 1.0)
    compaction.sort()
    memory.finish_compaction(compaction)
    assert "x" in memory


@pytest.mark.parametrize("settled", ["", "ab" * 50, "(b" * 50])
def test_prepared_document_is_not_sorted_again(settled: str) -> None:
    memory = NGramModel(Alphabet(KNOWN))
    if settled:
        memory.hold("x", settled)
        memory.compact()
    with ThreadPoolExecutor(1) as thread:
        segment = thread.submit(memory.prepare, "x", "ab" * 50).result()
    memory.offer("x", "ab" * 50, segment)
    assert ("x" in memory) is bool(settled)  # it is not indexed yet
    memory.hold("x", "ab" * 50, "(")
    assert all(segment.n_bytes for segment, _ in memory.segments())
    assert_predicts(memory, [DOCUMENT_START + "ab" * 50, "("], "abab")
    memory.offer("x", "ab" * 50, segment)  # too late: it was already sorted
    memory.hold("x", "ab" * 50, "(a")
    assert_predicts(memory, [DOCUMENT_START + "ab" * 50, "(a"], "abab")


def test_lower_limit_forgets_at_once() -> None:
    memory = NGramModel(Alphabet("ab"))
    for name in "xyz":
        memory.hold(name, "ab" * 9, last_used_s=ord(name))
    memory.limit(45)
    assert [name in memory for name in "xyz"] == [False, True, True]
    memory.limit(0)
    assert memory.n_chars == 0


def drop_one_by_one(memory: NGramModel, max_chars: int) -> None:
    """The definition of `limit`."""
    while memory.n_chars > max_chars and (others := memory.documents - {"here"}):
        memory.drop(min(others, key=lambda name: memory._last_used_s[name]))


@given(
    st.lists(st.text("ab(\n", max_size=12), max_size=30),
    st.dictionaries(st.integers(0, 35), st.text("ab(\n", max_size=12), max_size=8),
    st.booleans(),
    st.integers(0, 250),
    st.text("ab(\n", max_size=10),
)
def test_lower_limit_equals_dropping_one_by_one(
    merged: list[str], edited: dict[int, str], is_open: bool, max_chars: int, before: str
) -> None:
    """Before and after a compaction that was already running is finished."""
    memory = NGramModel(Alphabet(KNOWN))
    for i, text in enumerate(merged):
        memory.hold(str(i), text, last_used_s=i * 7 % 31)
    memory.compact()
    for i, text in edited.items():
        memory.hold(str(i), text, last_used_s=100 + i * 5 % 37)
    if is_open:
        memory.hold("here", "ab", "a", last_used_s=-1)
    plain, compaction = memory.copy(), memory.begin_compaction()
    plain.begin_compaction()
    memory.limit(max_chars)
    drop_one_by_one(plain, max_chars)
    context = context_of(memory.alphabet, before)
    for is_finished in (False, True):
        if is_finished:
            compaction.sort(everything=True)
            memory.finish_compaction(compaction)
        assert memory.documents == plain.documents
        assert memory.n_chars == plain.n_chars
        assert memory.counts(context, 6).tolist() == plain.counts(context, 6).tolist()
        assert memory.possible().tolist() == plain.possible().tolist()


@pytest.mark.parametrize("max_chars", [4_000, 0])
def test_lower_limit_leaves_few_segments_and_counts_each_document_once(
    max_chars: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if a compaction that was already running brings the dropped documents back."""
    memory, n_counted = NGramModel(Alphabet(KNOWN)), 0
    memory.adopt(
        MergedSegment.sort_all({str(i): symbols_of(memory.alphabet, "ab") for i in range(2_000)}),
        {str(i): i for i in range(2_000)},
    )
    compaction = memory.begin_compaction()

    def count(segment: Segment) -> int:
        nonlocal n_counted
        n_counted += 1
        return len(segment.symbols)

    monkeypatch.setattr(Segment, "__len__", count)
    memory.limit(max_chars)
    assert memory.documents == {str(i) for i in range(2_000 - max_chars // 4, 2_000)}
    assert len(memory.headers()) == (max_chars > 0)
    compaction.sort(everything=True)
    memory.finish_compaction(compaction)
    assert len(memory.documents) == max_chars // 4
    assert len(memory.headers()) == (max_chars > 0)
    assert n_counted < 20_000
