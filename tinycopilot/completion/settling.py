"""Settling: what a WorkspaceMemory holds is brought on one shelf while it is in use. Work for the background."""

import contextlib
import ctypes
import math
from collections.abc import Mapping, Set

from tinycopilot.completion.alphabet import Alphabet
from tinycopilot.completion.contexts import Symbols
from tinycopilot.completion.shelves import Page, Shelf, symbols_of

FEW = 8
"""If no more documents have changed, and no more than one in so many characters, they are sorted alone."""


def give_back() -> None:
    """What was freed goes back to the system, where the C library would keep it for later (GNU's does).

    To settle takes, and frees, more than ten bytes for each character. From any thread; takes milliseconds.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # there may be no such function
        ctypes.CDLL(None).malloc_trim(0)


class Settling:
    """What was at rest when it was begun, and what has changed since. For one thread at a time, any.

    `WorkspaceMemory.begin` makes one; changes may follow, which are files read from disk; then comes `sort`, where the
    time goes; and `WorkspaceMemory.finish` takes it.
    """

    def __init__(
        self,
        alphabet: Alphabet,
        settled: Shelf,
        loose: Mapping[str, Symbols],
        left: Set[str],
        useful_s: dict[str, float],
    ) -> None:
        """`loose` comes upon the shelf; what is in `left` stays, or is gone, from where it is."""
        self._alphabet = alphabet
        self._settled = settled
        self._loose = loose
        self._left = left
        self.useful_s = useful_s
        """When each document was last of use, in seconds since 1970."""
        self.changes: dict[str, Page | None] = {}
        """By name, until they are on the shelf; None for what is not held any more."""
        self.shelf: Shelf | None = None
        """If all was sorted anew: all."""

    @property
    def n_chars(self) -> int:
        """So many characters have changed."""
        return sum(len(page) for page in self.changes.values() if page is not None)

    def put(self, name: str, text: str, useful_s: float) -> None:
        """Add a document, or change it to this."""
        self.changes[name], self.useful_s[name] = Page(symbols_of(self._alphabet, text)), useful_s

    def drop(self, name: str) -> None:
        """Remove a document, if it is there."""
        self.changes[name] = None

    def sort(self, max_chars: float = math.inf, *, anew: bool = False) -> None:
        """Sort all of it `anew`, the `max_chars` of most use at most; or, if little has changed, that alone."""
        if not anew and len(self.changes) <= FEW and self.n_chars * FEW <= len(self._settled):
            for name, page in self.changes.items():
                for sorted_apart in (page, self._settled.page(name)):
                    if sorted_apart is not None:
                        sorted_apart.sort()
        else:
            documents = self._most_useful(max_chars)
            self.changes.clear()
            self.shelf = Shelf(documents)

    def let_go(self) -> None:
        """It is finished: what was at rest before is freed."""
        self._settled, self.shelf = Shelf({}), None
        self._loose, self.changes = {}, {}
        give_back()

    def _most_useful(self, max_chars: float) -> dict[str, Symbols]:
        """All that is to be on the shelf."""
        put = {name: page.symbols for name, page in self.changes.items() if page is not None}
        rest, elsewhere = {**self._settled.documents, **self._loose}, self._left | self.changes.keys()
        documents = {name: symbols for name, symbols in rest.items() if name not in elsewhere} | put
        n_chars = sum(map(len, documents.values()))
        for name in sorted(documents, key=lambda name: self.useful_s[name]):
            if n_chars <= max_chars:
                break
            n_chars -= len(documents.pop(name))
        return documents
