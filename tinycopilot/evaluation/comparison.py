"""Held-out files of a workspace, and the comparison of two models on them: is the difference significant?

The files are chosen by a hash of their names, so that the choice is stable. Both models are mixed with the same n-gram
model.
"""

import hashlib
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinycopilot.completion.network import Floats, Network
from tinycopilot.completion.predictor import Place, PredictionCache, Predictor
from tinycopilot.evaluation.excerpts import Excerpt, WorkspaceIndex, are_near_duplicates, shingles
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer

HELD_OUT_SHARE = 0.1
"""Share of the files to hold out."""
MIN_HELD_OUT_CHARS = 2_000
"""Minimum of held-out text: if there is less, more files are held out, up to half of them."""
MIN_GAIN = 0.002
"""Minimum gain, as a share of the bits before."""
N_DEVIATIONS = 2.0
"""Minimum gain, in standard errors of the mean over pieces."""
PIECE_CHARS = 100
"""Length of a piece. Neighboring characters are correlated, so the standard error is that of piece means."""

Bits = list[dict[str, float]]
"""-log2 p of each character, by predictor: `network`, `mixed` and others."""


def choose_held_out(texts: Mapping[str, str]) -> list[str]:
    """Return the names of the files to hold out, those with the smallest hashes; at least one, if one is not blank.

    The choice hardly depends on the other files, so a later model, trained when there are more files, was not trained
    on them either.
    """
    names = sorted((name for name, text in texts.items() if text.strip()), key=_hash)
    chosen = list[str]()
    n_chars = 0
    for name in names:
        is_enough = bool(chosen) and (n_chars >= MIN_HELD_OUT_CHARS or 2 * len(chosen) >= len(names))
        if _hash(name) >= HELD_OUT_SHARE and is_enough:
            break
        chosen.append(name)
        n_chars += len(texts[name])
    return chosen


def _hash(name: str) -> float:
    """Return a hash of a name, from 0 to 1."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8], "big") / 2**64


def near_duplicates(texts: Mapping[str, str], chosen: list[str]) -> list[str]:
    """Return the names of other files that are near-duplicates of the `chosen` ones."""
    known = [shingles(texts[name]) for name in chosen]
    others = {name: shingles(texts[name]) for name in sorted(texts.keys() - set(chosen))}
    return [name for name, own in others.items() if any(are_near_duplicates(own, one) for one in known)]


@dataclass(frozen=True)
class Comparison:
    """Bits of two models on the same characters."""

    before: Bits
    now: Bits
    n_files: int

    @property
    def is_better(self) -> bool:
        """Whether the new model, mixed, is better, significantly: not with too little data."""
        gains = [old["mixed"] - new["mixed"] for old, new in zip(self.before, self.now, strict=True)]
        pieces = [statistics.fmean(gains[i : i + PIECE_CHARS]) for i in range(0, len(gains), PIECE_CHARS)]
        noise = statistics.stdev(pieces) / math.sqrt(len(pieces)) if len(pieces) > 1 else math.inf  # the standard error
        bits = statistics.fmean(costs["mixed"] for costs in self.before)
        return statistics.fmean(gains) >= max(MIN_GAIN * bits, N_DEVIATIONS * noise)

    def figures(self) -> dict[str, Any]:
        """Return the means, for JSON."""
        return {
            "better": self.is_better,
            "before": _means(self.before),
            "now": _means(self.now),
            "files": self.n_files,
            "chars": len(self.now),
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
    return {source: round(statistics.fmean(costs[source] for costs in bits), 4) for source in ("network", "mixed")}


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
    bits: Bits = []
    n_chars = sum(excerpt.last - excerpt.first for excerpt in excerpts)
    for excerpt in excerpts:
        with index.excluding_duplicates_of(excerpt):
            for at, logits in enumerate(network_logits(network, tokenizer, excerpt), start=excerpt.first):
                place = Place(excerpt.name, excerpt.text[:at], "")
                predictor.ngrams.hold(excerpt.name, place.before, place.after)
                predictions = PredictionCache(place)
                bits.append(predictor.bits(predictor.predict(predictions, logits, place.before), excerpt.text[at]))
                predictor.learn(predictions, place, excerpt.text[at])
                done(len(bits) / n_chars)
    return bits


def network_logits(network: Network, tokenizer: SimpleTokenizer, excerpt: Excerpt) -> Floats:
    """Return the logits for each character of the excerpt, (n, V), through a sliding window."""
    text = DOCUMENT_START + excerpt.text[: excerpt.last - 1]
    n = excerpt.last - excerpt.first
    start = network.config.context_start(len(text) - n)
    return network.forward(tokenizer.encode(text[start:]), network.new_cache(), n_last=n)
