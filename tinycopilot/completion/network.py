"""Network: TinyGPT for completion, without PyTorch: its weights, as float32 or int8, and its key-value cache.

The arithmetic is in forward.py. TinyGPT in model/ is the definition, and the network that is trained. With float32 the
logits are equal up to rounding. int8 stores each row of each matrix as integers from -127 to 127 and one scale: a
quarter of the memory to read in each pass, and so faster.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinycopilot.completion.forward import forward
from tinycopilot.model.config import SPARE, GPTConfig
from tinycopilot.model.storage import require_file
from tinycopilot.model.storage.weights import read_weights
from tinycopilot.model.tokenizer import SimpleTokenizer

Floats = NDArray[np.float32]

PIECE_LEN = 128
"""Longer inputs are read in chunks of this length; a caller that may be cancelled passes one chunk at a time."""
ROTARY_BASE = 10_000.0
MIN_INT8_PARAMETERS = 2_000_000
"""Larger networks use int8 by default. Smaller ones gain little, and give exactly the suggestions of float32."""
MATRICES = ("attn.qkv", "attn.o_proj", "ffn.up", "ffn.down")


class Cache:
    """Keys, values and convolution inputs of the text read so far: each further character costs one position.

    A position sees only the last W positions, so older ones are dropped when the memory is full, about W at a time. The
    window is kept complete for truncations of up to `SPARE` positions. Memory is O(W).
    """

    def __init__(self, config: GPTConfig) -> None:
        c = config
        self._window, self._n_before = c.window, c.conv_width - 1
        self._capacity = c.window + max(c.window, PIECE_LEN) + SPARE
        self._dropped = 0
        self.length = 0
        """Number of positions read so far, whether or not they are still kept."""
        self.keys: Floats = np.zeros((c.n_layers, c.n_heads, c.d_head, self._capacity), np.float32)
        """(L, H, D, capacity): positions come last, so that one query reads eight of them per instruction."""
        self.values: Floats = np.zeros_like(self.keys)
        """(L, H, D, capacity)."""
        n_rows = self._n_before + self._capacity if self._n_before else 0
        self.conv_inputs: Floats = np.zeros((c.n_layers, 2, n_rows, c.d_model), np.float32)
        """(L, 2, K - 1 + capacity, C), of the convolutions before attention and before the feed-forward part. K - 1
        rows of zeros come before the first position."""

    @property
    def n_kept(self) -> int:
        """Number of positions kept: the first free column of keys and values."""
        return self.length - self._dropped

    def make_room(self, n_new: int) -> None:
        """Drop old positions if `n_new`, at most PIECE_LEN, would not fit."""
        if self.n_kept + n_new <= self._capacity:
            return
        n_kept = self._window + SPARE - 1
        n, n_rows = self.n_kept - n_kept, self._n_before + n_kept
        for keys, values, conv_inputs in zip(self.keys, self.values, self.conv_inputs, strict=True):
            keys[:, :, :n_kept] = keys[:, :, n : n + n_kept]
            values[:, :, :n_kept] = values[:, :, n : n + n_kept]
            conv_inputs[:, :n_rows] = conv_inputs[:, n : n + n_rows]
        self._dropped += n

    def can_truncate(self, length: int) -> bool:
        """Whether the window that ends at `length` positions is still kept, or there is none."""
        is_kept = self._dropped == 0 or length - (self._window - 1) >= self._dropped
        return length == 0 or (0 <= length <= self.length and is_kept)

    def truncate(self, length: int) -> None:
        """Forget all positions from `length` on. Raises ValueError if the window before them is no longer kept.

        Truncating to 0 is cheaper than a new cache, which is megabytes of zeros.
        """
        if not self.can_truncate(length):
            raise ValueError(f"cannot go back to {length} positions: {self.length} were read, {self._dropped} dropped")
        if length == 0:
            self._dropped = 0
            self.conv_inputs[:, :, : self._n_before] = 0
        self.length = length


class Weights(NamedTuple):
    """The arrays that `forward` computes with, in float32: an int8 matrix is multiplied by its scales."""

    embedding: Floats
    """(V, C)."""
    vectors: Floats
    """(L, 2, 2 + K - 1, C): gain, bias and taps, before attention and before the feed-forward part."""
    last_norm: Floats
    """(2, C): gain and bias."""
    qkv: Floats
    """(L, 3C, C)."""
    o_proj: Floats
    """(L, C, C)."""
    up: Floats
    """(L, F, C)."""
    down: Floats
    """(L, C, F)."""
    head: Floats
    """(V, C)."""
    rates: NDArray[np.float64]
    """(D / 2,): a position's rotary angles per position."""


class Network:
    """A trained TinyGPT in NumPy arrays: `forward` reads ids, and returns the logits of the next character."""

    def __init__(self, config: GPTConfig, weights: Mapping[str, Floats], *, int8: bool | None = None) -> None:
        """`weights`: arrays with the names and shapes of `GPTConfig.weight_shapes`; they are copied.

        `int8`: default is True above MIN_INT8_PARAMETERS.
        """
        self.config = config
        self.int8 = config.n_parameters > MIN_INT8_PARAMETERS if int8 is None else int8
        layers = [f"blocks.{i}." for i in range(config.n_layers)]

        def block_vectors(layer: str, i: int) -> Floats:
            taps = [weights[f"{layer}conv{i}.taps"]] if config.conv_width > 1 else []
            return np.vstack([weights[f"{layer}ln{i}.weight"], weights[f"{layer}ln{i}.bias"], *taps])

        embedding = np.array(weights["embedding.weight"], np.float32, order="C")  # (V, C)
        vectors = np.stack([[block_vectors(layer, i) for i in (1, 2)] for layer in layers])  # (L, 2, 2 + K - 1, C)
        last_norm = np.stack([weights["ln.weight"], weights["ln.bias"]])  # (2, C)
        matrices = [np.stack([weights[f"{layer}{name}.weight"] for layer in layers]) for name in MATRICES]
        rates = ROTARY_BASE ** (-np.arange(0, config.d_head, 2) / config.d_head)  # (D / 2,)
        pairs = [_quantized(matrix, int8=self.int8) for matrix in (*matrices, weights["head.weight"])]
        self._weights = (embedding, vectors, last_norm, *(array for pair in pairs for array in pair), rates)

    @classmethod
    def load(cls, path: Path, tokenizer: SimpleTokenizer | None = None, int8: bool | None = None) -> "Network":
        """Read a model file. Raises ModelFileError, also if it does not belong to `tokenizer`."""
        return cls(*read_weights(path, tokenizer), int8=int8)

    @property
    def variant(self) -> str:
        """`int8` or `float32`: the variant of `forward` for these weights."""
        return "int8" if self.int8 else "float32"

    def weights(self) -> Weights:
        """Return copies of the arrays, as float32, for inspection."""
        arrays: list[Any] = [array.copy() for array in self._weights]
        embedding, vectors, last_norm, *pairs, rates = arrays
        matrices = (w.astype(np.float32) * scale[..., None] for w, scale in zip(pairs[::2], pairs[1::2], strict=True))
        qkv, o_proj, up, down, head = matrices
        return Weights(embedding, vectors, last_norm, qkv, o_proj, up, down, head, rates)

    def new_cache(self) -> Cache:
        """Return an empty cache for this network."""
        return Cache(self.config)

    def forward(self, ids: ArrayLike, cache: Cache, *, n_last: int | None = None) -> Floats:
        """Read `ids`, (T,), after the content of `cache`; return the logits after each, (T, V), as a new array.

        With `n_last`, return only the logits of the last positions, (n_last, V), which is faster. Raises IndexError if
        an id is outside the vocabulary; then only the chunks before it were read. Raises ValueError for no ids.
        """
        ids = np.array(ids, np.int64, ndmin=1)  # a copy: contiguous and writable, as the compiled function expects
        n = len(ids)
        first_asked = 0 if n_last is None else n - n_last  # in ids
        if not n:
            raise ValueError("forward needs at least one id")
        logits = np.empty((n - first_asked, self.config.vocab_size), np.float32)
        for first in range(0, n, PIECE_LEN):
            piece = ids[first : first + PIECE_LEN]
            cache.make_room(len(piece))
            are_ids = forward(
                piece, cache.length, cache.n_kept, self.config.window, *self._weights,
                cache.keys, cache.values, cache.conv_inputs,
                logits[max(0, first - first_asked) : max(0, first + len(piece) - first_asked)],
            )  # fmt: skip
            if not are_ids:
                raise IndexError(f"an id is not in the vocabulary of {self.config.vocab_size}")
            cache.length += len(piece)
        return logits


def load_pair(model_path: Path, tokenizer_path: Path, *, int8: bool | None = None) -> tuple[Network, SimpleTokenizer]:
    """Load a network and its tokenizer. Raises ModelFileError; if both are missing, for the model."""
    require_file(model_path, "model")
    tokenizer = SimpleTokenizer.load(tokenizer_path)
    return Network.load(model_path, tokenizer, int8), tokenizer


def _quantized(matrix: Floats, *, int8: bool) -> tuple[NDArray[np.int8] | Floats, Floats]:
    """Convert `matrix`, (..., O, I), to int8 with a scale for each row, (..., O): matrix ~ int8 * scale.

    Without `int8`, return a copy, and ones.
    """
    if not int8:
        return np.array(matrix, np.float32, order="C"), np.ones(matrix.shape[:-1], np.float32)
    scale = np.abs(matrix).max(-1) / 127
    scale[scale == 0] = 1
    return np.rint(matrix / scale[..., None]).astype(np.int8), scale.astype(np.float32)
