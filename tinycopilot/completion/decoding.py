"""Greedy decoding: the plain loop, which is the definition, and the one that reads each character only once."""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.common_prefix import common_prefix_len
from tinycopilot.completion.network import PIECE_LEN, Floats, Network
from tinycopilot.model.config import SPARE
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer

MAX_READERS = 4
"""The documents that were read last stay read, up to this many: three megabytes each with the network that ships."""
MAX_DRAFT_CHARS = 12
"""A draft is at most this long: the network reads all of it, right or wrong."""

Decoded = tuple[str, float]
"""One decoded character and its log-probability (natural)."""

Choose = Callable[[Floats, str], Decoded]
"""Which character comes next: of the network's logits, (V,), and the text before it."""


class Cancelled(Exception):  # noqa: N818 (not an error)
    """The request was cancelled."""


def never() -> bool:
    """Default cancellation check: never cancels."""
    return False


def plain_decode(next_logits: Callable[[str], Floats], choose: Choose, text: str) -> Iterator[Decoded]:
    """Greedy decoding, one character at a time, reading all of the text again for each: the definition.

    `next_logits` returns the network's logits after a text, (V,), its unknown last. Ends when the caller stops asking.
    """
    while True:
        character, log_prob = choose(next_logits(text), text)
        yield character, log_prob
        text += character


def network_alone(alphabet: str) -> Choose:
    """Choose the character that the network finds likeliest; never its unknown."""

    def choose(logits: Floats, _text: str) -> Decoded:
        log_probs = log_softmax(logits)
        best = int(log_probs[:-1].argmax())
        return alphabet[best], float(log_probs[best])

    return choose


def log_softmax(logits: Floats) -> NDArray[np.float64]:
    """Log-probabilities, along the last axis."""
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def network_logits(network: Network, tokenizer: SimpleTokenizer) -> Callable[[str], Floats]:
    """The network as a `next_logits`: every character that a prediction can depend on, read into a new cache."""

    def next_logits(text: str) -> Floats:
        ids = tokenizer.encode(DOCUMENT_START + text)[-network.config.reach :]
        return network.forward(ids, network.new_cache(), n_last=1)[0]

    return next_logits


class Speculator(Protocol):
    """Drafts a text's continuation cheaply, and verifies it by the network's logits (speculative decoding)."""

    def draft(self, max_chars: int) -> str:
        """A guess of what follows, at most `max_chars`."""

    def verify(self, logits: Floats) -> list[Decoded]:
        """The characters of the last guess that are right, and the one after them, by logits (1 + len(guess), V)."""


def decode(
    reader: "Reader", speculator: Speculator, text: str, cancelled: Callable[[], bool] = never,
    max_draft_chars: int = MAX_DRAFT_CHARS,
) -> Iterator[Decoded]:  # fmt: skip
    """What `plain_decode` yields, with one forward pass for each draft (Leviathan et al. 2023): draft, read, verify.

    The network reads a draft together with the character before it. Raises Cancelled before the next forward pass.
    """
    drafted = speculator.draft(max_draft_chars)
    logits = reader.read(text, drafted, cancelled)
    while True:
        accepted = speculator.verify(logits)
        yield from accepted
        if cancelled():
            raise Cancelled
        reader.take_back(len(drafted) - (len(accepted) - 1))
        drafted = speculator.draft(max_draft_chars)
        logits = reader.extend(accepted[-1][0] + drafted)


class Reader:
    """What the network has read of a text: its cache, and the characters in it.

    A text that continues the last one costs its new characters alone; any other is read from where the two differ,
    or again as far back as the network reaches: then only the last SPARE characters before its end can be gone back to
    without reading once more. The logits depend on the text only, up to rounding, not on what was read before.
    """

    def __init__(self, network: Network, tokenizer: SimpleTokenizer) -> None:
        self._network, self.tokenizer = network, tokenizer
        self._cache = network.new_cache()
        self._start(0, 0)

    def _start(self, base: int, first_wanted: int) -> None:
        self._cache.clear(first_wanted)
        self._base = base  # the offset in the text at which reading began
        self._read = ""  # the characters read since, one for each position of the cache

    def read(self, text: str, drafted: str = "", cancelled: Callable[[], bool] = never) -> Floats:
        """Logits, (1 + len(drafted), V): after `text`, and after each of a few characters that may follow it.

        Raises Cancelled between two pieces; what was read until then is kept.
        """
        text = DOCUMENT_START + text
        kept, restart = self._kept(text), max(0, len(text) - self._network.config.reach - SPARE)
        if kept is None or self._base + kept < restart:  # what is before that need not be read
            self._start(restart, max(0, len(text) - 1 - SPARE - restart))
            kept = 0
        self._truncate(kept)
        for first in range(self._base + kept, len(text), PIECE_LEN):
            if cancelled():
                raise Cancelled
            is_last = first + PIECE_LEN >= len(text)
            characters = text[first : first + PIECE_LEN] + drafted * is_last
            logits = self.extend(characters, (1 + len(drafted)) * is_last)
        return logits

    def extend(self, characters: str, n_last: int | None = None) -> Floats:
        """Read on: logits, (len(characters), V), after each of at least one more character, or the last few."""
        logits = self._network.forward(self.tokenizer.encode(characters), self._cache, n_last=n_last)
        self._read += characters
        return logits

    def take_back(self, n: int) -> None:
        """Forget the last `n` characters, at most SPARE."""
        self._truncate(len(self._read) - n)

    def _truncate(self, length: int) -> None:
        self._cache.truncate(length)
        self._read = self._read[:length]

    def _kept(self, text: str) -> int | None:
        """How many of the read characters `text` begins with, without its last one; None if all must be read again."""
        new = text[self._base :]
        same = common_prefix_len(self._read, new)
        kept = min(same, len(new) - 1)  # the last character is read again: its logits are wanted
        is_computed = len(new) > self._cache.first_wanted
        return kept if kept > 0 and is_computed and self._cache.can_truncate(kept) else None


class Readers:
    """A Reader for each of the documents that were read last, so that switching between files costs nothing."""

    def __init__(self, network: Network, tokenizer: SimpleTokenizer) -> None:
        self._network, self._tokenizer = network, tokenizer
        self._readers = dict[str | None, Reader]()  # the one that was used last comes last

    def of(self, document: str | None) -> Reader:
        """The reader of this document; with MAX_READERS others, the least recently used one is taken for it."""
        if document in self._readers:
            reader = self._readers.pop(document)
        elif len(self._readers) < MAX_READERS:
            reader = Reader(self._network, self._tokenizer)
        else:
            reader = self._readers.pop(next(iter(self._readers)))
        self._readers[document] = reader
        return reader
