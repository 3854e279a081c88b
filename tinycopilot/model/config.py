"""GPTConfig: the shape of the network and of each of its weights. Imports no PyTorch."""

import math
from dataclasses import dataclass

MAX_VOCAB = 1_024
"""Limit of a vocabulary, the unknown id included."""
SPARE = 64
"""Up to this many positions can always be removed from the end of a key-value cache."""
CONTEXT_STEP = 128
"""The start of a context is a multiple of this (`GPTConfig.context_start`)."""
COLD = 1e-4
"""Below this temperature, decoding is greedy: sampling would give the same, but divide by almost 0."""


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a TinyGPT. Stored in the model file. Raises ValueError if the heads do not divide d_model."""

    vocab_size: int
    """V: all characters, and the unknown id, which is the last."""
    n_layers: int = 4
    """L."""
    n_heads: int = 4
    """H; each head is D = d_model / n_heads wide, an even number."""
    d_model: int = 128
    """C: the width of the residual stream."""
    window: int = 256
    """W: the number of positions that one position attends to, itself included."""
    conv_width: int = 1
    """K: the number of positions that a ShortConvolution covers; 1 for no convolutions."""

    def __post_init__(self) -> None:
        if self.d_model % (2 * self.n_heads):
            raise ValueError(f"d_model ({self.d_model}) must be a multiple of twice n_heads ({self.n_heads})")

    @property
    def d_head(self) -> int:
        """D: the width of one head."""
        return self.d_model // self.n_heads

    @property
    def d_ff(self) -> int:
        """F: the hidden width of FeedForward."""
        return 4 * self.d_model

    @property
    def init_std(self) -> float:
        """Standard deviation of the random weights in `qkv` and `up`, before training."""
        return 0.7 / math.sqrt(self.d_model)

    @property
    def n_parameters(self) -> int:
        """Number of weights."""
        return sum(map(math.prod, self.weight_shapes().values()))

    def context_start(self, n: int) -> int:
        """Return the position where the context of a prediction after `n` positions starts.

        The context is at least one window, and less than CONTEXT_STEP longer. The network is trained on single windows,
        so a longer context gains nothing (benchmarks/LOG.md). The start moves in steps, because the whole context is
        read again when it moves.
        """
        return max(0, n - self.window) // CONTEXT_STEP * CONTEXT_STEP

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return name -> shape of every weight, as in `TinyGPT.state_dict()`; a matrix is (outputs, inputs)."""
        C, F, V = self.d_model, self.d_ff, self.vocab_size  # noqa: N806
        shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (V, C)}
        for i in range(self.n_layers):
            for norm, conv in (("ln1", "conv1"), ("ln2", "conv2")):
                shapes |= {f"blocks.{i}.{norm}.weight": (C,), f"blocks.{i}.{norm}.bias": (C,)}
                if self.conv_width > 1:
                    shapes[f"blocks.{i}.{conv}.taps"] = (self.conv_width - 1, C)
            shapes |= {f"blocks.{i}.attn.qkv.weight": (3 * C, C), f"blocks.{i}.attn.o_proj.weight": (C, C)}
            shapes |= {f"blocks.{i}.ffn.up.weight": (F, C), f"blocks.{i}.ffn.down.weight": (C, F)}
        return shapes | {"ln.weight": (C,), "ln.bias": (C,), "head.weight": (V, C)}
