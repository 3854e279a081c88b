"""KVCache: store keys, values and convolution inputs of past positions, so that only the new ones are computed."""

import torch
from torch import Tensor


class ConvCache:
    """The inputs of one convolution, (B, n_before + capacity, C); `n_before` rows of zeros precede position 0."""

    def __init__(self, owner: "KVCache", n_before: int, rows: Tensor) -> None:
        self._owner, self._n_before, self._rows = owner, n_before, rows

    def append(self, x: Tensor) -> Tensor:
        """Append T rows, (B, T, C); return them and the `n_before` rows before them, (B, n_before + T, C)."""
        n_rows = self._owner.n_rows
        end = n_rows + self._n_before + x.size(1)
        self._rows[:, n_rows + self._n_before : end] = x
        return self._rows[:, n_rows:end]

    def slide(self, n: int, kept: int) -> None:
        """Drop the first `n` rows: move the `kept` rows after them, and the `n_before` before those, to the front."""
        kept += self._n_before
        self._rows[:, :kept] = self._rows[:, n : n + kept].clone()


class LayerCache:
    """One layer's keys and values, (B, H, capacity, D) each; KVCache counts the rows in use."""

    def __init__(self, owner: "KVCache", keys: Tensor, values: Tensor, convs: tuple[ConvCache, ConvCache]) -> None:
        self._owner, self._keys, self._values = owner, keys, values
        self.convs = convs
        """For the convolutions before attention and before feed-forward."""

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append T rows, (B, H, T, D) each; return the rows that they attend to, (B, H, S, D) each."""
        first, end = self._owner.visible(k.size(2))
        n_rows = end - k.size(2)
        self._keys[:, :, n_rows:end] = k
        self._values[:, :, n_rows:end] = v
        return self._keys[:, :, first:end], self._values[:, :, first:end]

    def slide(self, n: int, kept: int) -> None:
        """Drop the first `n` rows: move the `kept` rows after them to the front."""
        self._keys[:, :, :kept] = self._keys[:, :, n : n + kept].clone()
        self._values[:, :, :kept] = self._values[:, :, n : n + kept].clone()
        for conv in self.convs:
            conv.slide(n, kept)


class KVCache:
    """A sliding window in memory of fixed size. For each forward pass: `make_room`, `append` per layer, `advance`.

    Attention covers the last W positions only, so older rows can be dropped. That happens when the memory is full,
    about W rows at a time: one short copy per W characters, simpler than a ring buffer.
    """

    def __init__(
        self,
        *,
        n_layers: int,
        n_heads: int,
        d_head: int,
        window: int,
        conv_width: int,
        batch: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.window = window
        self.length = 0  # positions read since the start, dropped ones included
        self._n_dropped = 0
        self.capacity = 2 * window
        """Maximum number of rows."""
        n_before = conv_width - 1

        def rows(*shape: int) -> Tensor:
            return torch.zeros(batch, *shape, dtype=dtype, device=device)

        def conv() -> ConvCache:
            return ConvCache(self, n_before, rows(n_before + self.capacity if n_before else 0, n_heads * d_head))

        def keys() -> Tensor:
            return rows(n_heads, self.capacity, d_head)

        self.layers = [LayerCache(self, keys(), keys(), (conv(), conv())) for _ in range(n_layers)]

    @property
    def n_rows(self) -> int:
        """Number of rows in use."""
        return self.length - self._n_dropped

    def visible(self, n_new: int) -> tuple[int, int]:
        """Return the rows [first, end) that the next `n_new` positions attend to, themselves included."""
        n_rows = self.n_rows
        return max(0, n_rows - (self.window - 1)), n_rows + n_new

    def make_room(self, n_new: int) -> None:
        """Drop old rows if `n_new` more do not fit. Raises ValueError if `n_new` exceeds the window."""
        if n_new > self.window:
            raise ValueError(f"at most {self.window} positions at a time, not {n_new}")
        n_rows = self.n_rows
        if n_rows + n_new > self.capacity:
            kept = self.window - 1
            for layer in self.layers:
                layer.slide(n_rows - kept, kept)
            self._n_dropped = self.length - kept

    def advance(self, n_new: int) -> None:
        """Count `n_new` positions, which all layers have appended."""
        self.length += n_new
