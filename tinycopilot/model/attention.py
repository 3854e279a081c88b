"""Rotary positions, and attention over the last W positions: a readable reference, and a fast equivalent."""

import math
from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tinycopilot.model.cache import LayerCache

ROTARY_BASE = 10_000.0


def band_mask(n_queries: int, n_keys: int, window: int, device: torch.device | None = None) -> Tensor:
    """Return a (T, S) mask, True where a query attends to a key: itself and the `window - 1` keys before it.

    Aligned lower-right: the last query and the last key are the same position, since the first S - T keys come from a
    cache. (PyTorch's `is_causal` aligns upper-left, which differs as soon as there is a cache.)
    """
    query = torch.arange(n_keys - n_queries, n_keys, device=device)[:, None]  # (T, 1)
    key = torch.arange(n_keys, device=device)  # (S)
    return (key <= query) & (key > query - window)


def rotary_phases(first: int, n: int, d_head: int) -> tuple[Tensor, Tensor]:
    """Return cosines and sines, (n, D) each, of positions first ... first + n - 1 (Su et al. 2021, RoFormer).

    Computed in float64, so that differences of angles stay exact at large positions; on the CPU, because not every
    device has float64.
    """
    rates = ROTARY_BASE ** (-torch.arange(0, d_head, 2, dtype=torch.float64) / d_head)  # (D/2)
    angles = torch.arange(first, first + n, dtype=torch.float64)[:, None] * rates  # (n, D/2)
    sines = angles.sin()
    return angles.cos().repeat(1, 2), torch.cat((-sines, sines), dim=-1)


def rotate(x: Tensor, phases: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate each pair (x[i], x[i + D/2]) of `x`, (..., T, D), by its position's angle; pairs as in GPT-NeoX.

    (a, b) becomes (a cos - b sin, b cos + a sin).
    """
    cos, sin = phases
    return torch.addcmul(x * cos, x.roll(x.size(-1) // 2, dims=-1), sin)


def scaled_dot_product_attention(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor) -> Tensor:
    """Return softmax(q kᵀ / √D) v where `attn_mask` is True (Vaswani et al. 2017, equation 1): the definition.

    q is (B, H, T, D), k and v are (B, H, S, D), attn_mask is (T, S). Returns (B, H, T, D).
    """
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))  # (B, H, T, S)
    scores = scores.masked_fill(~attn_mask, -math.inf)  # masked keys get weight 0
    weights = scores.softmax(dim=-1)  # (B, H, T, S), each row sums to 1
    return weights @ v  # (B, H, T, D)


CAUSAL: Final = "causal"
Bias = Tensor | Literal["causal"] | None
"""(T, S), 0 where a query attends to a key and -inf elsewhere; or CAUSAL; or None if it attends to all."""


def fast_attention(q: Tensor, k: Tensor, v: Tensor, bias: Bias) -> Tensor:
    """Return scaled_dot_product_attention, computed by the fastest kernel; a test compares the two.

    PyTorch's fused kernel does not store the scores, and with a causal mask skips those above the diagonal. With any
    other mask on a CPU, one `baddbmm` that scales, multiplies and masks is faster (figures in benchmarks/LOG.md).
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
        """(B, T, C) -> (B, T, C). With a cache, the T new positions also attend to the cached keys and values."""
        B, T, C = x.shape  # noqa: N806
        heads = self.qkv(x).view(B, T, 3, self.n_heads, C // self.n_heads).permute(2, 0, 3, 1, 4)  # (3, B, H, T, D)
        q, k = rotate(heads[:2], phases).type_as(heads)  # (B, H, T, D) each
        v = heads[2]
        if cache is not None:
            k, v = cache.keys.append(k), cache.values.append(v)  # (B, H, S, D) each
        y = fast_attention(q, k, v, attn_bias)
        return self.o_proj(y.transpose(1, 2).reshape(B, T, C))
