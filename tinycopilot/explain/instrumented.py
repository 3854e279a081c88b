"""The forward pass in readable NumPy, with all intermediate results. A test compares its logits with forward.py's.

The letters in shapes: T positions, N of them shown (the last ones), L layers, H heads, D a head's width, C = H * D the
model's width, F = 4 * C, V vocabulary, W window, K convolution width.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.forward import EPSILON
from tinycopilot.completion.network import Floats, Network

BLOCK: Final = 256
"""Attention is computed for this many queries at a time, which bounds its memory."""


@dataclass(frozen=True)
class Block:
    """Activations of one layer, for the N shown positions."""

    q: Floats
    """(H, N, D), rotated."""
    k: Floats
    """(H, N, D), rotated."""
    weights: Floats
    """(H, N, N): attention weights between shown positions; queries are rows. The rest of 1 is of those before."""
    attended: Floats
    """(N, C): output of attention, which is added to the residual stream."""
    hidden: Floats
    """(N, F): hidden activations of the feed-forward layer."""
    fed_forward: Floats
    """(N, C): output of the feed-forward layer, which is added to the residual stream."""
    stream: Floats
    """(N, C): the residual stream after the block."""


@dataclass(frozen=True)
class Pass:
    """Activations of a forward pass, for the N shown positions."""

    embedded: Floats
    """(N, C): the residual stream before the first block."""
    blocks: list[Block]
    lens: Floats
    """(L + 1, N, V): logits of the head applied after the embedding and after each block (logit lens).

    The last ones are the network's.
    """


def read(network: Network, ids: list[int], n_shown: int) -> Pass:
    """Run the network on `ids`, (T,); return the activations for the last `n_shown` positions."""
    config, weights = network.config, network.weights()
    x = weights.embedding[ids]  # (T, C), the residual stream
    streams, blocks = [x[-n_shown:]], list[Block]()
    for layer in range(config.n_layers):
        h = convolve(layer_norm(x, *weights.vectors[layer, 0, :2]), weights.vectors[layer, 0, 2:])
        q, k, v = np.split(h @ weights.qkv[layer].T, 3, axis=1)  # (T, C) each
        q, k, v = (split_heads(part, config.n_heads) for part in (q, k, v))  # (H, T, D) each
        q, k = rotate(q, weights.rates), rotate(k, weights.rates)
        y, weights_shown = attend(q, k, v, config.window, n_shown)
        attended = y @ weights.o_proj[layer].T  # (T, C)
        x = x + attended
        h = convolve(layer_norm(x, *weights.vectors[layer, 1, :2]), weights.vectors[layer, 1, 2:])
        hidden = gelu(h @ weights.up[layer].T)  # (T, F)
        fed_forward = hidden @ weights.down[layer].T  # (T, C)
        x = x + fed_forward
        shown = (part[-n_shown:] for part in (attended, hidden, fed_forward, x))
        blocks.append(Block(q[:, -n_shown:], k[:, -n_shown:], weights_shown, *shown))
        streams.append(x[-n_shown:])
    lens = layer_norm(np.stack(streams), *weights.last_norm) @ weights.head.T  # (L + 1, N, V)
    return Pass(streams[0], blocks, lens)


def layer_norm(x: Floats, gain: Floats, bias: Floats) -> Floats:
    """(x - mean) / standard deviation * gain + bias, along the last axis."""
    centered = x - x.mean(-1, keepdims=True)
    variance = np.square(centered).mean(-1, keepdims=True)
    return np.asarray(centered / np.sqrt(variance + np.float32(EPSILON)) * gain + bias, np.float32)


def convolve(h: Floats, taps: Floats) -> Floats:
    """Add to each channel its weighted values at the K - 1 positions before: `h` (T, C), `taps` (K - 1, C)."""
    result = h.copy()
    for distance, tap in enumerate(taps, 1):
        result[distance:] += tap * h[:-distance]
    return result


def split_heads(x: Floats, n_heads: int) -> Floats:
    """(T, C) -> (H, T, D)."""
    return x.reshape(len(x), n_heads, -1).transpose(1, 0, 2)


def rotate(x: Floats, rates: NDArray[np.float64]) -> Floats:
    """Turn each pair (i, i + D/2) of `x`, (H, T, D), by its position's angle: rotary positions (Su et al. 2021)."""
    angles = np.arange(x.shape[1])[:, None] * rates  # (T, D/2), in float64
    cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate((a * cos - b * sin, b * cos + a * sin), axis=-1)


def attend(q: Floats, k: Floats, v: Floats, window: int, n_shown: int) -> tuple[Floats, Floats]:
    """Return softmax(q k / sqrt(D)) v, (T, C), where each query sees the last W positions; and the shown weights."""
    H, T, D = q.shape  # noqa: N806
    y = np.empty_like(q)
    for start in range(0, T, BLOCK):
        end = min(T, start + BLOCK)
        weights = attention_weights(q, k, start, end, window)
        y[:, start:end] = weights @ v[:, end - weights.shape[2] : end]
    shown = attention_weights(q, k, T - n_shown, T, window)[:, :, -n_shown:]
    return y.transpose(1, 0, 2).reshape(T, H * D), shown


def attention_weights(q: Floats, k: Floats, start: int, end: int, window: int) -> Floats:
    """Return the weights of the queries from `start` to `end`, for all keys before `end` that one of them sees."""
    first = max(0, start - window + 1)
    query, key = np.arange(start, end)[:, None], np.arange(first, end)
    is_seen = (key <= query) & (key > query - window)  # the band
    scores = q[:, start:end] @ k[:, first:end].transpose(0, 2, 1) / np.float32(math.sqrt(q.shape[2]))
    return softmax(np.where(is_seen, scores, -np.inf))  # (H, queries, keys)


def softmax(z: Floats) -> Floats:
    """exp(z) / sum of exp(z), along the last axis."""
    z = np.exp(z - z.max(-1, keepdims=True))
    return np.asarray(z / z.sum(-1, keepdims=True), np.float32)


def gelu(x: Floats) -> Floats:
    """x * Phi(x), where Phi is the normal distribution's (Hendrycks and Gimpel 2016).

    1 - Phi(|x|) to 1.5e-7 (Abramowitz and Stegun 1964, 7.1.26).
    """
    z = np.abs(x) * np.float32(math.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * z)
    p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    tail = 0.5 * p * np.exp(-z * z)
    return np.asarray(x * np.where(x < 0, tail, 1 - tail), np.float32)
