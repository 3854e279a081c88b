"""ShortConvolution: each channel of a position hears the same channel of the few positions before it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tinycopilot.model.cache import ConvCache


class ShortConvolution(nn.Module):
    """A causal convolution over positions, each channel by itself (So et al. 2021, Primer): x plus what came before it.

    It gives each block the last few characters at once, where attention would have to learn to look one step back. It
    begins as the identity. A width of 1 is the identity, and has no parameters.
    """

    def __init__(self, d_model: int, width: int) -> None:
        super().__init__()
        self.taps = nn.Parameter(torch.zeros(width - 1, d_model)) if width > 1 else None

    def forward(self, x: Tensor, cache: ConvCache | None = None) -> Tensor:
        """(B, T, C) -> (B, T, C). With a cache, the first of the T positions hear those that it holds."""
        if self.taps is None:
            return x
        n_before, T = len(self.taps), x.size(1)  # noqa: N806
        rows = F.pad(x, (0, 0, n_before, 0)) if cache is None else cache.append(x)  # (B, n_before + T, C)
        for distance, tap in enumerate(self.taps, start=1):
            x = torch.addcmul(x, tap, rows[:, n_before - distance : n_before - distance + T])
        return x
