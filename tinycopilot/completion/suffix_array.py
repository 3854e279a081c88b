"""SuffixArray: every position of a text, sorted by the characters before it.

Equal contexts are adjacent, whatever their length, so the positions after a context are one slice. (This is the suffix
array of the reversed text, Manber and Myers 1990; the column of next characters is the Burrows-Wheeler transform.)
Memory: eight bytes per character. An edit sorts only the positions whose context changes.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.compiled import compiled

Symbols = NDArray[np.uint16]
"""A text as symbols: BREAK, or an Alphabet's number of a character."""

BREAK: Final = 0
"""Separates documents, and the text before and after the cursor: no context extends over it."""
RARE: Final = 255
"""In the column of next characters, one byte each, this stands for all symbols from here on."""
DEPTH: Final = 32
"""Positions are sorted by this many preceding symbols (at least the longest of ORDERS), then by position."""
ORDERS: Final = (3, 4, 5, 6, 8, 11, 15, 20, 28)
"""Lengths of the contexts that are counted."""
STRIDE: Final = 1024
"""Interval, in sorted positions, of the table of cumulative counts; longer for large alphabets."""
SHORT_STRIDE: Final = 128
"""The interval for texts of at most LONG symbols; shorter, since each text adds to the time of a prediction."""
LONG: Final = 100_000
PIECE_LEN: Final = 2**15
"""Number of positions that `SuffixArray.positions_in` returns at a time."""
_SEARCH_COST: Final = 8  # cost of finding a position by bisection, relative to sorting it


Header = tuple[int, ...]
"""Addresses, sizes and sign of a suffix array, for compiled functions. HEADER_LEN numbers."""
HEADER_LEN: Final = 11


def padded(pieces: list[Symbols]) -> Symbols:
    """Join the pieces, after DEPTH BREAKs, so that every position has a context of full length."""
    return np.concatenate((np.full(DEPTH, BREAK, np.uint16), *pieces))


class SuffixArray:
    """The symbols that follow each context in a text. Immutable and thread-safe: an edit returns a new one."""

    def __init__(
        self, symbols: Symbols, positions: NDArray[np.int32] | None = None, following: NDArray[np.uint8] | None = None
    ) -> None:
        """Sort `symbols`, a text as `padded` returns it, unless the sorted `positions` are known.

        `following`: the symbols at these positions, or RARE, if they are known, too.
        """
        if positions is None:
            positions = _sorted(symbols, _positions_in(symbols, 0, len(symbols)))
        self._symbols = symbols
        self.positions = positions
        """The sorted positions, counted from the start of the padding."""
        self._next = _following(symbols, positions) if following is None else following
        n_symbols = int(symbols.max()) + 1
        # the table takes about one byte per character in long texts, two in short ones, and two rows each
        self._stride = max(STRIDE, 4 * n_symbols) if len(self) > LONG else max(SHORT_STRIDE, 2 * n_symbols)
        self._until = _counts_until(symbols, positions, self._next, self._stride, n_symbols)
        arrays = (self._symbols, self.positions, self._next, self._until)
        sizes = (len(self._symbols), len(self.positions), *self._until.shape, self._stride)
        self._header = (*(array.ctypes.data for array in arrays), *sizes)

    @classmethod
    def restored(cls, symbols: Symbols, positions: NDArray[np.int32]) -> "SuffixArray":
        """Return the suffix array with these arrays. Raises ValueError if invalid: compiled code checks no bounds."""
        is_there = np.zeros(len(symbols), np.bool_)
        if len(positions) and DEPTH <= positions.min() <= positions.max() < len(symbols):
            is_there[positions] = True
        if len(positions) != is_there.sum() or not np.array_equal(is_there, symbols != BREAK):
            raise ValueError("damaged: invalid positions")
        return cls(symbols, positions)

    def positions_in(self, slices: Sequence[slice]) -> Iterator[NDArray[np.int32]]:
        """The sorted positions that these slices of the text have once they are `padded`, without sorting, in pieces.

        Each slice is one or more whole documents; they are in order.
        """
        starts, ends = (DEPTH + np.array([[place.start, place.stop] for place in slices], np.int32)).T
        moves = np.cumsum(ends - starts, dtype=np.int32) - ends + np.int32(DEPTH)
        for first in range(0, len(self.positions), PIECE_LEN):
            piece = self.positions[first : first + PIECE_LEN]
            at = np.searchsorted(starts, piece, side="right") - 1  # the slice that it is in or after; -1: before all
            yield (piece + moves[at])[(at >= 0) & (piece < ends[at])]

    def __len__(self) -> int:
        return len(self._symbols) - DEPTH

    @property
    def symbols(self) -> Symbols:
        """The text, without the padding."""
        return self._symbols[DEPTH:]

    @property
    def totals(self) -> NDArray[np.int32]:
        """Number of occurrences of each symbol, (n_symbols,); 0 for BREAK."""
        return self._until[-1]

    @property
    def n_bytes(self) -> int:
        """Memory in bytes."""
        return self._symbols.nbytes + self.positions.nbytes + self._next.nbytes + self._until.nbytes

    def replaced(self, start: int, end: int, new: Symbols) -> "SuffixArray":
        """Return the suffix array of the text with `start:end` replaced by `new`."""
        start, end = start + DEPTH, end + DEPTH
        symbols = np.concatenate((self._symbols[:start], new, self._symbols[end:]))
        n_touched = end - start + len(new) + 2 * DEPTH
        if _SEARCH_COST * n_touched > len(symbols):
            return SuffixArray(symbols)
        old = _positions_in(self._symbols, start, end + DEPTH)
        gone = np.sort(_ranks(self._symbols, self.positions, self._symbols, old, len(self._symbols)))
        come = _sorted(symbols, _positions_in(symbols, start, start + len(new) + DEPTH))
        ranks = _ranks(self._symbols, self.positions, symbols, come, start)
        places = ranks - np.searchsorted(gone, ranks)  # among the positions that are kept
        shift = len(new) - (end - start)
        spliced = _spliced(symbols, self.positions, self._next, gone, come, places, end, shift)
        return SuffixArray(symbols, *spliced)

    def header(self, sign: int, cursor: int | None) -> Header:
        """A row for the compiled functions of distribution.py, valid while this object exists.

        Counts are multiplied by `sign`. No context extends over `cursor`, an offset in the text: the effect is that of
        a BREAK there, but the cursor can be moved without sorting.
        """
        return (sign, -1 if cursor is None else DEPTH + cursor, *self._header)


@compiled
def _positions_in(symbols, start, end):  # type: ignore[no-untyped-def]
    """The positions from `start` to `end` of all symbols except BREAK."""
    end, n = min(end, len(symbols)), 0
    positions = np.empty(end - start, np.int32)
    for position in range(start, end):
        if symbols[position] != BREAK:
            positions[n] = position
            n += 1
    return positions[:n]


@compiled
def _key(symbols, position, depth):  # type: ignore[no-untyped-def]
    """The sort key of a position among those with the same `depth - 1` preceding symbols."""
    return np.int64(symbols[position - depth]) if depth <= DEPTH else np.int64(position)


@compiled
def _sorted(symbols, positions):  # type: ignore[no-untyped-def]
    """Sort `positions` in place by the preceding symbols: multikey quicksort (Bentley and Sedgewick 1997)."""
    pending = [(0, len(positions), 1)]
    while pending:
        low, high, depth = pending.pop()
        if high - low < 2:
            continue
        pivot = _key(symbols, positions[(low + high) // 2], depth)
        smaller, here, larger = low, low, high
        while here < larger:
            position = positions[here]
            key = _key(symbols, position, depth)
            if key < pivot:
                positions[here], positions[smaller] = positions[smaller], position
                smaller += 1
                here += 1
            elif key > pivot:
                larger -= 1
                positions[here], positions[larger] = positions[larger], position
            else:
                here += 1
        pending.append((low, smaller, depth))
        pending.append((smaller, larger, depth + 1))
        pending.append((larger, high, depth))
    return positions


@compiled
def _ranks(symbols, positions, other_symbols, others, same_until):  # type: ignore[no-untyped-def]
    """The rank, among the sorted `positions`, of each of `others`, positions in another version of the text.

    Both versions are equal up to `same_until`. Among equal contexts, only smaller positions below `same_until` precede.
    """
    ranks = np.empty(len(others), np.int64)
    for i, other in enumerate(others):
        low, high = 0, len(positions)
        while low < high:
            middle = (low + high) // 2
            position = positions[middle]
            is_before = position < min(other, same_until)
            for depth in range(1, DEPTH + 1):
                if symbols[position - depth] != other_symbols[other - depth]:
                    is_before = symbols[position - depth] < other_symbols[other - depth]
                    break
            if is_before:
                low = middle + 1
            else:
                high = middle
        ranks[i] = low
    return ranks


@compiled
def _spliced(symbols, positions, following, gone, come, places, end, shift):  # type: ignore[no-untyped-def]
    """Positions and their next symbols, with the ranks `gone` removed, and `come` inserted at `places` of the rest."""
    n_kept = len(positions) - len(gone)
    new_positions = np.empty(n_kept + len(come), positions.dtype)
    new_following = np.empty(n_kept + len(come), following.dtype)
    read, n_skipped = 0, 0
    for i in range(len(come) + 1):
        place = places[i] if i < len(come) else n_kept
        while read - n_skipped < place:
            stop = gone[n_skipped] if n_skipped < len(gone) else len(positions)
            n = min(place - (read - n_skipped), stop - read)
            write = read - n_skipped + i
            old, new = positions[read : read + n], new_positions[write : write + n]
            for j in range(n):
                new[j] = old[j] + (shift if old[j] >= end else 0)
                new_following[write + j] = following[read + j]
            read += n
            while n_skipped < len(gone) and gone[n_skipped] == read:
                n_skipped += 1
                read += 1
        if i < len(come):
            new_positions[place + i] = come[i]
            new_following[place + i] = min(symbols[come[i]], RARE)
    return new_positions, new_following


@compiled
def _following(symbols, positions):  # type: ignore[no-untyped-def]
    """The symbol at each of `positions`, or RARE."""
    following = np.empty(len(positions), np.uint8)
    for i, position in enumerate(positions):
        following[i] = min(symbols[position], RARE)
    return following


@compiled
def symbol_at(symbols, positions, following, i):  # type: ignore[no-untyped-def]
    """The symbol at positions[i]: usually following[i], which is read faster."""
    return np.int64(following[i]) if following[i] < RARE else np.int64(symbols[positions[i]])


@compiled
def _counts_until(symbols, positions, following, stride, n_symbols):  # type: ignore[no-untyped-def]
    """Cumulative counts, (n / stride + 2, n_symbols): row i of the first i * stride symbols, the last row of all."""
    until = np.zeros((len(following) // stride + 2, n_symbols), np.int32)
    for row in range(1, len(until)):
        for symbol in range(n_symbols):
            until[row, symbol] = until[row - 1, symbol]
        for i in range((row - 1) * stride, min(row * stride, len(following))):
            until[row, symbol_at(symbols, positions, following, i)] += 1
    return until
