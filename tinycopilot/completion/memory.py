"""WorkspaceMemory: what the code in the open workspace makes likely next.

How often has each character followed the last 3, 4, 5 ... 28 characters, anywhere in the workspace? Longer contexts say
more, and are rarer; each order's prediction leans on the next shorter one as far as it has seen little (absolute
discounting, Ney et al. 1994). What is predicted depends on the documents that are held, and on nothing else.
"""

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.alphabet import Alphabet
from tinycopilot.completion.compiled import compiled
from tinycopilot.completion.contexts import DEPTH, ORDERS, Symbols, subtract_across
from tinycopilot.completion.shelves import Page, Shelf, symbols_of
from tinycopilot.model.tokenizer import DOCUMENT_START

DISCOUNT = 0.7
STRENGTH = 0.3
"""Of the shorter context's prediction: as if it had been seen so often here."""

N_AT_HAND = 8
"""So many of the documents that were looked at last keep pages of their own."""
FEW = 8
"""So many changed documents, if they are no more than one part in so many of all, are not worth sorting all anew."""
MAX_LOOSE = 32
"""And so many pages, counted on or off, are worth it."""


def plain_prediction(texts: Iterable[str], characters: Iterable[str], context: str) -> tuple[dict[str, float], int]:
    """p(next) for each of `characters` and for "", which stands for all others; and the longest order seen.

    The definition. `texts` are the pieces of the documents, `characters` the alphabet.
    """
    texts, characters = list(texts), [*characters, ""]
    p = dict.fromkeys(characters, 1 / len(characters))
    longest = 0
    for order in ORDERS:
        wanted = context[-order:]
        followers = Counter(text[i] for text in texts for i in range(order, len(text)) if text[i - order : i] == wanted)
        if len(wanted) < order or not followers:
            break
        n, u = followers.total(), len(followers)
        p = {
            c: (q * (STRENGTH + DISCOUNT * u) + max(0, followers[c] - DISCOUNT)) / (n + STRENGTH) for c, q in p.items()
        }
        longest = order
    return p, longest


class Settling:
    """A shelf in the making: what was at rest when it was begun, and what is changed since. For one thread, any.

    `WorkspaceMemory.begin` makes one, `finish` takes it; what lies between is work for the background.
    """

    def __init__(
        self, alphabet: Alphabet, settled: Shelf, rest: Mapping[str, Symbols], useful_s: dict[str, float]
    ) -> None:
        self._alphabet = alphabet
        self._settled = settled
        self._rest = rest
        self.useful_s = useful_s
        """When each of them was last of use, in seconds since 1970."""
        self.changes: dict[str, Page | None] = {}
        """By name; None for what is not held any more."""
        self.shelf: Shelf | None = None

    @property
    def n_chars(self) -> int:
        """So many characters are changed."""
        return sum(len(page) for page in self.changes.values() if page is not None)

    def put(self, name: str, text: str, useful_s: float) -> None:
        """Add a document, or change it to this."""
        self.changes[name], self.useful_s[name] = Page(symbols_of(self._alphabet, text)), useful_s

    def drop(self, name: str) -> None:
        """Remove a document, if it is there."""
        self.changes[name] = None

    def sort(self, max_chars: float = math.inf, *, anew: bool = False) -> None:
        """Do the work: sort all of it `anew`, `max_chars` at most, or, if few documents are changed, those alone."""
        if not anew and len(self.changes) <= FEW and self.n_chars * FEW <= len(self._settled):
            for name, page in self.changes.items():
                for sorted_apart in (page, self._settled.page(name)):
                    _ = sorted_apart and sorted_apart.index
        else:
            put = {name: page.symbols for name, page in self.changes.items() if page is not None}
            kept = {name: symbols for name, symbols in self._rest.items() if name not in self.changes}
            self.shelf = Shelf(self._most_useful(kept | put, max_chars))
            _ = self.shelf.index

    def _most_useful(self, documents: dict[str, Symbols], max_chars: float) -> dict[str, Symbols]:
        n_chars = sum(map(len, documents.values()))
        for name in sorted(documents, key=lambda name: self.useful_s[name]):
            if n_chars <= max_chars:
                break
            n_chars -= len(documents.pop(name))
        return documents


class WorkspaceMemory:
    """Holds documents by name, and predicts from them. For one thread; the sorting can be done in another (`begin`).

    Most lie on one shelf, as they were when it was sorted. A document that is not held any more as it was then is
    counted off, and what is held in its place, or since, lies on a page of its own. Those that were looked at last keep
    their pages, and so an edit costs little there.
    """

    def __init__(self, alphabet: Alphabet, max_chars: float = math.inf) -> None:
        """Where more than `max_chars` are held, whole documents are forgotten, those first that were of use last."""
        self.alphabet = alphabet
        self.max_chars = max_chars
        self._settled = Shelf({})
        self._gone: dict[str, Page] = {}
        self._new: dict[str, Page] = {}
        self._at_hand: dict[str, tuple[str, Page]] = {}  # texts and pages of what was looked at; the last one last
        self._cursor: tuple[str, int] | None = None  # in which document it is, and before which character
        self._useful_s: dict[str, float] = {}  # of all that is held
        self._meanwhile: set[str] = set()  # names of what was changed here since `begin`
        self._possible: NDArray[np.bool_] | None = None

    def __contains__(self, name: str) -> bool:
        return name in self._useful_s

    @property
    def n_chars(self) -> int:
        """How many characters are held; each document counts two more."""
        return len(self._settled) - sum(map(len, self._gone.values())) + sum(map(len, self._new.values()))

    @property
    def n_bytes(self) -> int:
        """The memory that its indexes take."""
        return sum(page.n_bytes for page in (self._settled, *self._gone.values(), *self._new.values()))

    @property
    def is_untidy(self) -> bool:
        """Whether it is time to settle: each page costs every prediction a little."""
        return len(self._gone) + len(self._new.keys() - self._at_hand.keys()) > MAX_LOOSE

    def hold(self, name: str, *document: str, useful_s: float | None = None) -> None:
        """Add a document, or change it to this; two pieces are what stands before and after the cursor, which is here.

        It is of use now, if `useful_s` (seconds since 1970) does not say when it was.
        """
        text = "".join(document)
        page = self._page_of(name, text)
        if len(document) > 1:
            self._cursor = (name, len(document[0]))
            self._at_hand.pop(name, None)
        elif self._cursor is not None and self._cursor[0] == name:
            self._cursor = None
        if len(document) > 1 or name in self._at_hand:
            self._at_hand[name] = (text, page)
            if len(self._at_hand) > N_AT_HAND:
                del self._at_hand[next(iter(self._at_hand))]
        self._useful_s[name] = time.time() if useful_s is None else useful_s
        self._change(name, page)
        self._forget()

    def drop(self, name: str) -> None:
        """Remove a document, if it is there."""
        self._useful_s.pop(name, None)
        self._at_hand.pop(name, None)
        if self._cursor is not None and self._cursor[0] == name:
            self._cursor = None
        self._change(name, None)

    def alone(self, name: str) -> "WorkspaceMemory":
        """A memory of one document that is held, as it is now, and of nothing else."""
        memory = WorkspaceMemory(self.alphabet)
        if (page := self._held(name)) is not None:
            memory._new[name], memory._cursor = page, self._cursor
        return memory

    def _held(self, name: str) -> Page | None:
        if name in self._new or name in self._gone:
            return self._new.get(name)
        return self._settled.page(name)

    def _page_of(self, name: str, text: str) -> Page:
        if name in self._at_hand:
            old_text, page = self._at_hand[name]
            return page if text == old_text else page.edited(self.alphabet, old_text, text)
        page = Page(symbols_of(self.alphabet, text))
        settled = self._settled.page(name)
        return settled if settled is not None and np.array_equal(settled.symbols, page.symbols) else page

    def _change(self, name: str, page: Page | None) -> None:
        """Hold this page under that name, or nothing."""
        settled = self._settled.page(name)
        self._new.pop(name, None)
        self._gone.pop(name, None)
        if page is None or settled is None or not np.array_equal(page.symbols, settled.symbols):
            if settled is not None:
                self._gone[name] = settled
            if page is not None:
                self._new[name] = page
        self._meanwhile.add(name)
        self._possible = None

    def _forget(self) -> None:
        here = self._cursor[0] if self._cursor is not None else None
        while self.n_chars > self.max_chars and (others := self._useful_s.keys() - {here}):
            self.drop(min(others, key=lambda name: self._useful_s[name]))

    def begin(self) -> Settling:
        """Begin to settle: to bring all that is held, but for what is at hand, on one shelf. The last one begun counts.

        What is held or dropped before it is finished will stay so.
        """
        self._meanwhile = set(self._at_hand)
        rest = {name: symbols for name, symbols in self._settled.documents.items() if name not in self._gone}
        rest |= {name: page.symbols for name, page in self._new.items()}
        rest = {name: symbols for name, symbols in rest.items() if name not in self._at_hand}
        return Settling(self.alphabet, self._settled, rest, self._useful_s.copy())

    def finish(self, settling: Settling) -> None:
        """Hold what was settled; this takes a moment."""
        mine = {name: self._held(name) for name in self._meanwhile}
        changes = {name: page for name, page in settling.changes.items() if name not in mine}
        if settling.shelf is not None:
            self._settled, self._gone, self._new = settling.shelf, {}, {}
            changes = mine
        for name, page in changes.items():
            self._change(name, page)
        useful_s = settling.useful_s | {name: self._useful_s[name] for name in mine if name in self._useful_s}
        self._useful_s = {name: s for name, s in useful_s.items() if self._held(name) is not None}
        self._possible = None
        self._forget()

    def settle(self) -> None:
        """All of that at once."""
        settling = self.begin()
        settling.sort(anew=True)
        self.finish(settling)

    def predict(self, context: Symbols, possible: NDArray[np.bool_]) -> tuple[NDArray[np.float64], int]:
        """p(next), (A + 1,), by symbol from 1 on, and of all other characters; and the longest order seen.

        `context` is the last DEPTH symbols, or fewer; `possible` says which characters are, as the method of that name.
        """
        counts = np.zeros((len(ORDERS), len(possible)), np.int64)
        for page, sign in self._signed():
            page.index.count(context, counts, sign)
        if self._cursor is not None and (here := self._held(self._cursor[0])) is not None:
            subtract_across(here.symbols, len(DOCUMENT_START) + self._cursor[1], context, counts)
        p, n_seen = interpolated(counts, possible)
        return p, ORDERS[n_seen - 1] if n_seen else 0

    def _signed(self) -> Iterator[tuple[Page, int]]:
        """All pages that are counted, and those that are counted off."""
        if len(self._settled):
            yield self._settled, 1
        yield from ((page, 1) for page in self._new.values())
        yield from ((page, -1) for page in self._gone.values())

    def possible(self) -> NDArray[np.bool_]:
        """Which characters may come next, (A + 1,): the network's, those held, and the one for all others."""
        if self._possible is None:
            n_of = np.zeros(len(self.alphabet) + 1, np.int64)  # of each symbol
            for page, sign in self._signed():
                totals = page.index.totals
                n_of[: len(totals)] += sign * totals
            self._possible = np.append(n_of[1:] > 0, True)
            self._possible[: self.alphabet.n_known] = True
        return self._possible


def context_of(alphabet: Alphabet, before: str) -> Symbols:
    """The last DEPTH symbols of a text up to the cursor."""
    return alphabet.symbols_of((DOCUMENT_START + before[-DEPTH:])[-DEPTH:])


@compiled
def interpolated(counts, possible):  # type: ignore[no-untyped-def]
    """Counts of followers, (n_orders, A + 1) from BREAK on -> p(next), (A + 1,), and how many orders were seen."""
    n_symbols = counts.shape[1]
    p = possible.astype(np.float64) / possible.sum()
    n_seen = 0
    for row in range(len(counts)):
        n, u = 0, 0
        for symbol in range(1, n_symbols):
            n += counts[row, symbol]
            u += counts[row, symbol] > 0
        if n == 0:
            break
        shorter = (STRENGTH + DISCOUNT * u) / (n + STRENGTH)
        for symbol in range(1, n_symbols):
            p[symbol - 1] *= shorter
            if counts[row, symbol] > 0:
                p[symbol - 1] += (counts[row, symbol] - DISCOUNT) / (n + STRENGTH)
        p[n_symbols - 1] *= shorter
        n_seen += 1
    return p, n_seen
