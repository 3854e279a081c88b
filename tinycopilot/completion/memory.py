"""WorkspaceMemory: what the code in the open workspace makes likely next.

How often has each character followed the last 3, 4, 5 ... 28 characters, anywhere in the workspace? Longer contexts say
more, and are rarer; each order's prediction leans on the next shorter one as far as it has seen little (absolute
discounting, Ney et al. 1994). Of each count the square root is taken, since what is written a hundred times in one file
is not a hundred times as likely in another. What is predicted depends on the documents that are held, and on nothing
else.
"""

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.alphabet import Alphabet
from tinycopilot.completion.compiled import compiled
from tinycopilot.completion.contexts import DEPTH, ORDERS, Symbols, count_all
from tinycopilot.completion.settling import Settling
from tinycopilot.completion.shelves import Page, Shelf, symbols_of
from tinycopilot.masking import MASK
from tinycopilot.model.tokenizer import DOCUMENT_START

DISCOUNTS = (0.7, 0.65, 0.6, 0.55, 0.5, 0.4, 0.3, 0.25, 0.2)
"""What each order takes from every follower, for the shorter context: less where the context is longer."""
STRENGTH = 0.1
"""Of the shorter context's prediction: as if it had been seen so often here."""
_DISCOUNTS = np.array(DISCOUNTS)

Document = tuple[str, ...]
"""A text in pieces: one, or what stands before the cursor and what stands after it, which does not follow upon that."""

N_AT_HAND = 4
"""So many of the documents that were looked at last keep pages of their own."""
MAX_LOOSE = 8
"""So many other pages, counted on or off, may lie about."""


def plain_prediction(texts: Iterable[str], characters: Iterable[str], context: str) -> tuple[dict[str, float], int]:
    """p(next) for each of `characters` and for "", which stands for all others; and the longest order seen.

    The definition. `texts` are the pieces of the documents, `characters` the alphabet.
    """
    texts, characters = list(texts), [*characters, ""]
    p = dict.fromkeys(characters, 1 / len(characters))
    longest = 0
    for order, discount in zip(ORDERS, DISCOUNTS, strict=True):
        wanted = context[-order:]
        followers = Counter(text[i] for text in texts for i in range(order, len(text)) if text[i - order : i] == wanted)
        if len(wanted) < order or not followers:
            break
        seen = {c: math.sqrt(n) for c, n in followers.items()}
        n, given = sum(seen.values()), discount * len(seen)
        p = {c: (q * (STRENGTH + given) + max(0, seen.get(c, 0) - discount)) / (n + STRENGTH) for c, q in p.items()}
        longest = order
    return p, longest


class WorkspaceMemory:
    """Holds documents by name, and predicts from them. For one thread; the sorting can be done in another (`begin`).

    Most lie on one shelf, as they were when it was sorted. A document that is not held any more as it was then is
    counted off, and what is held in its place, or since, lies on a page of its own. Those that were looked at last keep
    their pages, and so an edit costs little there.
    """

    def __init__(self, alphabet: Alphabet, max_chars: float = math.inf) -> None:
        """Beyond `max_chars`, whole documents are forgotten: first those whose last use is longest ago."""
        self.alphabet = alphabet
        self.max_chars = max_chars
        self._settled = Shelf({})
        self._gone: dict[str, Page] = {}
        self._new: dict[str, Page] = {}
        self._at_hand: dict[str, tuple[str, Page]] = {}  # texts and pages of what was looked at, the last one last
        self._useful_s: dict[str, float] = {}  # of all that is held
        self._meanwhile: set[str] = set()  # names of what was changed here since `begin`
        self._possible: NDArray[np.bool_] | None = None
        self._headers: NDArray[np.int64] | None = None  # of the pages as they are, which is kept until they change
        self.edition = 0
        """How often something has changed but the document that was looked at last."""
        self.n_left = 0
        """How often a document was there, and then was not."""

    def __contains__(self, name: str) -> bool:
        return name in self._new or (name in self._settled and name not in self._gone)

    @property
    def n_chars(self) -> int:
        """How many characters are held; a document counts two or three more."""
        return len(self._settled) - sum(map(len, self._gone.values())) + sum(map(len, self._new.values()))

    @property
    def n_bytes(self) -> int:
        """The memory that its indexes take."""
        return sum(page.n_bytes for page, _ in self._signed())

    @property
    def is_untidy(self) -> bool:
        """Whether it is time to settle: each page costs every prediction a little."""
        return len(self._gone) + len(self._new.keys() - self._at_hand.keys()) > MAX_LOOSE

    def hold(self, name: str, *document: str, useful_s: float | None = None) -> None:
        """Add a document, or change it to this; in two pieces, it is looked at.

        It is of use now, if `useful_s` (seconds since 1970) does not say when it was.
        """
        text, is_looked_at = "".join(document), len(document) > 1
        page = self._page_of(name, text)
        self.edition += name != self._here
        if is_looked_at:
            self._at_hand.pop(name, None)  # to be the last
        if is_looked_at or name in self._at_hand:
            self._keep_at_hand(name, text, page)
        self._useful_s[name] = time.time() if useful_s is None else useful_s
        self._change(name, page.with_cursor(len(document[0])) if is_looked_at else page)
        self._forget()

    def limit(self, max_chars: float) -> None:
        """Hold so many characters at most, from now on."""
        self.max_chars = max_chars
        self._forget()

    def drop(self, name: str) -> bool:
        """Remove a document; whether it was there."""
        was_there = name in self
        self._useful_s.pop(name, None)
        self._at_hand.pop(name, None)
        self._meanwhile.add(name)
        if was_there:
            self.edition += 1
            self.n_left += 1
            self._change(name, None)
        return was_there

    def alone(self, name: str) -> "WorkspaceMemory":
        """A memory of one document, as it is held now, and of nothing else."""
        memory = WorkspaceMemory(self.alphabet)
        if (page := self._held(name)) is not None:
            memory._new[name] = page
        return memory

    def _held(self, name: str) -> Page | None:
        if name in self._new or name in self._gone:
            return self._new.get(name)
        return self._settled.page(name)

    def prepare(self, name: str, text: str) -> Page:
        """What takes time before a long document can be looked at. For any thread; `offer` it to this one then."""
        page, settled = Page(symbols_of(self.alphabet, text)), self._settled.page(name)
        if settled is not None:
            page = settled if settled.is_same(page) else page
            settled.sort()  # it will be counted off
        page.sort()
        return page

    def offer(self, name: str, text: str, page: Page) -> None:
        """A page that was prepared: from now on it costs little to hold that document, or an edit of it."""
        if name not in self._at_hand:
            self._at_hand = {name: (text, page)} | self._at_hand  # it was not looked at yet

    def _page_of(self, name: str, text: str) -> Page:
        """The page of a text, from what is there of it."""
        if name in self._at_hand:
            old_text, page = self._at_hand[name]
            return page if text == old_text else page.edited(self.alphabet, old_text, text)
        page, settled = Page(symbols_of(self.alphabet, text)), self._settled.page(name)
        return settled if settled is not None and settled.is_same(page) else page

    def _keep_at_hand(self, name: str, text: str, page: Page) -> None:
        self._at_hand[name] = (text, page)
        if len(self._at_hand) > N_AT_HAND:
            del self._at_hand[next(iter(self._at_hand))]

    def _change(self, name: str, page: Page | None) -> None:
        """Hold this page under that name, or nothing."""
        settled = self._settled.page(name)
        self._new.pop(name, None)
        self._gone.pop(name, None)
        if page is None or not page.is_same(settled):
            if settled is not None:
                self._gone[name] = settled
            if page is not None:
                self._new[name] = page
        self._meanwhile.add(name)
        self._possible = self._headers = None

    @property
    def _here(self) -> str | None:
        """The document that was looked at last."""
        return next(reversed(self._at_hand), None)

    def _forget(self) -> None:
        while self.n_chars > self.max_chars and (others := self._useful_s.keys() - {self._here}):
            self.drop(min(others, key=lambda name: self._useful_s[name]))

    def at_rest(self) -> tuple[Shelf, dict[str, float]]:
        """What is settled and still held as it was then: a shelf, and when those of its documents were last of use."""
        names = [name for name in self._settled.documents if name not in self._gone]
        return self._settled, {name: self._useful_s[name] for name in names}

    def adopt(self, shelf: Shelf, useful_s: Mapping[str, float]) -> None:
        """Hold what was at rest in another session; what is held already stays as it is.

        Raises ValueError where anything is settled.
        """
        if len(self._settled):
            raise ValueError("something is settled already")
        self._settled, self._useful_s = shelf, {**useful_s, **self._useful_s}
        for name, page in list(self._new.items()):
            self._change(name, page)  # counts off what the shelf has of that name
        self._possible = self._headers = None
        self.edition += 1
        self._forget()

    def begin(self) -> Settling:
        """Begin to settle: to bring all that is held, but for what is at hand, on one shelf. The last one begun counts.

        What is held or dropped here from now on will stay so.
        """
        self._meanwhile = {name for name in self._at_hand if name in self}
        loose = {name: page.broken for name, page in self._new.items()}
        left = self._meanwhile | (self._gone.keys() - loose.keys())
        return Settling(self.alphabet, self._settled, loose, left, self._useful_s.copy())

    def finish(self, settling: Settling) -> None:
        """Hold what was settled; this takes a moment."""
        mine = {name: self._held(name) for name in self._meanwhile}
        changes = {name: page for name, page in settling.changes.items() if name not in mine}
        if settling.shelf is not None:
            self._settled, self._gone, self._new = settling.shelf, {}, {}
            changes = mine
        for name, page in changes.items():
            self._change(name, page)
        before = self._useful_s.keys()
        useful_s = settling.useful_s | {name: self._useful_s[name] for name in mine if name in self._useful_s}
        self._useful_s = {name: s for name, s in useful_s.items() if name in self}
        self.n_left += not before <= self._useful_s.keys()
        self._possible = self._headers = None
        self.edition += 1
        self._forget()
        settling.let_go()

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
        if len(headers := self._all_headers()):
            count_all(headers, context, counts)
        p, n_seen = interpolated(counts, possible, _DISCOUNTS)
        return p, ORDERS[n_seen - 1] if n_seen else 0

    def _signed(self) -> Iterator[tuple[Page, int]]:
        """All pages that are counted, and those that are counted off."""
        if len(self._settled):
            yield self._settled, 1
        yield from ((page, 1) for page in self._new.values())
        yield from ((page, -1) for page in self._gone.values())

    def _all_headers(self) -> NDArray[np.int64]:
        if self._headers is None:
            self._headers = np.array([page.header(sign) for page, sign in self._signed()], np.int64)
        return self._headers

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
    """The last DEPTH symbols of a text up to the cursor, or those after the last masked secret."""
    return alphabet.symbols_of((DOCUMENT_START + before[-DEPTH:])[-DEPTH:].rpartition(MASK)[2])


@compiled
def interpolated(counts, possible, discounts):  # type: ignore[no-untyped-def]
    """Counts of followers, (n_orders, A + 1) from BREAK on -> p(next), (A + 1,), and how many orders were seen."""
    n_symbols = counts.shape[1]
    p = possible.astype(np.float64) / possible.sum()
    n_seen = 0
    for row in range(len(counts)):
        n, u = 0.0, 0
        for symbol in range(1, n_symbols):
            if counts[row, symbol] > 0:
                n += math.sqrt(counts[row, symbol])
                u += 1
        if u == 0:
            break
        shorter = (STRENGTH + discounts[row] * u) / (n + STRENGTH)
        for symbol in range(1, n_symbols):
            p[symbol - 1] *= shorter
            if counts[row, symbol] > 0:
                p[symbol - 1] += (math.sqrt(counts[row, symbol]) - discounts[row]) / (n + STRENGTH)
        p[n_symbols - 1] *= shorter
        n_seen += 1
    return p, n_seen
