"""The attention panel: where each head looks, and the q and k that its scores are made of."""

import math
from typing import Any, Final

import numpy as np

from tinycopilot.explain.subject import Subject
from tinycopilot.page.arrays import Arrays, as_shares, significant

MAX_BYTES: Final = 2_500_000
"""Of all weights, queries and keys, before they are compressed: a larger network shows fewer positions."""


def n_positions(n: int, n_heads: int, d_head: int) -> int:
    """How many of the last `n` positions have room in MAX_BYTES; `n_heads` of all layers together."""
    # n_heads (2 m^2 + 4 d_head m) <= MAX_BYTES
    m = math.sqrt(d_head**2 + MAX_BYTES / (2 * n_heads)) - d_head
    return max(1, min(n, int(m)))


def attention(subject: Subject, arrays: Arrays) -> dict[str, Any]:
    """The number of positions that are shown, M; weights (L, H, M, M), q and k (L, H, M, D) are in `arrays`."""
    config, layers = subject.network.config, [block.attention for block in subject.passed.blocks]
    n = len(subject.text)
    m = n_positions(n, config.n_layers * config.n_heads, config.d_head)
    weights = np.stack([layer.weights[:, -m:, -m:] for layer in layers])  # (L, H, M, M)
    arrays.add("attention", as_shares(weights), "uint16")
    arrays.add("earlier", as_shares(1 - weights.sum(-1)), "uint16")  # (L, H, M)
    arrays.add("q", np.stack([layer.q[:, -m:] for layer in layers]), "float16")
    arrays.add("k", np.stack([layer.k[:, -m:] for layer in layers]), "float16")
    distance = np.arange(m)[:, None] - np.arange(m)
    mean = (weights * np.maximum(distance, 0)).sum(-1) / np.maximum(weights.sum(-1), 1e-9)  # (L, H, M)
    rates = subject.network.weights().rates
    return {
        "shown": m,
        "window": config.window,
        "distance": [[significant(float(x)) for x in layer] for layer in mean.mean(-1)],
        "rates": [significant(float(rate)) for rate in rates],
    }
