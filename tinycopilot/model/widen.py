"""Widen a network without changing its output, to train it further or to measure the speed of a larger size."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tinycopilot import UserError
from tinycopilot.model.config import GPTConfig

Weights = dict[str, NDArray[np.float32]]
"""By the names and shapes of `GPTConfig.weight_shapes`."""


def widened(
    old: GPTConfig, weights: Mapping[str, NDArray[np.float32]], n_layers: int, n_heads: int, d_model: int, seed: int = 0
) -> tuple[GPTConfig, Weights]:
    """Return a network of that shape that computes the same function (Net2Net, Chen et al. 2016).

    Each channel of the residual stream is repeated, so that LayerNorm sees the same mean and variance. The new
    outputs to it are zero, and what feeds them is random (`seed`), as before training, so that all of it can learn.
    Raises UserError if the shapes do not allow it.
    """
    new = dataclasses.replace(old, n_layers=n_layers, n_heads=n_heads, d_model=d_model)
    if d_model % old.d_model or n_layers < old.n_layers or n_heads < old.n_heads or new.d_head % old.d_head:
        raise UserError(
            f"cannot widen {old.n_layers} layers, {old.n_heads} heads and {old.d_model} channels to "
            f"{n_layers}, {n_heads} and {d_model}: choose a larger size, or a model whose channels divide its channels"
        )
    times = d_model // old.d_model
    wide = _untrained(new, seed)
    for name, weight in weights.items():
        if weight.ndim == 1 or name == "embedding.weight" or name.endswith(".taps"):
            wide[name][:] = np.tile(weight, times)  # channels are the last dimension
        elif name == "head.weight":
            wide[name][:, : old.d_model] = weight
        elif name.endswith("ffn.up.weight"):
            wide[name][: old.d_ff] = _padded(weight, d_model)
        elif name.endswith("ffn.down.weight"):
            wide[name][:, : old.d_ff] = np.tile(weight, (times, 1))
    channels = _channels_of_heads(old, new)
    for layer in range(old.n_layers):
        qkv, o_proj = f"blocks.{layer}.attn.qkv.weight", f"blocks.{layer}.attn.o_proj.weight"
        parts = weights[qkv].reshape(3, old.d_model, old.d_model).copy()
        parts[0] *= math.sqrt(new.d_head / old.d_head)  # attention divides by sqrt(D)
        wide[qkv][d_model : d_model + old.n_heads * new.d_head] = 0  # else, new channels would change old heads' scores
        for i, part in enumerate(parts):
            wide[qkv][i * d_model + channels] = _padded(part, d_model)
        wide[o_proj][:, channels] = np.tile(weights[o_proj], (times, 1))
    return new, wide


def _untrained(config: GPTConfig, seed: int) -> Weights:
    """Weights as TinyGPT initializes them, except for embedding and head, which are zero."""
    random, weights = np.random.default_rng(seed), Weights()
    for name, shape in config.weight_shapes().items():
        if name.endswith(("qkv.weight", "up.weight")):
            weights[name] = random.normal(0, config.init_std, shape).astype(np.float32)
        else:
            is_scale = ".ln" in name and name.endswith(".weight")
            weights[name] = np.full(shape, float(is_scale), np.float32)
    return weights


def _padded(weight: NDArray[np.float32], n_inputs: int) -> NDArray[np.float32]:
    """The matrix, (outputs, inputs), with zeros for further inputs."""
    return np.pad(weight, ((0, 0), (0, n_inputs - weight.shape[1])))


def _channels_of_heads(old: GPTConfig, new: GPTConfig) -> NDArray[np.int64]:
    """Return the new index of each channel of the old heads, (C,), with the same rotary frequency."""
    channel = np.arange(old.d_head // 2) * (new.d_head // old.d_head)
    in_head = np.concatenate((channel, channel + new.d_head // 2))
    return (np.arange(old.n_heads)[:, None] * new.d_head + in_head).reshape(-1)
