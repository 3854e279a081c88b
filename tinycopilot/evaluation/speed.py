"""Decoding speed: without cache, with cache, and with drafts (speculative decoding); all must give the same text."""

import time
from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import Any

from tinycopilot.completion.decoding import (
    MAX_DRAFT_CHARS,
    DecodingStep,
    Reader,
    decode_steps,
    network_logits,
    plain_decode,
)
from tinycopilot.completion.engine import Engine
from tinycopilot.completion.network import Network
from tinycopilot.completion.predictor import Continuation, Place, PredictionCache
from tinycopilot.completion.request import common_prefix_len
from tinycopilot.evaluation.scenarios import Step

N_CHARS = {"plain": 4, "cached": 40, "drafted": 40}
"""Characters decoded at each position; without the cache, each takes about 100 times as long."""
DRAFT_CHARS = {"cached": 0, "drafted": MAX_DRAFT_CHARS}


def measure_speed(engine: Engine, network: Network, steps: Sequence[Step]) -> dict[str, Any]:
    """Decode at each of `steps`, with the methods interleaved, so that noise affects all equally.

    Returns characters per second by method, the accepted share of drafted characters, and how many texts differ between
    the methods; rounding can decide between two equally likely characters.
    """
    tokenizer, seconds = engine.tokenizer, dict.fromkeys(N_CHARS, 0.0)
    n_drafted = n_correct = n_unequal = 0
    reader = Reader(network, tokenizer)
    for step in steps:
        engine.ngrams.hold(step.document, step.before, step.after)
        texts = dict[str, str]()
        for name, n_chars in N_CHARS.items():
            predictions = PredictionCache(Place(step.document, step.before, step.after))
            reader.read(step.before)
            since = time.perf_counter()
            if name == "plain":
                choose = partial(engine.predictor.likeliest, predictions)
                decoded = plain_decode(network_logits(network, tokenizer, step.before), choose, step.before)
            else:
                continuation, reads = Continuation(engine.predictor, predictions, step.before), list[DecodingStep]()
                taken = decode_steps(reader, continuation, step.before, max_draft_chars=DRAFT_CHARS[name])
                while sum(len(read.accepted) for read in reads) < n_chars:
                    reads.append(next(taken))
                decoded = (one for read in reads for one in read.accepted)
            texts[name] = "".join(character for character, _ in islice(decoded, n_chars))
            seconds[name] += time.perf_counter() - since
        n_unequal += texts["cached"] != texts["drafted"] or not texts["cached"].startswith(texts["plain"])
        came = texts["drafted"]
        for read in reads:  # the steps of "drafted", the last method
            n_drafted += min(len(read.drafted), len(came))  # the rest was not decoded
            n_correct += common_prefix_len(read.drafted, came)
            came = came[len(read.accepted) :]
    return {
        "chars_per_second": {name: round(len(steps) * n / seconds[name], 1) for name, n in N_CHARS.items()},
        "accepted_drafts": round(n_correct / n_drafted, 4) if n_drafted else None,
        "unequal_texts": n_unequal,
    }
