"""Text on disk -> batches of windows, in shuffled order.

The windows of a batch are a pure function, so a run can resume at any step.

BatchLoader returns a batch by the number of its first window in the shuffled order, so that batches of any size can
follow each other. It has no state, and never makes a list of all windows.
"""

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.training.text import Text

ON_DEVICE_BYTES = 2 * 2**30
"""A text of up to this size is copied to the GPU once."""


def shuffled(positions: NDArray[np.int64], n: int, seed: int) -> NDArray[np.int64]:
    """Return the new places of `positions` in a shuffle of 0 ... n-1: a permutation that is computed, not stored.

    A four-round Feistel network (Luby and Rackoff 1988) over the next even number of bits, repeated for values outside
    the range (cycle walking: Black and Rogaway 2002). Ten billion characters need no table of their windows.
    """
    half_bits = max(1, ((n - 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << half_bits) - 1)
    shift = np.uint64(half_bits)
    keys = np.frombuffer(hashlib.sha256(f"{seed} {n}".encode()).digest(), np.uint64)
    result = positions.astype(np.uint64)
    outside = np.ones(len(result), bool)
    while outside.any():
        left, right = result[outside] >> shift, result[outside] & mask
        for key in keys:
            left, right = right, left ^ (_mixed(right + key) & mask)
        result[outside] = (left << shift) | right
        outside = result >= np.uint64(n)
    return result.astype(np.int64)


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hash each number (the finalizer of SplitMix64, Steele et al. 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def window_starts(n_chars: int, batch: int, window: int, first: int, seed: int) -> NDArray[np.int64]:
    """Return the starts of a batch of windows, (B,): the `first`-th in the shuffled order, and those after it.

    Each epoch is all windows of the text, without overlap, shuffled. Epochs are cut at different offsets, so that the
    first character of a window, which has no context, is in the middle of one in another epoch.
    """
    n_windows = (n_chars - 1) // window
    place = np.arange(first, first + batch)
    starts = np.empty(batch, np.int64)
    for epoch in np.unique(place // n_windows):
        here = place // n_windows == epoch
        epoch_seed = int.from_bytes(hashlib.sha256(f"{seed} {window} {epoch}".encode()).digest()[:8], "big")
        offset = epoch_seed % (n_chars - n_windows * window)
        starts[here] = shuffled(place[here] % n_windows, n_windows, epoch_seed) * window + offset
    return starts


def ids_of(text: Text, tokenizer: SimpleTokenizer, n_chars: int | None = None) -> Tensor:
    """Return the first `n_chars` of `text`, or all of it, as ids, (N,), int16."""
    return _as_ids(text.read(0, n_chars), tokenizer)


def _as_ids(units: NDArray[np.uint16], tokenizer: SimpleTokenizer) -> Tensor:
    return torch.from_numpy(tokenizer.id_table[units])


class BatchLoader:
    """Batches of a text, as ids, on the training device."""

    def __init__(self, text: Text, tokenizer: SimpleTokenizer, device: torch.device, seed: int = 0) -> None:
        self._text, self._tokenizer, self._device, self._seed = text, tokenizer, device, seed
        on_device = device.type != "cpu" and 2 * len(text) <= ON_DEVICE_BYTES
        self._on_device = ids_of(text, tokenizer).to(device) if on_device else None

    def batch(self, batch: int, window: int, first: int, rank: int = 0, world_size: int = 1) -> tuple[Tensor, Tensor]:
        """Return inputs and targets, (B, T) each, int64, of the `first`-th window and those after it.

        In distributed training, only every `world_size`-th row, from `rank` on.
        """
        starts = window_starts(len(self._text), batch, window, first, self._seed)[rank::world_size]
        if self._on_device is None:
            ids = _as_ids(self._text.windows(starts, window + 1), self._tokenizer).to(self._device)  # (B, T + 1)
        else:
            ids = self._on_device[torch.from_numpy(starts[:, None] + np.arange(window + 1)).to(self._device)]
        return ids[:, :-1].long(), ids[:, 1:].long()
