"""Sizes of networks, and the hyperparameters of training."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """A network's shape, but for its vocabulary."""

    n_layers: int
    n_heads: int
    d_model: int
    window: int = 256
    """Positions that one position attends to."""
    is_long: bool = False
    """Whether it pays in a run of hours alone, which has larger batches, a later decay and averaged weights."""

    def shape(self) -> dict[str, int]:
        """The fields of a GPTConfig that it settles."""
        return {name: value for name, value in vars(self).items() if name != "is_long"}


SIZES = {
    "nano": Size(n_layers=4, n_heads=4, d_model=128),  # 0.8 million parameters
    "small": Size(n_layers=6, n_heads=4, d_model=256, window=512, is_long=True),  # 4.8
    "base": Size(n_layers=6, n_heads=6, d_model=384, window=512, is_long=True),  # 10.7
    "large": Size(n_layers=8, n_heads=8, d_model=512, window=512, is_long=True),  # 25.3
}
CONV_WIDTH = 3
"""Positions that each channel is mixed over before a block's attention and its feed-forward part."""


LONG_DECAY_SHARE = 0.3
"""The share of a long run over which its rates fall to zero."""
ADAPTING_LR_MULTIPLIER = 0.3
"""The rates of fine-tuning, as a share of those that begin with random weights."""


@dataclass(frozen=True)
class TrainConfig:
    """How a network is taught, whatever its size and its corpus."""

    muon_lr: float = 0.02
    adam_lr: float = 3e-3
    clip_norm: float = 1.0
    """Longer gradients are shortened to this."""
    bfloat16: bool = False
    """Take products of matrices in bfloat16 rather than float32. Settled when a run begins, wherever it goes on."""
    seed: int = 0
    """Of the first weights and of the order of the text."""
    decay_share: float = 0.6
    """The share of the run, at its end, over which the rates fall linearly to zero."""
    averages: bool = False
    """Whether an average of the weights is kept, and used where it is better (train_state.py)."""

    @classmethod
    def for_run(cls, *, adapting: bool, is_long: bool, bfloat16: bool, seed: int) -> "TrainConfig":
        """Fine-tuning has lower learning rates; a long run has a later decay and averaged weights."""
        slower = ADAPTING_LR_MULTIPLIER if adapting else 1.0
        return cls(
            muon_lr=cls.muon_lr * slower, adam_lr=cls.adam_lr * slower, bfloat16=bfloat16, seed=seed,
            decay_share=LONG_DECAY_SHARE if is_long else cls.decay_share, averages=is_long,
        )  # fmt: skip
