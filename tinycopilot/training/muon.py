"""Muon: an optimizer for matrices; it orthogonalizes the gradient's momentum."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from tinycopilot.training.distributed import DistContext

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
N_ITERATIONS = 5


def orthogonalize(x: Tensor) -> Tensor:
    """Return matrices with the same singular vectors as `x`, (N, R, C), R <= C, and singular values of 0.7 to 1.2.

    Newton-Schulz iteration with the quintic of Jordan et al. 2024 (kellerjordan.github.io/posts/muon): matrix products
    only, no decomposition.
    """
    a, b, c = COEFFICIENTS
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(N_ITERATIONS):
        s = x @ x.mT  # (N, R, R)
        x = torch.baddbmm(x, torch.baddbmm(s, s, s, beta=b, alpha=c), x, beta=a)
    return x


def muon_momentum(step: int) -> float:
    """Return Muon's momentum: lower at first, while gradients change quickly (0.85 to 0.95 over 300 steps)."""
    return 0.85 + 0.10 * min(1.0, step / 300)


class Muon(Optimizer):
    """`torch.optim.Muon` (a test compares the two), with matrices of the same shape batched.

    PyTorch's processes one matrix at a time, and always in bfloat16; on a processor that emulates bfloat16, its step
    takes nearly three times as long as the rest of training (benchmarks/LOG.md).
    """

    def __init__(
        self,
        matrices: Iterable[Tensor] | Iterable[dict[str, Any]],
        *,
        lr: float,
        momentum: float = 0.95,
        dtype: torch.dtype = torch.float32,
        dist: DistContext = DistContext(),  # noqa: B008 (frozen)
    ) -> None:
        """`n_parts` of a group: each of its parameters consists of that many matrices, stacked.

        The processes of `dist`, which all have the same gradients, share the orthogonalization.
        """
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "n_parts": 1})
        self.dtype, self.dist = dtype, dist

    @torch.no_grad()
    def step(self, _closure: None = None) -> None:  # type: ignore[override]
        """Update each matrix that has a gradient."""
        by_shape: dict[tuple[int, ...], list[tuple[Tensor, Tensor, float]]] = defaultdict(list)
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    direction = self._nesterov(weight, weight.grad, group["momentum"])
                    parts = zip(weight.chunk(group["n_parts"]), direction.chunk(group["n_parts"]), strict=True)
                    for matrix, along in parts:
                        rows, columns = matrix.shape
                        if rows > columns:  # transposed; larger steps if it has more outputs than inputs
                            by_shape[columns, rows].append((matrix.mT, along.mT, group["lr"] * (rows / columns) ** 0.5))
                        else:
                            by_shape[rows, columns].append((matrix, along, group["lr"]))
        for members in by_shape.values():
            directions = torch.stack([along for _, along, _ in members]).to(self.dtype)
            updates = self.dist.map_sharded(orthogonalize, directions)
            for (matrix, _, rate), update in zip(members, updates, strict=True):
                matrix.add_(update, alpha=-rate)

    def _nesterov(self, weight: Tensor, gradient: Tensor, momentum: float) -> Tensor:
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        average = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(average, momentum)
