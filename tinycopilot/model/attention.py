"""Rotary positions, and attention that sees the last W positions: the readable reference, and the fast path."""

import functools
import math
from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tinycopilot.model.cache import LayerCache

ROTARY_BASE = 10_000.0


def band_mask(n_queries: int, n_keys: int, window: int, device: torch.device | None = None) -> Tensor:
    """(T, S) booleans, True where a query may look: at itself and at the `window - 1` keys before it.

    Aligned lower-right: the last query is the last key's own position, as it is when the first S - T keys come from a
    cache. (PyTorch's `is_causal` aligns upper-left, which is another thing as soon as there is a cache.)
    """
    query = torch.arange(n_keys - n_queries, n_keys, device=device)[:, None]  # (T, 1)
    key = torch.arange(n_keys, device=device)  # (S)
    return (key <= query) & (key > query - window)


def rotary_phases(first: int, n: int, d_head: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines, (n, D) each, of positions first ... first + n - 1 (Su et al. 2021, RoFormer), for `rotate`.

    In float64: attention depends on differences of angles alone, and so stays exact however far a position has slid.
    On the CPU, since not every device has float64.
    """
    angles = torch.arange(first, first + n, dtype=torch.float64)[:, None] * _rotary_rates(d_head)  # (n, D/2)
    sines = angles.sin()
    return angles.cos().repeat(1, 2), torch.cat((-sines, sines), dim=-1)


@functools.cache
def _rotary_rates(d_head: int) -> Tensor:
    return ROTARY_BASE ** (-torch.arange(0, d_head, 2, dtype=torch.float64) / d_head)


def rotate(x: Tensor, phases: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair (x[i], x[i + D/2]) of `x`, (..., T, D), by its position's angle: paired as in GPT-NeoX.

    (a, b) becomes (a cos - b sin, b cos + a sin).
    """
    cos, sin = phases
    return torch.addcmul(x * cos, x.roll(x.size(-1) // 2, dims=-1), sin)


def scaled_dot_product_attention(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor) -> Tensor:
    """softmax(q kᵀ / √D) v, where `attn_mask` is True (Vaswani et al. 2017, equation 1): the definition, for reading.

    q is (B, H, T, D); k and v are (B, H, S, D); attn_mask is (T, S); the answer is (B, H, T, D).
    """
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))  # (B, H, T, S): how well each query fits each key
    scores = scores.masked_fill(~attn_mask, -math.inf)  # what may not be seen weighs nothing
    weights = scores.softmax(dim=-1)  # each query's weights add up to one
    return weights @ v


CAUSAL: Final = "causal"
Bias = Tensor | Literal["causal"] | None
"""(T, S), 0 where a query may look and -inf elsewhere; CAUSAL if each sees itself and all before it; None for all."""


def fast_attention(q: Tensor, k: Tensor, v: Tensor, bias: Bias) -> Tensor:
    """Compute scaled_dot_product_attention as quickly as this machine can.

    PyTorch's fused kernel never stores the scores, and skips those above the diagonal if it knows that the mask is
    causal. With any other mask on a CPU, one `baddbmm` that scales, multiplies and masks is quicker: benchmarks/LOG.md
    has the figures.
    """
    if isinstance(bias, str):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    B, H, T, D = q.shape  # noqa: N806
    S = k.size(2)  # noqa: N806
    q, k, v = q.reshape(B * H, T, D), k.reshape(B * H, S, D), v.reshape(B * H, S, D)
    if bias is None:
        scores = torch.bmm(q, k.transpose(1, 2)) / math.sqrt(D)
    else:
        scores = torch.baddbmm(bias.expand(B * H, T, S), q, k.transpose(1, 2), alpha=1 / math.sqrt(D))
    return (scores.softmax(dim=-1) @ v).view(B, H, T, D)


class MultiHeadSelfAttention(nn.Module):
    """H heads of attention over the last W positions, with one fused projection in (`qkv`) and one out (`o_proj`)."""

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.o_proj = nn.Linear(d_model, d_model, bias=False)

    def forward(
        self, x: Tensor, phases: tuple[Tensor, Tensor], attn_bias: Bias, cache: LayerCache | None = None
    ) -> Tensor:
        """(B, T, C) -> (B, T, C). With a cache, the T new positions also see the keys and values that it holds."""
        B, T, C = x.shape  # noqa: N806
        heads = self.qkv(x).view(B, T, 3, self.n_heads, C // self.n_heads).permute(2, 0, 3, 1, 4)  # (3, B, H, T, D)
        q, k = rotate(heads[:2], phases).type_as(heads)  # (B, H, T, D) each
        v = heads[2]
        if cache is not None:
            k, v = cache.append(k, v)  # (B, H, S, D) each
        y = fast_attention(q, k, v, attn_bias)
        return self.o_proj(y.transpose(1, 2).reshape(B, T, C))
