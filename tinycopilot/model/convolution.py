"""ShortConvolution: mix each channel of a position with the same channel of the previous few positions."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tinycopilot.model.cache import RowCache


class ShortConvolution(nn.Module):
    """A causal depthwise convolution over positions (So et al. 2021, Primer), with a residual connection.

    It gives each block the last few characters directly, which attention would have to learn. Initialized as the
    identity. A width of 1 is the identity, without parameters.
    """

    def __init__(self, d_model: int, width: int) -> None:
        super().__init__()
        self.taps = nn.Parameter(torch.zeros(width - 1, d_model)) if width > 1 else None

    def forward(self, x: Tensor, cache: RowCache | None = None) -> Tensor:
        """(B, T, C) -> (B, T, C). With a cache, `x` continues the positions in it."""
        if self.taps is None:
            return x
        n_before, T = len(self.taps), x.size(1)  # noqa: N806
        rows = x if cache is None else cache.append(x)
        rows = F.pad(rows, (0, 0, n_before + T - rows.size(1), 0))  # (B, n_before + T, C); zeros precede position 0
        for distance, tap in enumerate(self.taps, start=1):
            x = torch.addcmul(x, tap, rows[:, n_before - distance : n_before - distance + T])
        return x
