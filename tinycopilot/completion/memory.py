"""WorkspaceMemory: what the code in the open workspace makes likely next.

How often has each character followed the last 3, 4, 5 ... 28 characters, anywhere in the workspace? Longer contexts say
more, and are rarer; each order's prediction leans on the next shorter one as far as it has seen little (absolute
discounting, Ney et al. 1994). Of each count the square root is taken, since what is written a hundred times in one file
is not a hundred times as likely in another. What is predicted depends on the documents that are held, and on nothing
else.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.alphabet import Alphabet
from tinycopilot.completion.compiled import compiled
from tinycopilot.completion.contexts import BREAK, DEPTH, ORDERS, ContextIndex, Symbols
from tinycopilot.model.tokenizer import DOCUMENT_START

DISCOUNTS = (0.7, 0.65, 0.6, 0.55, 0.5, 0.4, 0.3, 0.25, 0.2)
"""What each order takes from every follower, for the shorter context: less where the context is longer."""
STRENGTH = 0.1
"""Of the shorter context's prediction: as if it had been seen so often here."""
_DISCOUNTS = np.array(DISCOUNTS)

NOTHING = np.zeros(0, np.uint16)

Document = tuple[str, ...]
"""A text in pieces: one, or what stands before the cursor and what stands after it, which does not follow upon that."""


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


class Shelf:
    """Documents by name, one after another in a ContextIndex."""

    def __init__(self, documents: Mapping[str, Symbols] | None = None) -> None:
        self.documents = dict(documents or {})
        self.index = ContextIndex(np.concatenate([NOTHING, *self.documents.values()]))

    def put(self, name: str, symbols: Symbols) -> None:
        """Add a document, or change it; what it begins and ends with as before is left alone."""
        start, old = self._start_of(name), self.documents.get(name, NOTHING)
        head = _n_same(old, symbols)
        tail = _n_same(old[head:][::-1], symbols[head:][::-1])
        if head + tail < max(len(old), len(symbols)):
            self.index.replace(start + head, start + len(old) - tail, symbols[head : len(symbols) - tail])
        self.documents[name] = symbols

    def remove(self, name: str) -> None:
        """Take a document out, if it is here."""
        if name in self.documents:
            self.put(name, NOTHING)
            del self.documents[name]

    def _start_of(self, name: str) -> int:
        """Where a document begins, or would."""
        others = itertools.takewhile(lambda item: item[0] != name, self.documents.items())
        return sum(len(symbols) for _, symbols in others)


class WorkspaceMemory:
    """Holds documents by name, and predicts from them. For one thread; `settle` is where the time goes.

    On three shelves: what was held when it last settled; of that, what is not held any more as it was, whose counts are
    subtracted; and what came instead, or since. An edit costs little there, and so does taking it back.
    """

    def __init__(self, alphabet: Alphabet) -> None:
        self.alphabet = alphabet
        self._settled, self._gone, self._new = Shelf(), Shelf(), Shelf()
        self._n_of = np.zeros(1, np.int64)  # how often each symbol is held

    def __contains__(self, name: str) -> bool:
        return self._held(name) is not None

    def _held(self, name: str) -> Symbols | None:
        return self._new.documents.get(
            name, None if name in self._gone.documents else self._settled.documents.get(name)
        )

    @property
    def n_bytes(self) -> int:
        """The memory that its indexes take."""
        return sum(shelf.index.n_bytes for shelf in (self._settled, self._gone, self._new))

    def hold(self, name: str, *document: str) -> None:
        """Add a document, or change it to this."""
        self._change(name, symbols_of(self.alphabet, document))

    def drop(self, name: str) -> None:
        """Remove a document, if it is there."""
        self._change(name, None)

    def _change(self, name: str, symbols: Symbols | None) -> None:
        before, settled = self._held(name), self._settled.documents.get(name)
        as_settled = settled is not None and symbols is not None and np.array_equal(settled, symbols)
        if settled is not None and not as_settled:
            self._gone.put(name, settled)
        if symbols is None or as_settled:
            self._new.remove(name)
        else:
            self._new.put(name, symbols)
        if as_settled:
            self._gone.remove(name)
        self._tally(before, -1)
        self._tally(symbols, 1)

    def _tally(self, symbols: Symbols | None, sign: int) -> None:
        if symbols is not None:
            n_of = np.bincount(symbols, minlength=len(self._n_of))
            n_of[: len(self._n_of)] = self._n_of + sign * n_of[: len(self._n_of)]
            self._n_of = n_of

    def settle(self) -> None:
        """Sort all that is held anew, after which a prediction looks on one shelf rather than three."""
        names = self._settled.documents | self._new.documents
        held = {name: symbols for name in names if (symbols := self._held(name)) is not None}
        self._settled, self._gone, self._new = Shelf(held), Shelf(), Shelf()

    def predict(self, context: Symbols, possible: NDArray[np.bool_]) -> tuple[NDArray[np.float64], int]:
        """p(next), (A + 1,), by symbol from 1 on, and of all other characters; and the longest order seen.

        `context` is the last DEPTH symbols, or fewer; `possible` says which characters are, as the method of that name.
        """
        counts = np.zeros((len(ORDERS), len(self.alphabet) + 1), np.int64)
        for shelf, sign in ((self._settled, 1), (self._new, 1), (self._gone, -1)):
            if shelf.documents:
                shelf.index.count(context, counts, sign)
        p, n_seen = interpolated(counts, possible, _DISCOUNTS)
        return p, ORDERS[n_seen - 1] if n_seen else 0

    def possible(self) -> NDArray[np.bool_]:
        """Which characters may come next, (A + 1,): the network's, those held, and the one for all others."""
        possible = np.zeros(len(self.alphabet) + 1, bool)
        n = min(len(self._n_of), len(possible))
        possible[: n - 1] = self._n_of[1:n] > 0
        possible[: self.alphabet.n_known] = True
        possible[-1] = True
        return possible


def symbols_of(alphabet: Alphabet, document: Document) -> Symbols:
    """A document as symbols: begun as all are, with a BREAK between two pieces and at the end."""
    pieces = [alphabet.symbols_of(DOCUMENT_START + document[0]), *map(alphabet.symbols_of, document[1:])]
    return np.concatenate([part for piece in pieces for part in (piece, np.array([BREAK], np.uint16))])


def context_of(alphabet: Alphabet, before: str) -> Symbols:
    """The last DEPTH symbols of a text up to the cursor."""
    return alphabet.symbols_of((DOCUMENT_START + before)[-DEPTH:])


def _n_same(some: Symbols, others: Symbols) -> int:
    """With how many symbols both begin."""
    n = min(len(some), len(others))
    differ = some[:n] != others[:n]
    return int(differ.argmax()) if differ.any() else n


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
