"""NGramModel: an interpolated n-gram language model over the documents of a workspace, updated at each edit.

It counts how often each character followed the last 3, 4, 5 ... 28 characters in the workspace. Longer contexts are
more specific, and rarer; each order is interpolated with the next shorter one (absolute discounting, Ney et al. 1994).
Counts are replaced by their square roots: a sequence that occurs a hundred times in one file is not a hundred times as
probable in another. A prediction is a pure function of the set of documents.
"""

import copy
import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.distribution import MIN_WORD_CHARS, STRENGTH, count, interpolate
from tinycopilot.completion.segments import NO_DOCUMENTS, Alphabet, Compaction, MergedSegment, Segment, symbols_of
from tinycopilot.completion.suffix_array import BREAK, DEPTH, HEADER_LEN, ORDERS, Symbols
from tinycopilot.files.masking import MASK
from tinycopilot.model.tokenizer import DOCUMENT_START

DISCOUNTS = (0.7, 0.65, 0.6, 0.55, 0.5, 0.4, 0.3, 0.25, 0.2)
"""Discount of each order, redistributed to the shorter context: less for longer contexts."""
ORDER_ROW, DISCOUNT_ROW = np.array(ORDERS), np.array(DISCOUNTS)

Document = tuple[str, ...]
"""A text in one piece, or in two pieces split at the cursor; no context extends over the split."""

MAX_RECENT = 4
"""Number of recent documents that keep their own segments."""
MAX_SEPARATE = 8
"""A compaction is due if there are more other segments than this."""


def plain_prediction(texts: Iterable[str], characters: Iterable[str], context: str) -> tuple[dict[str, float], int]:
    """The definition: p(next) for each of `characters`, and for "", all other characters; and the longest order seen.

    `texts` are the pieces of the documents, `characters` the alphabet.
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


def plain_successor(texts: Iterable[str], context: str) -> str:
    """The definition: the character that continues the incomplete word at the end of `context` in all words of `texts`.

    "" if no word begins so, if they differ, or if the beginning is a word itself, short, or a number. `texts` are the
    pieces of the documents; a word at the start of a piece, which may be the rest of one, does not count.
    """
    n = next((i for i, character in enumerate(reversed(context)) if not is_in_word(character)), len(context))
    word = context[len(context) - n :]
    if n < MIN_WORD_CHARS or n == len(context) or word[0].isdigit():
        return ""
    followers = {
        text[i + n]
        for text in texts
        for i in range(1, len(text) - n)
        if text[i : i + n] == word and not is_in_word(text[i - 1])
    }
    return followers.pop() if len(followers) == 1 and all(map(is_in_word, followers)) else ""


def is_in_word(character: str) -> bool:
    """Whether a character is a letter, digit or underscore."""
    return character.isalpha() or character.isdigit() or character == "_"


class Occurrence(NamedTuple):
    """Where a context was seen."""

    document: str
    offset: int
    """Offset of the character that follows the context."""


class NGramModel:
    """Stores documents by name, and predicts from them. Not thread-safe, but documents can be sorted in any thread.

    Most documents are in one merged segment, as they were when it was sorted. A document that has changed since is
    counted there with sign -1, and its new text has its own segment. Recent documents keep their segments, which makes
    edits cheap.
    """

    def __init__(self, alphabet: Alphabet, max_chars: float = math.inf) -> None:
        """Beyond `max_chars`, whole documents are dropped, least recently used first."""
        self.alphabet = alphabet
        self.max_chars = max_chars
        """Limit of `n_chars`."""
        self.n_dropped = 0
        """Number of documents removed so far."""
        self._merged = NO_DOCUMENTS
        self._changes: dict[str, Segment | None] = {}  # added, replaced or (None) dropped since that was merged
        self._recent: dict[str, tuple[str, Segment]] = {}  # text and segment; the current document is the last
        self._last_used_s: dict[str, float] = {}  # of all documents in the model
        self._changed: set[str] = set()  # names changed since the last compaction began
        self._possible: NDArray[np.bool_] | None = None
        self._headers: NDArray[np.int64] | None = None  # valid until a segment changes

    def __contains__(self, name: str) -> bool:
        return self._changes[name] is not None if name in self._changes else name in self._merged

    @property
    def documents(self) -> set[str]:
        """Names of the documents in the model."""
        return set(self._last_used_s)

    @property
    def n_chars(self) -> int:
        """Number of characters in the model; each document adds two or three separators."""
        return sum(sign * len(segment) for segment, sign in self.segments())

    @property
    def needs_compaction(self) -> bool:
        """Whether a compaction is due: each segment adds to the cost of a prediction."""
        is_added = [segment is not None and name not in self._recent for name, segment in self._changes.items()]
        return sum(is_added) + len(self._gone) > MAX_SEPARATE

    def hold(self, name: str, *document: str, last_used_s: float | None = None) -> None:
        """Add a document, or replace it. The current document comes in two pieces, split at the cursor.

        `last_used_s`, in seconds since 1970, defaults to now.
        """
        text, is_at_hand = "".join(document), len(document) > 1
        segment = self._segment_of(name, text)
        if is_at_hand:
            self._recent.pop(name, None)  # moves it to the end
        if is_at_hand or name in self._recent:
            self._recent[name] = (text, segment)
            if len(self._recent) > MAX_RECENT:
                del self._recent[next(iter(self._recent))]
        self._last_used_s[name] = time.time() if last_used_s is None else last_used_s
        self._changed.add(name)
        self._change(name, segment.with_cursor(len(document[0])) if is_at_hand else segment)
        self._drop_oldest()

    def limit(self, max_chars: float) -> None:
        """Hold at most `max_chars` characters from now on."""
        self.max_chars = max_chars
        self._drop_oldest()

    def drop(self, name: str) -> bool:
        """Remove a document; return whether it was in the model."""
        was_held = name in self
        self._last_used_s.pop(name, None)
        self._recent.pop(name, None)
        self._changed.add(name)
        if was_held:
            self.n_dropped += 1
            self._change(name, None)
        return was_held

    def segment(self, name: str) -> Segment | None:
        """Return the current segment of one document; None if it is not in the model."""
        return self._changes[name] if name in self._changes else self._merged.segment(name)

    def text(self, name: str) -> str | None:
        """Return the text of a document, with MASK for a masked character; None if it is not in the model."""
        if (segment := self.segment(name)) is None:
            return None
        symbols = segment.symbols[len(DOCUMENT_START) : -1].tolist()
        return "".join(self.alphabet.character_of(symbol) if symbol != BREAK else MASK for symbol in symbols)

    def prepare(self, name: str, text: str) -> Segment:
        """Sort a document before it is added, in any thread. Pass the result to `offer` in the model's thread."""
        segment, merged = Segment(symbols_of(self.alphabet, text)), self._merged.segment(name)
        if merged is not None:
            segment = merged if merged.is_same(segment) else segment
            merged.sort()  # it will be counted with sign -1
        segment.sort()
        return segment

    def offer(self, name: str, text: str, segment: Segment) -> None:
        """Take a prepared segment: adding that document, or an edited version of it, is then cheap."""
        if name not in self._recent:
            self._recent = {name: (text, segment)} | self._recent  # it was never the current document

    def _segment_of(self, name: str, text: str) -> Segment:
        """The segment of a text, derived from an earlier version if there is one."""
        if name in self._recent:
            old_text, segment = self._recent[name]
            return segment if text == old_text else segment.edited(self.alphabet, old_text, text)
        segment, merged = Segment(symbols_of(self.alphabet, text)), self._merged.segment(name)
        return merged if merged is not None and merged.is_same(segment) else segment

    def _change(self, name: str, segment: Segment | None) -> None:
        """Hold this segment under that name; None: drop the document."""
        merged = self._merged.segment(name)
        self._changes.pop(name, None)
        if not (segment.is_same(merged) if segment is not None else merged is None):
            self._changes[name] = segment
        self._possible = self._headers = None

    @property
    def _gone(self) -> list[Segment]:
        """The merged documents that have changed since, or were dropped."""
        return [segment for name in self._changes if (segment := self._merged.segment(name)) is not None]

    def _use(self, merged: MergedSegment, changes: Mapping[str, Segment | None]) -> None:
        """Hold the documents of this merged segment, with these changes."""
        self._merged, self._changes = merged, {}
        self._possible = self._headers = None
        for name, segment in changes.items():
            self._change(name, segment)

    def _drop_oldest(self) -> None:
        if (n_chars := self.n_chars) <= self.max_chars:
            return
        current = next(reversed(self._recent), None)
        for name in sorted(self._last_used_s, key=lambda name: self._last_used_s[name]):
            if n_chars > self.max_chars and name != current:
                n_chars -= len(self.segment(name) or ())
                self.drop(name)
        self._remove_gone()

    def _remove_gone(self) -> None:
        """If many merged documents have changed or were dropped, remove them: quicker than sorting each of them."""
        if sum(map(len, self._gone)) * MAX_SEPARATE > len(self._merged):
            added = {name: segment for name, segment in self._changes.items() if segment is not None}
            self._use(self._merged.part(self._merged.documents.keys() - self._changes.keys()), added)

    def merged(self) -> tuple[MergedSegment, dict[str, float]]:
        """The merged segment, and when each of its unchanged documents was last used."""
        names = [name for name in self._merged.documents if name not in self._changes]
        return self._merged, {name: self._last_used_s[name] for name in names}

    def adopt(self, merged: MergedSegment, last_used_s: Mapping[str, float]) -> None:
        """Add the merged segment of an earlier session, without changing documents that are already in the model.

        Raises ValueError if anything was merged before.
        """
        if len(self._merged):
            raise ValueError("there is a merged segment already")
        self._last_used_s = {**last_used_s, **self._last_used_s}
        self._use(merged, self._changes)
        self._drop_oldest()

    def begin_compaction(self) -> Compaction:
        """Start to merge all segments except those of recent documents. Only the last compaction started is valid.

        Documents that are added or dropped before the compaction is finished stay as they are then.
        """
        self._changed = {name for name in self._recent if name in self}
        separate = {name: segment.broken for name, segment in self._changes.items() if segment is not None}
        excluded = self._changed | (self._changes.keys() - separate.keys())
        return Compaction(self.alphabet, self._merged, separate, excluded, self._last_used_s.copy())

    def finish_compaction(self, compaction: Compaction) -> None:
        """Hold the result of a sorted compaction; this is quick."""
        mine = {name: self.segment(name) for name in self._changed}
        changes = {name: segment for name, segment in compaction.changes.items() if name not in mine}
        if compaction.merged is not None:
            self._use(compaction.merged, mine)
        else:
            self._use(self._merged, self._changes | changes)
        before = self._last_used_s.keys()
        last_used_s = compaction.last_used_s | {
            name: self._last_used_s[name] for name in mine if name in self._last_used_s
        }
        self._last_used_s = {name: s for name, s in last_used_s.items() if name in self}
        self.n_dropped += not before <= self._last_used_s.keys()
        self._drop_oldest()
        self._remove_gone()
        compaction.release()

    def compact(self) -> None:
        """Merge everything now."""
        compaction = self.begin_compaction()
        compaction.sort(everything=True)
        self.finish_compaction(compaction)

    def predict(self, context: Symbols, possible: NDArray[np.bool_]) -> tuple[NDArray[np.float64], int]:
        """p(next), (A + 1,), by symbol from 1 on, then all other characters; and the longest order seen.

        `context` is the last DEPTH symbols, or fewer; `possible` is the result of the method of that name.
        """
        p = np.empty(len(possible))
        n_seen = interpolate(self.counts(context, len(possible)), possible, DISCOUNT_ROW, p)
        return p, ORDERS[n_seen - 1] if n_seen else 0

    def counts(self, context: Symbols, n_symbols: int, name: str | None = None) -> NDArray[np.int64]:
        """Count how often each symbol, from BREAK on, followed the last 3 ... 28 symbols of `context`.

        Returns (n_orders, n_symbols). With `name`, counts in that document only; zeros if it is not in the model.
        """
        counts, headers = np.zeros((len(ORDERS), n_symbols), np.int64), self.headers()
        if name is not None:
            segment = self.segment(name)
            headers = np.array([segment.header(1)] if segment else [], np.int64).reshape(-1, HEADER_LEN)
        count(headers, context, ORDER_ROW, counts)
        return counts

    def occurrences(self, context: Symbols, order: int) -> list[Occurrence]:
        """Where the last `order` symbols of `context` were seen, as `counts` counts them. Scans all documents."""
        found = list[Occurrence]()
        for name in self._merged.documents | self._changes:
            if (segment := self.segment(name)) is None:
                continue
            symbols = segment.symbols
            at = np.arange(order, len(symbols))  # of the symbol that follows
            for depth in range(1, order + 1):
                at = at[symbols[at - depth] == context[-depth]]
            at = at[symbols[at] != BREAK]
            if segment.cursor is not None:  # no context extends over it
                at = at[(at < segment.cursor) | (at - order >= segment.cursor)]
            found += [Occurrence(name, int(i) - len(DOCUMENT_START)) for i in at]
        return found

    def copy(self) -> "NGramModel":
        """Return an independent copy, which shares the segments."""
        other = copy.copy(self)
        other._changes, other._recent = dict(self._changes), dict(self._recent)
        other._last_used_s, other._changed = dict(self._last_used_s), set(self._changed)
        return other

    def segments(self) -> Iterator[tuple[Segment, int]]:
        """All segments, each with its sign: 1, or -1 for a merged document that has changed since or was dropped."""
        if len(self._merged):
            yield self._merged, 1
        yield from ((segment, 1) for segment in self._changes.values() if segment is not None)
        yield from ((segment, -1) for segment in self._gone)

    def headers(self) -> NDArray[np.int64]:
        """The headers of all segments, (n, HEADER_LEN), for distribution.py; valid until anything changes."""
        if self._headers is None:
            headers = [segment.header(sign) for segment, sign in self.segments()]
            self._headers = np.array(headers, np.int64).reshape(-1, HEADER_LEN)
        return self._headers

    def possible(self) -> NDArray[np.bool_]:
        """Mask of the characters that may follow, (A + 1,): those of the network and documents, and the last entry."""
        if self._possible is None:
            n_of = np.zeros(len(self.alphabet) + 1, np.int64)  # of each symbol
            for segment, sign in self.segments():
                totals = segment.index.totals
                n_of[: len(totals)] += sign * totals
            self._possible = np.append(n_of[1:] > 0, True)
            self._possible[: self.alphabet.n_known] = True
        return self._possible


def context_of(alphabet: Alphabet, before: str) -> Symbols:
    """The last DEPTH symbols of a text up to the cursor, or fewer after a masked secret."""
    return alphabet.symbols_of((DOCUMENT_START + before[-DEPTH:])[-DEPTH:].rpartition(MASK)[2])
