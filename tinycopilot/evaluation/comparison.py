"""Compare two models on the same code, mixed with the same n-gram model: is the difference significant?"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinycopilot.completion.network import Floats, Network
from tinycopilot.completion.predictor import Place, PredictionCache, Predictor
from tinycopilot.evaluation.excerpts import Excerpt
from tinycopilot.evaluation.workspace import WorkspaceIndex
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer

MIN_GAIN = 0.002
"""Minimum gain, as a share of the bits before."""
N_DEVIATIONS = 2.0
"""Minimum gain, in standard errors of the mean over pieces."""
PIECE_CHARS = 100
"""Length of a piece. Neighboring characters are correlated, so the standard error is that of piece means."""

Bits = dict[str, list[float]]
"""-log2 p of each character, by predictor: `network`, `mixed`."""


@dataclass(frozen=True)
class Comparison:
    """Bits of two models on the same characters."""

    before: Bits
    now: Bits
    n_files: int

    @property
    def gain(self) -> float:
        """Bits per character saved by the new model, mixed."""
        return statistics.fmean(self._gains)

    @property
    def _gains(self) -> list[float]:
        return [old - new for old, new in zip(self.before["mixed"], self.now["mixed"], strict=True)]

    @property
    def noise(self) -> float:
        """The standard error of the gain; infinite with too little data."""
        gains = self._gains
        pieces = [statistics.fmean(gains[i : i + PIECE_CHARS]) for i in range(0, len(gains), PIECE_CHARS)]
        return statistics.stdev(pieces) / math.sqrt(len(pieces)) if len(pieces) > 1 else math.inf

    @property
    def is_better(self) -> bool:
        """Whether the new model is better, significantly."""
        return self.gain >= max(MIN_GAIN * statistics.fmean(self.before["mixed"]), N_DEVIATIONS * self.noise)

    def figures(self) -> dict[str, Any]:
        """Return the means, for JSON."""
        return {
            "better": self.is_better,
            "before": _means(self.before),
            "now": _means(self.now),
            "files": self.n_files,
            "chars": len(self.now["mixed"]),
        }

    def summary(self) -> str:
        """Return `1.020 -> 0.970 bits per character on 3 files held out (network alone: ...)`."""
        before, now = _means(self.before), _means(self.now)
        files = f"{self.n_files} file{'s' * (self.n_files > 1)}"
        return (
            f"{before['mixed']:.3f} -> {now['mixed']:.3f} bits per character on {files} held out "
            f"(network alone: {before['network']:.3f} -> {now['network']:.3f})"
        )


def _means(bits: Bits) -> dict[str, float]:
    return {source: round(statistics.fmean(costs), 4) for source, costs in bits.items()}


def measure_bits(
    network: Network,
    tokenizer: SimpleTokenizer,
    texts: Mapping[str, str],
    excerpts: Sequence[Excerpt],
    done: Callable[[float], None] = lambda _: None,
) -> Bits:
    """Return the bits of each character of `excerpts`, with the rest of `texts` and the typed part of the file indexed.

    `done` is called with the finished share.
    """
    predictor = Predictor(tokenizer.alphabet)
    index = WorkspaceIndex(predictor.ngrams)
    index.load(texts)
    bits: Bits = {"network": [], "mixed": []}
    n_chars = sum(excerpt.last - excerpt.first for excerpt in excerpts)
    for excerpt in excerpts:
        with index.excluding_duplicates_of(excerpt):
            for at, logits in enumerate(network_logits(network, tokenizer, excerpt), start=excerpt.first):
                place = Place(excerpt.name, excerpt.text[:at], "")
                predictor.ngrams.hold(excerpt.name, place.before, place.after)
                predictions = PredictionCache(place)
                cost = predictor.bits(predictor.predict(predictions, logits, place.before), excerpt.text[at])
                predictor.learn(predictions, place, excerpt.text[at])
                for source, costs in bits.items():
                    costs.append(cost[source])
                done(len(bits["mixed"]) / n_chars)
    return bits


def network_logits(network: Network, tokenizer: SimpleTokenizer, excerpt: Excerpt) -> Floats:
    """Return the logits for each character of the excerpt, (n, V), through a sliding window."""
    text = DOCUMENT_START + excerpt.text[: excerpt.last - 1]
    n = excerpt.last - excerpt.first
    start = network.config.context_start(len(text) - n)
    return network.forward(tokenizer.encode(text[start:]), network.new_cache(), n_last=n)
