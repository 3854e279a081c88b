import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from tinycopilot.model.attention import (
    CAUSAL,
    band_mask,
    fast_attention,
    rotary_phases,
    rotate,
    scaled_dot_product_attention,
)


@pytest.mark.slow
@given(n_queries=st.integers(1, 12), n_cached=st.integers(0, 12), window=st.integers(1, 16), seed=st.integers(0, 1000))
def test_both_attentions_equal_pytorch(n_queries: int, n_cached: int, window: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    n_keys = n_queries + n_cached
    q = torch.randn(2, 3, n_queries, 8, dtype=torch.float64, generator=generator)
    k, v = torch.randn(2, 2, 3, n_keys, 8, dtype=torch.float64, generator=generator)
    mask = band_mask(n_queries, n_keys, window)
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    torch.testing.assert_close(scaled_dot_product_attention(q, k, v, mask), expected)
    bias = torch.zeros(mask.shape, dtype=q.dtype).masked_fill(~mask, -math.inf)
    torch.testing.assert_close(fast_attention(q, k, v, bias), expected)
    if n_cached == 0 and n_queries <= window:
        torch.testing.assert_close(fast_attention(q, k, v, CAUSAL), expected)


def test_fast_attention_without_mask_attends_to_everything() -> None:
    q, k, v = torch.randn(2, 3, 1, 8), torch.randn(2, 3, 5, 8), torch.randn(2, 3, 5, 8)
    torch.testing.assert_close(fast_attention(q, k, v, None), F.scaled_dot_product_attention(q, k, v))


def test_band_mask_is_lower_right_and_window_wide() -> None:
    assert band_mask(2, 4, 3).tolist() == [[True, True, True, False], [False, True, True, True]]
    assert torch.equal(band_mask(5, 5, 9), torch.ones(5, 5, dtype=torch.bool).tril())


@pytest.mark.parametrize("shift", [1, 1000, 10_000_000])
def test_rotary_depends_on_the_distance_only(shift: int) -> None:
    q, k = torch.randn(2, 1, 1, 4, 8, dtype=torch.float64)

    def scores(first: int) -> torch.Tensor:
        phases = rotary_phases(first, 4, 8)
        return rotate(q, phases) @ rotate(k, phases).transpose(-1, -2)

    torch.testing.assert_close(scores(0), scores(shift), atol=1e-7, rtol=0)


def test_rotary_preserves_norms() -> None:
    x = torch.randn(1, 1, 6, 8, dtype=torch.float64)
    torch.testing.assert_close(rotate(x, rotary_phases(3, 6, 8)).norm(dim=-1), x.norm(dim=-1))
