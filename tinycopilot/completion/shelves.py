"""Documents as the memory holds them: each on a Page of its own, or many on one Shelf. Neither ever changes.

Both are for any thread. What takes time is to sort them: a shelf when it is made; a page when it is first counted, or
before that by whoever wants it done in another thread.
"""

import itertools
from collections.abc import Collection, Mapping

import numpy as np

from tinycopilot.completion.alphabet import Alphabet
from tinycopilot.completion.common_prefix import common_prefix_len, common_suffix_len
from tinycopilot.completion.contexts import BREAK, ContextIndex, Header, Symbols
from tinycopilot.model.tokenizer import DOCUMENT_START

NOTHING = np.zeros(0, np.uint16)


def symbols_of(alphabet: Alphabet, text: str) -> Symbols:
    """A document as symbols: begun as all are, and a BREAK at its end."""
    return np.append(alphabet.symbols_of(DOCUMENT_START + text), np.uint16(BREAK))


class Page:
    """A text as symbols; where the cursor is in it, no context reaches over `place`."""

    def __init__(self, symbols: Symbols, index: ContextIndex | None = None, place: int | None = None) -> None:
        self.symbols = symbols
        self.place = place
        self._index = index

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def index(self) -> ContextIndex:
        """Its positions, sorted."""
        if self._index is None:
            self._index = ContextIndex([self.symbols])  # should two threads ask at once, both come to the same
            self.symbols = self._index.symbols  # is kept only once
        return self._index

    def sort(self) -> None:
        """See to it that `index` takes no time."""
        _ = self.index

    @property
    def n_bytes(self) -> int:
        """The memory that its index takes, if there is one yet."""
        return self._index.n_bytes if self._index is not None else 0

    def header(self, sign: int) -> Header:
        """For `count_all`, which adds what it counts in this page `sign` times."""
        return self.index.header(sign, self.place)

    def with_cursor(self, n_before: int) -> "Page":
        """The same text, with the cursor behind so many of its characters."""
        return Page(self.symbols, self.index, n_before + len(DOCUMENT_START))

    @property
    def broken(self) -> Symbols:
        """Its symbols, and a BREAK where the cursor is."""
        return self.symbols if self.place is None else np.insert(self.symbols, self.place, BREAK)

    def edited(self, alphabet: Alphabet, old: str, new: str) -> "Page":
        """The page of the text `new`, where this one is that of `old`: what both begin and end with costs little."""
        head = common_prefix_len(old, new)
        tail = common_suffix_len(old[head:], new[head:])
        start, end = head + len(DOCUMENT_START), len(old) - tail + len(DOCUMENT_START)
        index = self.index.replaced(start, end, alphabet.symbols_of(new[head : len(new) - tail]))
        return Page(index.symbols, index)

    def is_same(self, other: "Page | None") -> bool:
        """Whether it is the same text, and the cursor in the same place."""
        return other is not None and self.place == other.place and np.array_equal(self.symbols, other.symbols)


class Shelf(Page):
    """Documents by name, one after another."""

    def __init__(self, documents: dict[str, Symbols]) -> None:
        """`documents` is emptied: each is held once, here."""
        sizes, pieces = {name: len(symbols) for name, symbols in documents.items()}, list(documents.values())
        documents.clear()
        self._arrange(sizes, ContextIndex(pieces) if pieces else None)

    def _arrange(self, sizes: Mapping[str, int], index: ContextIndex | None) -> None:
        ends = list(itertools.accumulate(sizes.values(), initial=0))
        self._places = dict(zip(sizes, map(slice, ends, ends[1:]), strict=False))
        super().__init__(index.symbols if index is not None else NOTHING, index)
        self._pages: dict[str, Page] = {}

    @classmethod
    def restored(cls, sizes: Mapping[str, int], index: ContextIndex) -> "Shelf":
        """Documents of so many symbols, one after another, that were sorted before. Raises ValueError."""
        if min(sizes.values(), default=1) < 1 or sum(sizes.values()) != len(index):
            raise ValueError("it is damaged: these are no documents")
        shelf = cls.__new__(cls)
        shelf._arrange(sizes, index if sizes else None)
        return shelf

    def part(self, names: Collection[str]) -> "Shelf":
        """Of these documents alone those that are here, without sorting them again."""
        is_kept = np.zeros(len(self), np.bool_)
        sizes = {name: place.stop - place.start for name, place in self._places.items() if name in names}
        for name in sizes:
            is_kept[self._places[name]] = True
        return Shelf.restored(sizes, self.index.part(is_kept)) if sizes else Shelf({})

    def __contains__(self, name: str) -> bool:
        return name in self._places

    @property
    def documents(self) -> dict[str, Symbols]:
        """All of them."""
        return {name: self.symbols[place] for name, place in self._places.items()}

    def page(self, name: str) -> Page | None:
        """One of them alone, if it is here; always the same page."""
        if name not in self._places:
            return None
        return self._pages.setdefault(name, Page(self.symbols[self._places[name]]))
