"""The decoding loop: the plain one, which is the definition, and the one that reads each character only once."""

from collections.abc import Callable, Iterator
from itertools import zip_longest

import torch
from torch import Tensor

from tinycopilot.completion.common_prefix import common_prefix_len
from tinycopilot.model.gpt import TinyGPT
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer

N_READERS = 4
"""So many documents stay read to where they were left: five megabytes each with the network that ships."""
PIECE_CHARS = 128
"""A long text is read in pieces of this many characters: between two of them, reading can be cancelled. (Smaller ones
answer a new question sooner, and take longer in all: LOG.md.)"""

Decoded = tuple[str, float]
"""One decoded character and its log-probability (natural)."""

Choose = Callable[[Tensor, str], Decoded]
"""Which character comes next: of the network's log p(next), (V,), and the text before it."""


class Cancelled(Exception):  # noqa: N818 (it is no error)
    """Nobody waits for this suggestion any more."""


def never() -> bool:
    """The `cancelled` of who never cancels."""
    return False


def no_draft(_text: str) -> str:
    """The `draft` of who never guesses."""
    return ""


def plain_decode(next_log_probs: Callable[[str], Tensor], choose: Choose, text: str) -> Iterator[Decoded]:
    """Greedy decoding, one character at a time, all of the text read again for each: the definition.

    `next_log_probs` gives the network's log p(next | text), (V,), its unknown last; `choose` makes a character of that
    and of the text. Ends when nobody asks on.
    """
    while True:
        character, log_prob = choose(next_log_probs(text), text)
        yield character, log_prob
        text += character


def network_alone(alphabet: str) -> Choose:
    """To choose what the network finds likeliest; never its unknown."""

    def choose(log_probs: Tensor, _text: str) -> Decoded:
        best = int(log_probs[:-1].argmax())
        return alphabet[best], float(log_probs[best])

    return choose


def network_log_probs(model: TinyGPT, tokenizer: SimpleTokenizer) -> Callable[[str], Tensor]:
    """The network alone as a `next_log_probs`: no cache, every character that a prediction can depend on."""

    @torch.inference_mode()
    def next_log_probs(text: str) -> Tensor:
        ids = tokenizer.encode(DOCUMENT_START + text)[-model.config.reach :]
        return model(torch.tensor([ids], device=model.device))[0, -1].log_softmax(-1)

    return next_log_probs


def decode(
    reader: "Reader",
    choose: Choose,
    text: str,
    cancelled: Callable[[], bool] = never,
    draft: Callable[[str], str] = no_draft,
) -> Iterator[Decoded]:
    """What `plain_decode` gives; as far as a draft is right, its characters cost no forward of their own.

    `draft` guesses how a text goes on (speculative decoding, Leviathan et al. 2023): the network reads the guess at
    once with the character before it, and what it says after each is used as long as the guess was right. Raises
    Cancelled before the next forward.
    """
    drafted = draft(text)
    rows = reader.read_on(text, drafted, cancelled)  # log p(next) after the text, and after each drafted character
    while True:
        for n_right, (log_probs, guess) in enumerate(zip_longest(rows, drafted)):  # noqa: B007 (used below)
            character, log_prob = choose(log_probs, text)
            yield character, log_prob
            text += character
            if character != guess:
                break
        if cancelled():
            raise Cancelled
        reader.take_back(len(drafted) - n_right)
        drafted = draft(text)
        rows = reader.extend(character + drafted)


class Reader:
    """What the network has read so far: its cache, and the text that the cache stands for.

    A text that goes on from the last one costs its new characters alone; one that went back, or on another way, is
    taken up again where the two part. What `read` answers depends on the text only, not on what was read before it:
    a prediction sees `reach` characters, and no fewer are ever read (unless the text is shorter).
    """

    def __init__(self, model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
        self.tokenizer = tokenizer
        self._model = model
        self._cache = model.new_cache()
        self._start_afresh(0)

    def _start_afresh(self, base: int) -> None:
        self._cache.clear()
        self._base = base  # the offset in the text at which reading began
        self._seen = ""  # the characters read since: the cache's positions, one each

    def read(self, text: str) -> Tensor:
        """log p(next | text), (V,)."""
        return self.read_on(text, "", never)[0]

    def read_on(self, text: str, drafted: str, cancelled: Callable[[], bool]) -> Tensor:
        """log p(next), (1 + len(drafted), V): after `text`, and after each of a few characters that may follow.

        Raises Cancelled between two pieces; what was read by then stays.
        """
        text = DOCUMENT_START + text
        kept, afresh_from = self._kept(text), max(0, len(text) - self._model.config.reach - self._cache.spare)
        if kept is None or self._base + kept < afresh_from:  # what lies before that need not be read
            self._start_afresh(afresh_from)
            kept = 0
        self._cache.truncate(kept)
        self._seen = self._seen[:kept]
        for first in range(self._base + kept, len(text), PIECE_CHARS):
            if cancelled():
                raise Cancelled
            is_last = first + PIECE_CHARS >= len(text)
            log_probs = self.extend(text[first : first + PIECE_CHARS] + drafted * is_last)
        return log_probs[-1 - len(drafted) :]

    def extend(self, characters: str) -> Tensor:
        """Read on: log p(next), (len(characters), V), after each of at least one more character."""
        logits = self._model.prefill(self.tokenizer.encode(characters), self._cache)
        self._seen += characters
        return logits.log_softmax(-1)

    def take_back(self, n: int) -> None:
        """As if the last `n` characters, few, had not been read."""
        kept = len(self._seen) - n
        self._cache.truncate(kept)
        self._seen = self._seen[:kept]

    def _kept(self, text: str) -> int | None:
        """With how many of the seen characters `text` begins, its last one excepted; None: it must be read afresh."""
        new = text[self._base :]
        same = common_prefix_len(self._seen, new)
        kept = min(same, len(new) - 1)  # the last character is read again: its distribution is wanted
        enough = self._base == 0 or len(new) >= self._model.config.reach
        return kept if kept > 0 and enough and self._cache.can_truncate(kept) else None


class Readers:
    """A Reader for each of the documents that were read last: who goes back to one goes on where it was left.

    Else whoever types in two files by turns would wait, at each turn, for a thousand characters to be read again.
    """

    def __init__(self, model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._readers = dict[str | None, Reader]()  # the one that was used last comes last

    def of(self, document: str | None) -> Reader:
        """The one for this document; if there is none, and N_READERS others, the one that was not used for longest."""
        if document in self._readers:
            reader = self._readers.pop(document)
        elif len(self._readers) < N_READERS:
            reader = Reader(self._model, self._tokenizer)
        else:
            reader = self._readers.pop(next(iter(self._readers)))
        self._readers[document] = reader
        return reader

    def forget(self) -> None:
        """Nothing was read."""
        self._readers.clear()
