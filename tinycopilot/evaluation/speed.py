"""Decoding speed, start time and memory of the engine, without suggestions.

`python -m tinycopilot.evaluation.speed N_CHARS SIZE MODEL TOKENIZER` prints memory and start time as JSON.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from tinycopilot.completion.decoding import (
    MAX_DRAFT_CHARS,
    DecodingStep,
    Reader,
    decode_steps,
    network_logits,
    plain_decode,
)
from tinycopilot.completion.engine import Engine, Request
from tinycopilot.completion.network import Network
from tinycopilot.completion.predictor import Continuation, Place, PredictionCache
from tinycopilot.completion.request import common_prefix_len
from tinycopilot.completion.segments import release_memory
from tinycopilot.evaluation.scenarios import Step, index_stdlib, load_widened
from tinycopilot.paths import ModelPaths
from tinycopilot.process import memory_bytes

N_CHARS = {"plain": 4, "cached": 40, "drafted": 40}
"""Characters decoded at each position; without the cache, each takes about 100 times as long."""
DRAFT_CHARS = {"cached": 0, "drafted": MAX_DRAFT_CHARS}
PROBE_LIMIT_S = 300
FIRST_TEXT = "import os\n\n\ndef main("


def measure_speed(engine: Engine, network: Network, steps: Sequence[Step]) -> dict[str, Any]:
    """Decode at each of `steps`: without cache, with cache, and with drafts (speculative decoding).

    The methods are interleaved, so that noise affects all equally.

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


def measure_footprint(paths: ModelPaths, n_chars: int, size: str | None = None) -> dict[str, Any]:
    """Return `rss_mb` {engine, workspace} and `start_s` of a separate process; indexing `n_chars` adds `workspace`.

    `size`: widen the model to this size. `rss_mb` is None without /proc.
    """
    started = time.time()
    command = [sys.executable, "-P", "-m", __name__, str(n_chars), size or "", str(paths.model), str(paths.tokenizer)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PROBE_LIMIT_S)
    measured = json.loads(done.stdout)
    return {"rss_mb": measured["rss_mb"], "start_s": round(measured["ready_at"] - started, 2)}


def _measure_here(n_chars: int, size: str, paths: ModelPaths) -> dict[str, Any]:
    """Measure, in the child process."""
    engine = Engine(*load_widened(paths, size or None))
    engine.complete(Request(FIRST_TEXT))
    ready_at = time.time()
    release_memory()  # what loading the model freed would count as the engine's, and be reused by the index
    before = memory_bytes()
    index_stdlib(engine.ngrams, n_chars)
    engine.complete(Request(FIRST_TEXT))
    rss_mb = None
    if before is not None and (after := memory_bytes()) is not None:
        rss_mb = {"engine": round(before / 1e6, 1), "workspace": round((after - before) / 1e6, 1)}
    return {"rss_mb": rss_mb, "ready_at": ready_at}


if __name__ == "__main__":
    n_chars, size, *files = sys.argv[1:]
    sys.stdout.write(json.dumps(_measure_here(int(n_chars), size, ModelPaths(*map(Path, files)))))
