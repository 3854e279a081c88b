"""Decoding: the plain greedy loop, which defines the result, and the fast one, with a cache and drafts; sampling."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.network import PIECE_LEN, Floats, Network
from tinycopilot.completion.request import common_prefix_len
from tinycopilot.model.config import COLD
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer

MAX_DRAFT_CHARS = 12
"""Maximum length of a draft: the network reads all of it, right or wrong."""

Decoded = tuple[str, float]
"""One decoded character and its log-probability (natural)."""

Choose = Callable[[Floats, str], Decoded]
"""Chooses the next character, given the network's logits, (V,), and the text before it."""


class Cancelled(Exception):  # noqa: N818 (not an error)
    """The request was cancelled."""


def never() -> bool:
    """Default cancellation check: never cancels."""
    return False


def plain_decode(next_logits: Callable[[str], Floats], choose: Choose, text: str) -> Iterator[Decoded]:
    """Greedy decoding, which reads the whole text again for each character: the definition.

    `next_logits` returns the network's logits after a text, (V,), its unknown last. It never ends by itself.
    """
    while True:
        character, log_prob = choose(next_logits(text), text)
        yield character, log_prob
        text += character


def network_alone(alphabet: str) -> Choose:
    """Choose the network's most probable character; never its unknown."""

    def choose(logits: Floats, _text: str) -> Decoded:
        log_probs = log_softmax(logits)
        best = int(log_probs[:-1].argmax())
        return alphabet[best], float(log_probs[best])

    return choose


def log_softmax(logits: Floats) -> NDArray[np.float64]:
    """Log-probabilities, along the last axis."""
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def network_logits(network: Network, tokenizer: SimpleTokenizer, before: str) -> Callable[[str], Floats]:
    """The network as a `next_logits` for continuations of `before`. It reads context and continuation each time."""
    start = network.config.context_start(len(DOCUMENT_START + before))

    def next_logits(text: str) -> Floats:
        ids = tokenizer.encode((DOCUMENT_START + text)[start:])
        return network.forward(ids, network.new_cache(), n_last=1)[0]

    return next_logits


class Speculator(Protocol):
    """Drafts a continuation cheaply, and verifies it with the network's logits (speculative decoding)."""

    def draft(self, max_chars: int) -> str:
        """Guess the next characters, at most `max_chars`."""

    def verify(self, logits: Floats) -> list[Decoded]:
        """The correct characters of the last draft, and one more, given logits (1 + len(draft), V)."""


class DecodingStep(NamedTuple):
    """One step of speculative decoding: draft, read, verify."""

    drafted: str
    accepted: list[Decoded]
    """The accepted characters of the draft, and one more."""
    logits: Floats
    """(1 + len(drafted), V)."""
    times_s: tuple[float, float, float]
    """Time to draft; to read the draft and, in the first step, all text that was not cached; and to verify."""


def decode(
    reader: "Reader", speculator: Speculator, text: str, cancelled: Callable[[], bool] = never
) -> Iterator[Decoded]:
    """Yield the same as `plain_decode`, with one forward pass per draft."""
    for step in decode_steps(reader, speculator, text, cancelled):
        yield from step.accepted


def decode_steps(
    reader: "Reader", speculator: Speculator, text: str, cancelled: Callable[[], bool] = never,
    max_draft_chars: int = MAX_DRAFT_CHARS,
) -> Iterator[DecodingStep]:  # fmt: skip
    """The steps of `decode` (speculative decoding, Leviathan et al. 2023). Raises Cancelled before a forward pass."""
    last = ""  # the last character, which the network reads together with the next draft
    while True:
        since_s = time.perf_counter()
        drafted = speculator.draft(max_draft_chars)
        drafted_s = time.perf_counter()
        logits = reader.extend(last + drafted) if last else reader.read(text, drafted, cancelled)
        read_s = time.perf_counter()
        accepted = speculator.verify(logits)
        times_s = (drafted_s - since_s, read_s - drafted_s, time.perf_counter() - read_s)
        yield DecodingStep(drafted, accepted, logits, times_s)
        if cancelled():
            raise Cancelled
        reader.take_back(len(drafted) - (len(accepted) - 1))
        last = accepted[-1][0]


class Reader:
    """The part of a text that the network has read: its cache, and the characters in it.

    A text that continues the last one costs only its new characters; any other is read from the first difference, or
    from the start of its context. The logits depend on the text only, up to rounding, and not on the history.
    """

    def __init__(self, network: Network, tokenizer: SimpleTokenizer) -> None:
        self._network, self.tokenizer = network, tokenizer
        self._cache = network.new_cache()
        self._start = 0  # offset in the text at which reading began
        self._read = ""  # the characters read since then, one per position of the cache

    def read(self, text: str, drafted: str = "", cancelled: Callable[[], bool] = never) -> Floats:
        """Logits, (1 + len(drafted), V), after `text` and after each character of `drafted`.

        Raises Cancelled between two chunks; what was read until then is kept.
        """
        text = DOCUMENT_START + text
        start = self._network.config.context_start(len(text))
        context = text[start:]
        # The last character is read again, since its logits are needed.
        kept = min(common_prefix_len(self._read, context), len(context) - 1)
        if start != self._start or not self._cache.can_truncate(kept):
            self._start, kept = start, 0
        self._truncate(kept)
        for first in range(kept, len(context), PIECE_LEN):
            if cancelled():
                raise Cancelled
            is_last = first + PIECE_LEN >= len(context)
            characters = context[first : first + PIECE_LEN] + drafted * is_last
            logits = self.extend(characters, (1 + len(drafted)) * is_last)
        return logits

    def extend(self, characters: str, n_last: int | None = None) -> Floats:
        """Read further characters, at least one; return the logits after each, (len(characters), V), or after the last
        few.
        """
        logits = self._network.forward(self.tokenizer.encode(characters), self._cache, n_last=n_last)
        self._read += characters
        return logits

    def take_back(self, n: int) -> None:
        """Remove the last `n` characters, at most SPARE."""
        self._truncate(len(self._read) - n)

    def _truncate(self, length: int) -> None:
        self._cache.truncate(length)
        self._read = self._read[:length]


def generate(
    network: Network,
    ids: Sequence[int],
    *,
    temperature: float = 0.0,
    top_k: int | None = None,
    rng: np.random.Generator,
) -> Iterator[int]:
    """Yield the ids that follow `ids`, which are not empty, until the caller stops.

    The same distribution as `TinyGPT.generate`: the unknown id (the last) is never chosen; temperature 0 is greedy,
    otherwise ids are sampled from softmax(logits / temperature), from the `top_k` most probable if given. The same
    `rng` state gives the same text; PyTorch's generator gives another text for the same seed.
    """
    cache = network.new_cache()
    logits = network.forward(ids[network.config.context_start(len(ids)) :], cache, n_last=1)[0]
    while True:
        chosen = _sample(logits[:-1], temperature, top_k, rng)
        yield chosen
        logits = network.forward([chosen], cache)[0]


def _sample(logits: Floats, temperature: float, top_k: int | None, rng: np.random.Generator) -> int:
    """Draw one id from logits, (V - 1,)."""
    if temperature < COLD:
        return int(logits.argmax())
    scaled = logits.astype(np.float64) / temperature
    if top_k is not None and top_k < len(scaled):
        scaled[scaled < np.partition(scaled, -top_k)[-top_k]] = -np.inf
    probabilities = np.exp(scaled - scaled.max())
    return int(rng.choice(len(scaled), p=probabilities / probabilities.sum()))
