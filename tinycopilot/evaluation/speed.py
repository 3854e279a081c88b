"""Decoding speed: without cache, with cache, and with drafts (speculative decoding); all must give the same text."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from tinycopilot.completion.common_prefix import common_prefix_len
from tinycopilot.completion.decoding import (
    MAX_DRAFT_CHARS,
    Reader,
    decode,
    network_logits,
    plain_decode,
)
from tinycopilot.completion.engine import Engine
from tinycopilot.completion.network import Network
from tinycopilot.completion.predictor import Continuation, Place, PredictionCache
from tinycopilot.completion.recorder import Recorder
from tinycopilot.evaluation.scenarios import Step

N_CHARS = {"plain": 4, "cached": 40, "drafted": 40}
"""Characters decoded at each position; without the cache, each takes about 100 times as long."""
DRAFT_CHARS = {"cached": 0, "drafted": MAX_DRAFT_CHARS}


@dataclass
class DecodingSpeed:
    """Measurements of decoding."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(N_CHARS, 0.0))
    chars: dict[str, int] = field(default_factory=lambda: dict.fromkeys(N_CHARS, 0))
    n_drafted: int = 0
    """Number of drafted characters."""
    n_correct: int = 0
    """Number of accepted drafted characters."""
    n_unequal: int = 0
    """Number of texts that differ between the methods; rounding can decide between two equally likely characters."""

    def to_json(self) -> dict[str, Any]:
        """Return characters per second, accepted share and differing texts."""
        per_second = {way: round(self.chars[way] / seconds, 1) for way, seconds in self.seconds.items()}
        share = round(self.n_correct / self.n_drafted, 4) if self.n_drafted else None
        return {"chars_per_second": per_second, "accepted_drafts": share, "unequal_texts": self.n_unequal}


def measure_speed(engine: Engine, network: Network, steps: Sequence[Step]) -> DecodingSpeed:
    """Decode at each of `steps`, with the methods interleaved, so that noise affects all equally."""
    speed, tokenizer = DecodingSpeed(), engine.tokenizer
    reader, next_logits = Reader(network, tokenizer), network_logits(network, tokenizer)
    for step in steps:
        engine.ngrams.hold(step.document, step.before, step.after)
        texts = dict[str, str]()
        for name, n_chars in N_CHARS.items():
            predictions = PredictionCache(Place(step.document, step.before, step.after))
            reader.read(step.before)
            since = time.perf_counter()
            if name == "plain":
                choose = partial(engine.predictor.likeliest, predictions)
                decoded = plain_decode(next_logits, choose, step.before)
            else:
                recorder = Recorder(Continuation(engine.predictor, predictions, step.before))
                decoded = decode(reader, recorder, step.before, max_draft_chars=DRAFT_CHARS[name])
            texts[name] = "".join(character for character, _ in islice(decoded, n_chars))
            speed.seconds[name] += time.perf_counter() - since
            speed.chars[name] += n_chars
        speed.n_unequal += texts["cached"] != texts["drafted"] or not texts["cached"].startswith(texts["plain"])
        came = texts["drafted"]
        for read in recorder.steps:  # the steps of "drafted", the last method
            speed.n_drafted += min(len(read.drafted), len(came))  # the rest was not decoded
            speed.n_correct += common_prefix_len(read.drafted, came)
            came = came[len(read.accepted) :]
    return speed
