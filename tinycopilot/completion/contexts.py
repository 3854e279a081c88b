"""ContextIndex: every position of a text, sorted by what stands before it.

Equal contexts stand side by side, the longer ones inside the shorter ones, and so what has followed a context, of
whatever length, is one slice of the sorted positions. (It is a suffix array of the text read backwards, Manber and
Myers 1990; its column of next characters is the Burrows-Wheeler transform.) Eight bytes a character, no object each,
and an edit sorts only the positions whose context it touches.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.compiled import compiled

Symbols = NDArray[np.uint16]
"""A text as numbers: BREAK, or what an Alphabet calls its characters."""

BREAK: Final = 0
"""Between two documents, and where the cursor is: no context reaches over it."""
DEPTH: Final = 32
"""Positions are sorted by so many symbols before them, and then by where they are."""
ORDERS: Final = (3, 4, 5, 6, 8, 11, 15, 20, 28)
"""How long the contexts are whose followers are counted."""
STRIDE: Final = 1024
"""For every so many sorted positions, it is kept how often each symbol has followed until there."""
_ORDERS = np.array(ORDERS)
_INSERTION: Final = 12  # as few positions are sorted by insertion


class ContextIndex:
    """What follows each context in a text that can be edited."""

    def __init__(self, symbols: Symbols) -> None:
        self._symbols = np.concatenate((np.full(DEPTH, BREAK, np.uint16), symbols))  # so that each has a context
        self._positions = _sorted(self._symbols, np.flatnonzero(self._symbols != BREAK).astype(np.int32))
        self._count()

    def _count(self) -> None:
        self._next = self._symbols[self._positions]
        n_symbols = int(self._next.max(initial=0)) + 1
        self._until = _counts_until(self._next, n_symbols)  # (n / STRIDE + 1, n_symbols)

    def __len__(self) -> int:
        return len(self._symbols) - DEPTH

    @property
    def symbols(self) -> Symbols:
        """The text."""
        return self._symbols[DEPTH:]

    @property
    def n_bytes(self) -> int:
        """The memory that it takes."""
        return self._symbols.nbytes + self._positions.nbytes + self._next.nbytes + self._until.nbytes

    def replace(self, start: int, end: int, new: Symbols) -> None:
        """Put `new` in the place of the text from `start` to `end`."""
        start, end = start + DEPTH, end + DEPTH
        self._symbols = np.concatenate((self._symbols[:start], new, self._symbols[end:]))
        touched = np.arange(start, min(start + len(new) + DEPTH, len(self._symbols)), dtype=np.int32)
        touched = _sorted(self._symbols, touched[self._symbols[touched] != BREAK])
        untouched = _without(self._positions, start, end + DEPTH, len(new) - (end - start))
        self._positions = _merged(self._symbols, untouched, touched)
        self._count()

    def count(self, context: Symbols, counts: NDArray[np.int64], sign: int = 1) -> None:
        """Add to row i of `counts`, (len(ORDERS), n), how often each symbol followed ORDERS[i] ones, `sign` times.

        `context` is at most DEPTH symbols, none of them a BREAK; where it is shorter than an order, or was never seen,
        nothing is added to that row or the ones below.
        """
        _add_counts(self._symbols, self._positions, self._next, self._until, context, _ORDERS, counts, sign)


@compiled
def _comes_before(symbols, a, b):  # type: ignore[no-untyped-def]
    """Whether the position `a` is sorted before `b`."""
    for depth in range(1, DEPTH + 1):
        if symbols[a - depth] != symbols[b - depth]:
            return symbols[a - depth] < symbols[b - depth]
    return a < b


@compiled
def _sorted(symbols, positions):  # type: ignore[no-untyped-def]
    """`positions`, in place, by what stands before them: multikey quicksort (Bentley and Sedgewick 1997)."""
    pending = [(0, len(positions), 1)]
    while pending:
        low, high, depth = pending.pop()
        if high - low <= _INSERTION:
            for i in range(low + 1, high):
                position, j = positions[i], i
                while j > low and _comes_before(symbols, position, positions[j - 1]):
                    positions[j] = positions[j - 1]
                    j -= 1
                positions[j] = position
        elif depth > DEPTH:
            positions[low:high].sort()
        else:
            pivot = symbols[positions[(low + high) // 2] - depth]
            smaller, here, larger = low, low, high
            while here < larger:
                position = positions[here]
                symbol = symbols[position - depth]
                if symbol < pivot:
                    positions[here], positions[smaller] = positions[smaller], position
                    smaller += 1
                    here += 1
                elif symbol > pivot:
                    larger -= 1
                    positions[here], positions[larger] = positions[larger], position
                else:
                    here += 1
            pending.append((low, smaller, depth))
            pending.append((smaller, larger, depth + 1))
            pending.append((larger, high, depth))
    return positions


@compiled
def _without(positions, start, end, shift):  # type: ignore[no-untyped-def]
    """`positions`, but for those from `start` to `end`; those after it are moved by `shift`."""
    kept = np.empty_like(positions)
    n = 0
    for position in positions:
        if position < start:
            kept[n] = position
            n += 1
        elif position >= end:
            kept[n] = position + shift
            n += 1
    return kept[:n]


@compiled
def _merged(symbols, many, few):  # type: ignore[no-untyped-def]
    """Two sorted rows of positions as one: each of the `few` is looked up among the `many`."""
    merged = np.empty(len(many) + len(few), many.dtype)
    done = 0
    for i, position in enumerate(few):
        low, high = done, len(many)
        while low < high:
            middle = (low + high) // 2
            if _comes_before(symbols, many[middle], position):
                low = middle + 1
            else:
                high = middle
        merged[done + i : low + i] = many[done:low]
        merged[low + i] = position
        done = low
    merged[done + len(few) :] = many[done:]
    return merged


@compiled
def _counts_until(following, n_symbols):  # type: ignore[no-untyped-def]
    """Row i: how often each symbol is among the first i * STRIDE of `following`."""
    until = np.zeros((len(following) // STRIDE + 1, n_symbols), np.int32)
    for row in range(1, len(until)):
        until[row] = until[row - 1]
        for i in range((row - 1) * STRIDE, row * STRIDE):
            until[row, following[i]] += 1
    return until


@compiled
def _bound(symbols, positions, low, high, context, known, order, after):  # type: ignore[no-untyped-def]
    """The first of positions[low:high] whose context is not before (`after`: is after) the last `order` of `context`.

    Of all of them, the last `known` symbols are those of `context`.
    """
    n = len(context)
    while low < high:
        middle = (low + high) // 2
        position, goes_on = positions[middle], after
        for depth in range(known + 1, order + 1):
            symbol, wanted = symbols[position - depth], context[n - depth]
            if symbol != wanted:
                goes_on = symbol < wanted
                break
        if goes_on:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _add_counts(symbols, positions, following, until, context, orders, counts, sign):  # type: ignore[no-untyped-def]
    """What `ContextIndex.count` does."""
    low, high, known = 0, len(positions), 0
    for row, order in enumerate(orders):
        if order > len(context):
            return
        low = _bound(symbols, positions, low, high, context, known, order, False)
        high = _bound(symbols, positions, low, high, context, known, order, True)
        if low == high:
            return
        known = order
        first, last = -(-low // STRIDE), high // STRIDE  # whole strides between them
        if first >= last:
            for i in range(low, high):
                counts[row, following[i]] += sign
        else:
            for i in range(low, first * STRIDE):
                counts[row, following[i]] += sign
            for i in range(last * STRIDE, high):
                counts[row, following[i]] += sign
            for symbol in range(until.shape[1]):
                counts[row, symbol] += sign * (until[last, symbol] - until[first, symbol])
