"""Predictor: mix the network with two n-gram models, of the workspace and of the current file, and learn online.

Log-linear mixing (distribution.py has the arithmetic). The weights depend on the longest context that the workspace has
seen (the longer, the more the n-gram models count), plus weights by the kind of the last character. Both are learned
from keystrokes (logistic mixing, Mahoney 2005, PAQ; over a whole alphabet as in Mattern 2012). Where the workspace has
only one way to complete a word, it is more probable than the mixture says.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.decoding import Decoded
from tinycopilot.completion.distribution import FLOOR, MAX_WEIGHT, draft, mix, verify
from tinycopilot.completion.network import Floats
from tinycopilot.completion.ngram import DISCOUNT_ROW, ORDER_ROW, NGramModel, context_of
from tinycopilot.completion.segments import Alphabet
from tinycopilot.completion.suffix_array import DEPTH, ORDERS

LEARNING_RATE = 0.003
MIN_DRAFT_LOG_P = math.log(0.15)
"""Minimum log p of a draft by the n-gram models."""
SIGNS: Final[Mapping[str, str]] = {
    "\n": "line", " ": "blank", "\t": "blank", "_": "underscore", ".": "dot", "'": "quote", '"': "quote",
    **dict.fromkeys("([{", "opening"), **dict.fromkeys(")]}", "closing"),
}  # fmt: skip
KINDS: Final = tuple(dict.fromkeys(("lower", "upper", "digit", "underscore", "other", *SIGNS.values())))
"""Kinds of characters, those of words first; `upper` is every letter that is not lower case."""

Key = int | str
"""Identifies a row of weights: the longest order seen, or the kind of the last character."""
Row = Sequence[float]
"""Weights of network, workspace and file."""
INITIAL: Final[Mapping[Key, Row]] = {
    **dict.fromkeys((3, 4), (0.7, 0.2, 0.25)),
    **dict.fromkeys((5, 6), (0.6, 0.25, 0.25)),
    **dict.fromkeys((8, 11, 15, 20, 28), (0.5, 0.28, 0.25)),
    **dict.fromkeys(KINDS, (0.0, 0.0, 0.0)),
}
"""Initial weights, close to what benchmarks/fit_weights.py finds."""


class Mixture:
    """The weights of the mixture, changed by `learn` only."""

    def __init__(self, weights: Mapping[Key, Row] = INITIAL) -> None:
        self.by_order = np.array([weights[order] for order in ORDERS], np.float64)
        """(n_orders, 3), of network, workspace and file."""
        self.by_kind = np.array([weights[kind] for kind in KINDS], np.float64)
        """(n_kinds, 3), added to `by_order`."""

    def as_rows(self) -> dict[Key, list[float]]:
        """A copy, by order and kind."""
        return dict(zip((*ORDERS, *KINDS), [*self.by_order.tolist(), *self.by_kind.tolist()], strict=True))

    def weights(self, prediction: "Prediction") -> Row:
        """Return the weights of network, workspace and file for this prediction."""
        if not prediction.n_seen:
            return (1.0, 0.0, 0.0)
        summed = self.by_order[prediction.n_seen - 1] + self.by_kind[prediction.kind]
        return tuple(np.clip(summed, 0, MAX_WEIGHT).tolist())

    def mix(self, prediction: "Prediction", *, without: int | None = None) -> NDArray[np.float64]:
        """Mix a prediction again with these weights: log p, (A + 1,), before a word is completed.

        `without` leaves out one of its three rows.
        """
        if not prediction.n_seen:  # the network alone
            return prediction.log_probs.copy()
        parts = [self.by_order[prediction.n_seen - 1].copy(), self.by_kind[prediction.kind].copy()]
        if without is not None:
            for weights in parts:
                weights[without] = 0
        mixed = np.empty_like(prediction.log_probs)
        mix(prediction.rows, *parts, prediction.log_probs > -math.inf, mixed)
        return mixed

    def learn(self, prediction: "Prediction", index: int) -> None:
        """Learn that the character at `index` of a prediction was typed: one gradient step on its -log p when mixed."""
        if prediction.n_seen:
            rows = np.maximum(prediction.rows, FLOOR)
            step = LEARNING_RATE * (rows[:, index] - rows @ np.exp(self.mix(prediction)))
            for weights, least in (
                (self.by_order[prediction.n_seen - 1], 0.0),
                (self.by_kind[prediction.kind], -MAX_WEIGHT),
            ):
                np.clip(weights + step, least, MAX_WEIGHT, out=weights)


class Prediction(NamedTuple):
    """Log p of the next character, (A + 1,), by symbol from 1 on, then all other characters."""

    log_probs: NDArray[np.float64]
    """Mixed, and raised for a character that completes a word (`complete_word`)."""
    rows: NDArray[np.float64]
    """(3, A + 1): log p of network, workspace and file."""
    n_seen: int
    """Number of ORDERS seen in the workspace; with 0, the prediction is the network's alone."""
    kind: int
    """Index of the last character's kind in KINDS."""

    def entry_of(self, character: str, alphabet: Alphabet) -> int:
        """Return the index of a character; -1, the entry of all other characters, if it has none of its own."""
        entry = alphabet.symbol_of(character) - 1
        is_held = 0 <= entry < len(self.log_probs) - 1 and self.log_probs[entry] > -math.inf
        return entry if is_held else -1

    def log_p(self, character: str, alphabet: Alphabet) -> float:
        """log p (natural) of a character."""
        return float(self.log_probs[self.entry_of(character, alphabet)])

    def likeliest(self, n: int, alphabet: Alphabet) -> tuple[tuple[str, float], ...]:
        """The `n` most probable characters with their log p, the most probable first; never the entry for others."""
        log_probs = self.log_probs[:-1]
        best = np.argsort(-log_probs, kind="stable")[:n]
        return tuple((alphabet.character_of(int(i) + 1), float(log_probs[i])) for i in best)


class Place(NamedTuple):
    """A cursor: the document, and the text on both sides, with line ends `\\n`.

    Secrets are masked in both, so neither the n-gram models nor the network ever read one.
    """

    document: str | None
    """Name of the document in the n-gram model; None: not indexed."""
    before: str
    after: str
    language: str = "python"
    """LSP's language identifier, as `language_of` returns it."""


@dataclass
class PredictionCache:
    """The predictions made for one place; valid while its document is indexed with that text."""

    place: Place
    by_end: dict[tuple[int, str], Prediction] = field(default_factory=dict)
    """Preceding text, abbreviated by `_end_of` -> prediction."""

    def __contains__(self, before: str) -> bool:
        """Whether the character after `before` was predicted."""
        return _end_of(before) in self.by_end

    def at(self, before: str) -> Prediction:
        """The prediction of the character after `before`. Raises KeyError if there is none."""
        return self.by_end[_end_of(before)]


class Predictor:
    """The n-gram models, and the weights that mix them with the network."""

    def __init__(self, known: str, max_chars: float = math.inf) -> None:
        """`known`: the network's alphabet. `max_chars`: limit of the n-gram model, besides the current document."""
        self.alphabet = Alphabet(known)
        self.ngrams = NGramModel(self.alphabet, max_chars)
        self.mixture = Mixture()
        """The weights of the mixture."""
        self._kind_of = np.zeros(0, np.int64)

    def copy(self) -> "Predictor":
        """Return an independent copy: indexing and learning do not change this one."""
        other = copy.copy(self)
        other.ngrams, other.mixture = self.ngrams.copy(), copy.deepcopy(self.mixture)
        return other

    def kind_of(self) -> NDArray[np.int64]:
        """The kind of each symbol, (A + 1,), as an index of KINDS."""
        n_known = len(self._kind_of)
        if n_known <= (n := len(self.alphabet)):
            new = [KINDS.index(kind_of(self.alphabet.character_of(i))) for i in range(max(1, n_known), n + 1)]
            self._kind_of = np.append(self._kind_of, [0] * (n_known == 0) + new)
        return self._kind_of

    def predict(self, cache: PredictionCache, logits: Floats, before: str) -> Prediction:
        """The prediction after `before`, of which only the end matters, given the network's logits, (V,)."""
        continuation = Continuation(self, cache, before)
        continuation.draft(0)
        continuation.verify(logits[None])
        return cache.at(before)

    def likeliest(self, cache: PredictionCache, logits: Floats, before: str) -> Decoded:
        """The most probable character and its log p, for `plain_decode`."""
        [best] = self.predict(cache, logits, before).likeliest(1, self.alphabet)
        return best

    def learn(self, cache: PredictionCache, place: Place, character: str) -> bool:
        """Learn, once, that `character` was typed at `place`; return False if the cache has no prediction for it."""
        if (cache.place.document, cache.place.after) != (place.document, place.after):
            return False
        if (prediction := cache.by_end.pop(_end_of(place.before), None)) is None:
            return False
        self.mixture.learn(prediction, prediction.entry_of(character, self.alphabet))
        return True

    def bits(self, prediction: Prediction, character: str) -> dict[str, float]:
        """Cost of `character`: -log2 p by each predictor."""
        index = prediction.entry_of(character, self.alphabet)
        log_probs = {"network": prediction.rows[0], "memory": prediction.rows[1], "mixed": prediction.log_probs}
        return {name: -float(row[index]) / math.log(2) for name, row in log_probs.items()}


class Continuation:
    """The predicted continuation of a text: `draft` and `verify` alternate, each starting where the other ended."""

    def __init__(self, predictor: Predictor, cache: PredictionCache, text: str) -> None:
        """The document of `cache` must be indexed with the text there; predictions are added to `cache`."""
        self._predictor, self._cache = predictor, cache
        self._context = context_of(predictor.alphabet, text)
        self._n_chars, self._end = _end_of(text)
        headers = predictor.ngrams.headers()
        name = cache.place.document
        file = predictor.ngrams.segment(name) if name is not None else None
        self._n_workspace = len(headers)
        self._headers = headers if file is None else np.append(headers, [np.array(file.header(1))], axis=0)
        self._possible = predictor.ngrams.possible()
        self._kind_of = predictor.kind_of()

    def draft(self, max_chars: int) -> str:
        """The greedy continuation by the n-gram models alone, while it is probable; at most `max_chars`."""
        mixture, possible = self._predictor.mixture, self._possible
        self._looked_up = np.empty((max_chars + 1, 2, len(possible)))
        self._drafted, self._contexts = draft(
            self._headers, self._n_workspace, ORDER_ROW, DISCOUNT_ROW, possible, (mixture.by_order, mixture.by_kind),
            self._kind_of, self._context, max_chars, MIN_DRAFT_LOG_P, self._looked_up,
        )  # fmt: skip
        return "".join(map(self._predictor.alphabet.character_of, self._drafted.tolist()))

    def verify(self, logits: Floats) -> list[Decoded]:
        """The correct drafted characters, and one more, given logits (1 + n, V) after the text and each of them."""
        mixture, n = self._predictor.mixture, len(logits)
        rows, log_probs = np.empty((n, 3, len(self._possible))), np.empty((n, len(self._possible)))
        n_right, likeliest = verify(
            logits, self._drafted, self._looked_up, self._contexts, self._possible, (mixture.by_order, mixture.by_kind),
            rows, log_probs,
        )  # fmt: skip
        decoded = list[Decoded]()
        for i in range(n_right + 1):
            prediction = Prediction(log_probs[i], rows[i], int(self._contexts[0, i]), int(self._contexts[1, i]))
            self._cache.by_end[self._n_chars, self._end] = prediction
            index = likeliest[i]
            character = self._predictor.alphabet.character_of(index + 1)
            decoded.append((character, float(log_probs[i, index])))
            self._n_chars, self._end = self._n_chars + 1, (self._end + character)[-DEPTH:]
        self._context = np.append(self._context, (likeliest[: n_right + 1] + 1).astype(np.uint16))[-DEPTH:]
        return decoded


def kind_of(character: str) -> str:
    """The kind of a character, one of KINDS."""
    if character.isalpha():
        return "lower" if character.islower() else "upper"
    return "digit" if character.isdigit() else SIGNS.get(character, "other")


def _end_of(before: str) -> tuple[int, str]:
    """Length and end of a text: distinguishes it from its prefixes and continuations."""
    return len(before), before[-DEPTH:]
