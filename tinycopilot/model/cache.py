"""KVCache: the keys and values of what the network has read, so that one character more costs one position."""

import torch
from torch import Tensor


class LayerCache:
    """One layer's keys and values, (B, H, capacity, D) each; the rows in use are `KVCache`'s to know."""

    def __init__(self, owner: "KVCache", keys: Tensor, values: Tensor) -> None:
        self._owner, self._keys, self._values = owner, keys, values

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


class KVCache:
    """A window that slides for ever over fixed memory: `make_room`, then `append` in each layer, then `advance`.

    Attention sees the last W positions only, so older rows may go. They go W at a time, when the memory is full:
    one short copy in W characters, and no arithmetic with rings. At least `spare` rows more than a window are always
    kept, so that up to `spare` characters can be taken back.
    """

    def __init__(
        self,
        *,
        n_layers: int,
        n_heads: int,
        d_head: int,
        window: int,
        batch: int = 1,
        spare: int = 64,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.window, self.spare = window, spare
        self.length = 0  # positions read since the start, whether or not they are still held
        self._forgotten = 0  # how many of them are not
        self._shape = (batch, n_heads, 2 * window + spare, d_head)
        self.layers = [
            LayerCache(self, *(torch.zeros(self._shape, dtype=dtype, device=device) for _ in "kv"))
            for _ in range(n_layers)
        ]

    @property
    def capacity(self) -> int:
        """How many rows fit at all."""
        return self._shape[2]

    def visible(self, n_new: int) -> tuple[int, int]:
        """The rows [first, end) that `n_new` positions to come may look at, themselves included."""
        held = self.length - self._forgotten
        return max(0, held - (self.window - 1)), held + n_new

    def make_room(self, n_new: int) -> None:
        """Before `n_new` positions are appended. Raises ValueError for more than a window: feed those in pieces."""
        if n_new > self.window:
            raise ValueError(f"at most {self.window} positions at a time, not {n_new}")
        held = self.length - self._forgotten
        if held + n_new > self.capacity:
            kept = self.window + self.spare - 1
            for layer in self.layers:
                layer.slide(held - kept, kept)
            self._forgotten = self.length - kept

    def advance(self, n_new: int) -> None:
        """After all layers have appended `n_new` positions."""
        self.length += n_new

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
