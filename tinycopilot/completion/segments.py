"""Documents as symbols: alphabet, index segments, and their compaction (as in Lucene and log-structured merge trees).

A Segment is one document and its suffix array; a MergedSegment is many documents in one suffix array. Both are
immutable, and may be used from any thread. Sorting is the expensive step: a merged segment is sorted when it is made, a
segment when it is first counted, or earlier by a call of `sort` in another thread.
"""

import contextlib
import ctypes
import itertools
import math
import threading
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.request import common_prefix_len, common_suffix_len
from tinycopilot.completion.suffix_array import BREAK, Header, SuffixArray, Symbols, padded
from tinycopilot.files.masking import MASK
from tinycopilot.model.tokenizer import DOCUMENT_START

N_CODE_POINTS = 0x110000
MAX_CHARACTERS = 2**16 - 2
"""Further characters share the last number."""


class Alphabet:
    """Maps characters to symbols, from 1 on, and back. MASK is BREAK: no context crosses it.

    A new character gets the next number, which never changes. Thread-safe.
    """

    def __init__(self, known: str) -> None:
        self.n_known = len(known)
        self._characters = list(known)
        self._symbol_of = np.zeros(N_CODE_POINTS, np.uint16)
        self._symbol_of[_code_points(known)] = np.arange(1, len(known) + 1)
        self._growing = threading.Lock()

    def __len__(self) -> int:
        return len(self._characters)

    @property
    def met(self) -> str:
        """The characters that are not in the network's alphabet, in the order of their symbols."""
        return "".join(self._characters[self.n_known :])

    def symbols_of(self, text: str) -> Symbols:
        """The symbols of a text; lone surrogates are allowed."""
        points = _code_points(text)
        symbols = self._symbol_of[points]
        if (new := symbols == BREAK).any() and (unknown := np.setdiff1d(points[new], ord(MASK))).size:
            with self._growing:
                for point in unknown:
                    self._add(point)
            symbols = self._symbol_of[points]
        return symbols

    def _add(self, point: int) -> None:
        if self._symbol_of[point] == BREAK:  # unless another thread has just added it
            if len(self) < MAX_CHARACTERS:
                self._characters.append(chr(point))
            self._symbol_of[point] = len(self)

    def symbol_of(self, character: str) -> int:
        """The symbol of a character; BREAK if it is new."""
        return int(self._symbol_of[ord(character)])

    def character_of(self, symbol: int) -> str:
        """The character of a symbol."""
        return self._characters[symbol - 1]


def _code_points(text: str) -> "np.ndarray[tuple[int], np.dtype[np.uint32]]":
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


MAX_SEPARATE = 8
"""Up to this many changed documents, together at most 1/8 of the merged ones, are sorted separately."""

NOTHING = np.zeros(0, np.uint16)


def symbols_of(alphabet: Alphabet, text: str) -> Symbols:
    """A document as symbols: DOCUMENT_START, its text, and a BREAK at its end."""
    return np.append(alphabet.symbols_of(DOCUMENT_START + text), np.uint16(BREAK))


class Segment:
    """One document as symbols. `cursor`: offset of the cursor if it is in this document; no context extends over it."""

    def __init__(self, symbols: Symbols, index: SuffixArray | None = None, cursor: int | None = None) -> None:
        self.symbols = symbols
        self.cursor = cursor
        self._index = index

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def index(self) -> SuffixArray:
        """The suffix array, sorted at the first call."""
        if self._index is None:
            self._index = SuffixArray(padded([self.symbols]))  # two threads that call it at once get the same result
            self.symbols = self._index.symbols  # stored only once
        return self._index

    def sort(self) -> None:
        """Compute the suffix array now."""
        _ = self.index

    @property
    def n_bytes(self) -> int:
        """Memory of the suffix array, in bytes; 0 before it is sorted."""
        return self._index.n_bytes if self._index is not None else 0

    def header(self, sign: int) -> Header:
        """This segment's row for the compiled functions of distribution.py; its counts are multiplied by `sign`."""
        return self.index.header(sign, self.cursor)

    def with_cursor(self, n_before: int) -> "Segment":
        """Return a segment of the same text, with the cursor after its first `n_before` characters."""
        return Segment(self.symbols, self.index, n_before + len(DOCUMENT_START))

    @property
    def broken(self) -> Symbols:
        """The symbols, with a BREAK inserted at the cursor."""
        return self.symbols if self.cursor is None else np.insert(self.symbols, self.cursor, BREAK)

    def edited(self, alphabet: Alphabet, old: str, new: str) -> "Segment":
        """Return the segment of the text `new`, where this one is of the text `old`; only the difference is sorted."""
        head = common_prefix_len(old, new)
        tail = common_suffix_len(old[head:], new[head:])
        start, end = head + len(DOCUMENT_START), len(old) - tail + len(DOCUMENT_START)
        index = self.index.replaced(start, end, alphabet.symbols_of(new[head : len(new) - tail]))
        return Segment(index.symbols, index)

    def is_same(self, other: "Segment | None") -> bool:
        """Whether text and cursor are equal."""
        return other is not None and self.cursor == other.cursor and np.array_equal(self.symbols, other.symbols)


class MergedSegment(Segment):
    """Several documents, by name, concatenated in one suffix array."""

    def __init__(self, sizes: Mapping[str, int], index: SuffixArray | None) -> None:
        """`sizes`: number of symbols of each document, in the order of the text of `index`. Raises ValueError."""
        symbols = index.symbols if index is not None else NOTHING
        if min(sizes.values(), default=1) < 1 or sum(sizes.values()) != len(symbols):
            raise ValueError("damaged: wrong document sizes")
        super().__init__(symbols, index)
        ends = list(itertools.accumulate(sizes.values(), initial=0))
        self._slices = dict(zip(sizes, map(slice, ends, ends[1:]), strict=False))
        self._segments: dict[str, Segment] = {}

    @classmethod
    def sort_all(cls, documents: Mapping[str, Symbols]) -> "MergedSegment":
        """Return a segment of `documents`, name -> symbols; sorts all of them."""
        return cls(
            {name: len(symbols) for name, symbols in documents.items()}, SuffixArray(padded(list(documents.values())))
        )

    def part(self, names: Set[str]) -> "MergedSegment":
        """Return a merged segment of only the documents in `names`, without sorting again."""
        documents, positions = self.arrays_of(names)
        if not documents:
            return NO_DOCUMENTS
        index = SuffixArray.restored(padded([*documents.values()]), np.concatenate([*positions]))
        return MergedSegment({name: len(symbols) for name, symbols in documents.items()}, index)

    def arrays_of(self, names: Set[str]) -> tuple[dict[str, Symbols], Iterator[NDArray[np.int32]]]:
        """The documents in `names`, as views, and the sorted positions of `part(names)`, in pieces: no large copies."""
        documents = {name: symbols for name, symbols in self.documents.items() if name in names}
        slices = [self._slices[name] for name in documents]
        return documents, self.index.positions_in(slices) if slices else iter(())

    def __contains__(self, name: str) -> bool:
        return name in self._slices

    @property
    def documents(self) -> dict[str, Symbols]:
        """Name -> symbols of each document, as views."""
        return {name: self.symbols[place] for name, place in self._slices.items()}

    def segment(self, name: str) -> Segment | None:
        """One document as a segment, always the same object; None if there is no document of that name."""
        if name not in self._slices:
            return None
        return self._segments.setdefault(name, Segment(self.symbols[self._slices[name]]))


NO_DOCUMENTS = MergedSegment({}, None)


def release_memory() -> None:
    """Return freed memory to the system, which glibc would keep. Thread-safe; takes milliseconds.

    A compaction allocates and frees more than ten bytes per character.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # other C libraries have no such function
        ctypes.CDLL(None).malloc_trim(0)


@dataclass
class Compaction:
    """Merges the segments of an NGramModel while the model stays in use. Use it in one thread at a time.

    `NGramModel.begin_compaction` creates it; `put` and `drop` report changed files; `sort` merges;
    `NGramModel.finish_compaction` installs the result.
    """

    alphabet: Alphabet
    before: MergedSegment
    """The merged segment at the start."""
    separate: Mapping[str, Symbols]
    """Documents with segments of their own, which are to be merged."""
    excluded: Set[str]
    """Names of documents that keep their own segments, or are dropped."""
    last_used_s: dict[str, float]
    """When each document was last used, in seconds since 1970."""
    changes: dict[str, Segment | None] = field(default_factory=dict)
    """Documents added, replaced or (None) dropped since the last merge."""
    merged: MergedSegment | None = None
    """The result, if everything was sorted."""

    def put(self, name: str, text: str, last_used_s: float) -> None:
        """Add a document, or replace it."""
        self.changes[name], self.last_used_s[name] = Segment(symbols_of(self.alphabet, text)), last_used_s

    def drop(self, name: str) -> None:
        """Remove a document, if there is one of that name."""
        self.changes[name] = None

    def sort(self, max_chars: float = math.inf, *, everything: bool = False) -> None:
        """Merge the most recently used documents, up to `max_chars` characters.

        If few documents have changed, sort only these, separately; unless `everything`.
        """
        n_changed = sum(len(segment) for segment in self.changes.values() if segment is not None)
        if everything or len(self.changes) > MAX_SEPARATE or n_changed * MAX_SEPARATE > len(self.before):
            sizes, symbols = self._most_recent(max_chars)
            self.changes.clear()
            self.merged = MergedSegment(sizes, SuffixArray(symbols))
            return
        for name, segment in self.changes.items():
            for changed in (segment, self.before.segment(name)):
                if changed is not None:
                    changed.sort()

    def release(self) -> None:
        """Drop all references to segments after the compaction is finished."""
        self.before, self.merged = NO_DOCUMENTS, None
        self.separate, self.changes = {}, {}
        release_memory()

    def _most_recent(self, max_chars: float) -> tuple[dict[str, int], Symbols]:
        """Sizes and padded symbols of the documents to merge."""
        put = {name: segment.symbols for name, segment in self.changes.items() if segment is not None}
        rest, elsewhere = {**self.before.documents, **self.separate}, self.excluded | self.changes.keys()
        documents = {name: symbols for name, symbols in rest.items() if name not in elsewhere} | put
        n_chars = sum(map(len, documents.values()))
        for name in sorted(documents, key=lambda name: self.last_used_s[name]):
            if n_chars <= max_chars:
                break
            n_chars -= len(documents.pop(name))
        return {name: len(symbols) for name, symbols in documents.items()}, padded(list(documents.values()))
