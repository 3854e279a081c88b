"""GPTConfig: the shape of a network, and of each of its weights. Imports no PyTorch."""

import dataclasses
import reprlib
from dataclasses import dataclass

MAX_PARAMETERS = 100_000_000
"""Ten times the largest size that is trained here; a file can claim any number."""
MAX_OF = {"n_layers": 1_000, "window": 4_096}
"""Limits of what takes memory or time beyond the parameters: cache and attention grow with the window."""
SPARE = 64
"""Up to this many positions can always be taken back from a cache."""
COLD = 1e-4
"""Below this temperature the likeliest character is taken: sampling would give the same, but divide by almost 0."""


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a TinyGPT; stored in its file, never guessed from weights. Raises ValueError if it is impossible."""

    vocab_size: int
    """V: the characters and the unknown id, which is the last."""
    n_layers: int = 4
    """L."""
    n_heads: int = 4
    """H; each head is d_model / n_heads wide, an even number."""
    d_model: int = 128
    """C: the width of the residual stream."""
    window: int = 256
    """W: how many positions one position sees, itself included."""
    conv_width: int = 1
    """K: how many positions, its own included, each ShortConvolution covers; 1 means that there are none."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            most = MAX_OF.get(field.name, 1_000_000)
            if type(value) is not int or not 1 <= value <= most:
                raise ValueError(f"{field.name} must be a whole number from 1 to {most:,}, not {reprlib.repr(value)}")
        if self.d_model % (2 * self.n_heads):
            raise ValueError(f"d_model ({self.d_model}) must be a multiple of twice n_heads ({self.n_heads})")
        if self.n_parameters > MAX_PARAMETERS:
            raise ValueError(f"{self.n_parameters:,} parameters are too many")
        if self.n_cached > MAX_PARAMETERS:
            raise ValueError(f"{self.n_cached:,} numbers in its cache are too many")

    @property
    def d_head(self) -> int:
        """D: the width of one head."""
        return self.d_model // self.n_heads

    @property
    def d_ff(self) -> int:
        """F: the width inside the feed-forward part."""
        return 4 * self.d_model

    @property
    def n_parameters(self) -> int:
        """Number of weights."""
        block = 12 * self.d_model**2  # qkv 3, o_proj 1, up 4, down 4
        block += 2 * self.d_model * (2 + self.conv_width - 1)  # two LayerNorms, two convolutions
        return self.n_layers * block + 2 * self.vocab_size * self.d_model + 2 * self.d_model

    @property
    def n_cached(self) -> int:
        """Approximate number of values in a KVCache: keys, values, and the inputs of the convolutions."""
        n_rows = 2 * self.window + SPARE
        return self.n_layers * self.d_model * n_rows * (4 if self.conv_width > 1 else 2)

    @property
    def reach(self) -> int:
        """How many characters one prediction can depend on: each layer sees this many positions further back."""
        return self.n_layers * (self.window - 1 + 2 * (self.conv_width - 1)) + 1

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every weight, as in `TinyGPT.state_dict()`; a matrix is (outputs, inputs)."""
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
