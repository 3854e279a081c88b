"""KVCache: keys, values and convolution inputs of past positions, stored so that only new positions are computed."""

from typing import NamedTuple

from torch import Tensor

from tinycopilot.model.config import GPTConfig


class RowCache:
    """The last rows of a sequence: a sliding window in memory of fixed size.

    Only `n_before` rows before the new ones are needed. Older ones are dropped when the memory is full, about a window
    at a time: one short copy per W positions, simpler than a ring buffer.
    """

    def __init__(self, n_before: int, window: int) -> None:
        self._n_before, self._capacity = n_before, n_before + window
        self._rows: Tensor | None = None  # (..., capacity, C), of the first new rows' type
        self._n_rows = 0

    def append(self, x: Tensor) -> Tensor:
        """Append T rows, (..., T, C), T <= W; return them and up to `n_before` rows before them."""
        if self._rows is None:
            self._rows = x.new_empty(*x.shape[:-2], self._capacity, x.size(-1))
        if self._n_rows + x.size(-2) > self._capacity:
            kept = self._rows[..., self._n_rows - self._n_before : self._n_rows, :].clone()
            self._rows[..., : self._n_before, :] = kept
            self._n_rows = self._n_before
        first, end = max(0, self._n_rows - self._n_before), self._n_rows + x.size(-2)
        self._rows[..., self._n_rows : end, :] = x
        self._n_rows = end
        return self._rows[..., first:end, :]


class LayerCache(NamedTuple):
    """The rows of one layer."""

    keys: RowCache
    """(B, H, up to W - 1 + T, D); also of `values`."""
    values: RowCache
    convs: tuple[RowCache, RowCache]
    """The inputs of the convolutions before attention and before feed-forward, (B, up to K - 1 + T, C)."""


class KVCache:
    """The rows of all layers of a network. For each forward pass: `advance`, then `append` per layer."""

    def __init__(self, config: GPTConfig) -> None:
        self._window = config.window
        self.length = 0
        """Number of positions read since the start, dropped ones included."""

        def rows(n_before: int) -> RowCache:
            return RowCache(n_before, config.window)

        heads, conv = config.window - 1, config.conv_width - 1
        self.layers = [LayerCache(rows(heads), rows(heads), (rows(conv), rows(conv))) for _ in range(config.n_layers)]

    def advance(self, n_new: int) -> int:
        """Count `n_new` positions; return the number before them. Raises ValueError if they exceed the window."""
        if n_new > self._window:
            raise ValueError(f"at most {self._window} positions at a time, not {n_new}")
        self.length += n_new
        return self.length - n_new
