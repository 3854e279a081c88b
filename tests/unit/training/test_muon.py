import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tinycopilot.training.muon import Muon, orthogonalize

SHAPES = [(8, 8), (24, 8), (8, 24), (8, 8), (32, 8), (8, 32), (16, 4)]


def matrices(seed: int) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


@pytest.mark.slow
@settings(max_examples=10)
@given(st.integers(0, 1000), st.floats(0, 0.99))
def test_equals_pytorch_muon(seed: int, momentum: float) -> None:
    """PyTorch's, one matrix at a time and in bfloat16, is the definition; the tolerance is bfloat16's."""
    ours, theirs = matrices(seed), matrices(seed)
    one = Muon(ours, lr=0.1, momentum=momentum, dtype=torch.bfloat16)
    other = torch.optim.Muon(theirs, lr=0.1, momentum=momentum, weight_decay=0.0, adjust_lr_fn="original")
    generator = torch.Generator().manual_seed(seed + 1)
    for _ in range(3):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape, generator=generator)
            b.grad = a.grad.clone()
        one.step()
        other.step()
    start = matrices(seed)
    for a, b, zero in zip(ours, theirs, start, strict=True):
        assert (a - b).norm() <= 0.03 * (b - zero).norm()


def test_fused_matrix_equals_its_parts() -> None:
    """Queries, keys and values are stored in one matrix but orthogonalized separately."""
    generator = torch.Generator().manual_seed(0)
    parts = [nn.Parameter(torch.randn(8, 8, generator=generator)) for _ in range(3)]
    fused = nn.Parameter(torch.cat([part.detach() for part in parts]))
    for part in parts:
        part.grad = torch.randn(8, 8, generator=generator)
    fused.grad = torch.cat([part.grad for part in parts if part.grad is not None])
    Muon(parts, lr=0.1).step()
    Muon([{"params": [fused], "n_parts": 3}], lr=0.1).step()
    assert torch.equal(fused, torch.cat(list(parts)))


def test_singular_values_become_about_equal() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 12, 40, generator=generator) @ torch.diag(torch.logspace(0, -1, 40))
    sizes = torch.linalg.svdvals(orthogonalize(x))
    assert sizes.min() > 0.5
    assert sizes.max() < 1.3


def test_weights_without_gradient_are_unchanged() -> None:
    still, moved = matrices(0)[:2]
    before = still.clone()
    moved.grad = torch.zeros_like(moved)  # a zero gradient gives a zero step, not NaN
    after = moved.clone()
    Muon([still, moved], lr=0.1).step()
    assert torch.equal(still, before)
    assert torch.equal(moved, after)


@pytest.mark.parametrize("shape", [(24, 8), (8, 24)])
def test_wide_matrix_takes_longer_steps(shape: tuple[int, int]) -> None:
    weight = nn.Parameter(torch.zeros(shape))
    weight.grad = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    Muon([weight], lr=1.0).step()
    size = torch.linalg.svdvals(weight.detach()).mean().item()
    assert size == pytest.approx(3**0.5 if shape[0] > shape[1] else 1.0, rel=0.2)
