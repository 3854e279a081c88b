"""Generate text with the compiled network, one character at a time, by greedy decoding or sampling."""

from collections.abc import Iterator, Sequence

import numpy as np

from tinycopilot.completion.network import Floats, Network
from tinycopilot.model.config import COLD


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
