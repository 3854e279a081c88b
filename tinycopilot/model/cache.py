"""KVCache: what the network keeps of each position it has read, so that one character more costs one position."""

import torch
from torch import Tensor

from tinycopilot.model.config import SPARE


class ConvCache:
    """The inputs of one convolution, (B, n_before + capacity, C): before the first position come rows of zeros."""

    def __init__(self, owner: "KVCache", n_before: int, rows: Tensor) -> None:
        self._owner, self._n_before, self._rows = owner, n_before, rows

    def append(self, x: Tensor) -> Tensor:
        """Write T new rows, (B, T, C), behind the held ones; return them after those before, (B, n_before + T, C)."""
        held = self._owner.n_held
        end = held + self._n_before + x.size(1)
        self._rows[:, held + self._n_before : end] = x
        return self._rows[:, held:end]

    def clear(self) -> None:
        """Nothing is held; before the first position come rows of zeros again."""
        self._rows[:, : self._n_before] = 0

    def slide(self, n: int, kept: int) -> None:
        """Forget the first `n` rows, but for the `n_before` that come before the `kept` ones."""
        kept += self._n_before
        self._rows[:, :kept] = self._rows[:, n : n + kept].clone()


class LayerCache:
    """One layer's keys and values, (B, H, capacity, D) each; the rows in use are `KVCache`'s to know."""

    def __init__(self, owner: "KVCache", keys: Tensor, values: Tensor, convs: tuple[ConvCache, ConvCache]) -> None:
        self._owner, self._keys, self._values = owner, keys, values
        self.convs = convs
        """Of the convolutions before attention and before the feed-forward part."""

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write T new rows, (B, H, T, D), behind the held ones; return the rows that they may look at, (B, H, S, D)."""
        first, end = self._owner.visible(k.size(2))
        held = end - k.size(2)
        self._keys[:, :, held:end] = k
        self._values[:, :, held:end] = v
        return self._keys[:, :, first:end], self._values[:, :, first:end]

    def slide(self, n: int, kept: int) -> None:
        """Forget the first `n` rows: move the `kept` rows that follow them to the front."""
        self._keys[:, :, :kept] = self._keys[:, :, n : n + kept].clone()
        self._values[:, :, :kept] = self._values[:, :, n : n + kept].clone()
        for conv in self.convs:
            conv.slide(n, kept)


class KVCache:
    """A window that slides for ever over fixed memory: `make_room`, then `append` in each layer, then `advance`.

    Attention sees the last W positions only, so older rows may go. They go when the memory is full, about W at a time:
    one short copy in W characters, and no arithmetic with rings. What a window needs after up to `spare` characters are
    taken back is always kept.
    """

    def __init__(
        self,
        *,
        n_layers: int,
        n_heads: int,
        d_head: int,
        window: int,
        conv_width: int = 1,
        batch: int = 1,
        spare: int = SPARE,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.window, self.spare = window, spare
        self.length = 0  # positions read since the start, whether or not they are still held
        self._forgotten = 0  # how many of them are not
        self.capacity = 2 * window + spare
        """How many rows fit at all."""
        n_before = conv_width - 1

        def rows(*shape: int) -> Tensor:
            return torch.zeros(batch, *shape, dtype=dtype, device=device)

        def conv() -> ConvCache:
            return ConvCache(self, n_before, rows(n_before + self.capacity if n_before else 0, n_heads * d_head))

        def keys() -> Tensor:
            return rows(n_heads, self.capacity, d_head)

        self.layers = [LayerCache(self, keys(), keys(), (conv(), conv())) for _ in range(n_layers)]

    @property
    def n_held(self) -> int:
        """How many rows are in use."""
        return self.length - self._forgotten

    def visible(self, n_new: int) -> tuple[int, int]:
        """The rows [first, end) that `n_new` positions to come may look at, themselves included."""
        held = self.n_held
        return max(0, held - (self.window - 1)), held + n_new

    def make_room(self, n_new: int) -> None:
        """Before `n_new` positions are appended. Raises ValueError for more than a window: feed those in pieces."""
        if n_new > self.window:
            raise ValueError(f"at most {self.window} positions at a time, not {n_new}")
        held = self.n_held
        if held + n_new > self.capacity:
            kept = self.window + self.spare - 1
            for layer in self.layers:
                layer.slide(held - kept, kept)
            self._forgotten = self.length - kept

    def advance(self, n_new: int) -> None:
        """After all layers have appended `n_new` positions."""
        self.length += n_new

    def clear(self) -> None:
        """As in the beginning: nothing was read. (Cheaper than a new one, which is megabytes of zeros.)"""
        self.length = self._forgotten = 0
        for layer in self.layers:
            for conv in layer.convs:
                conv.clear()

    def can_truncate(self, length: int) -> bool:
        """Whether the window that ends at `length` positions is still held."""
        return 0 <= length <= self.length and (self._forgotten == 0 or length - (self.window - 1) >= self._forgotten)

    def truncate(self, length: int) -> None:
        """Take back the last positions, so that `length` are left. Raises ValueError where too much was forgotten."""
        if not self.can_truncate(length):
            raise ValueError(
                f"cannot go back to {length} positions: {self.length} were read, {self._forgotten} forgotten"
            )
        self.length = length
