"""The sizes of networks (`train --size`), and the hyperparameters of training."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """The shape of a network, except for its vocabulary."""

    n_layers: int
    n_heads: int
    d_model: int
    window: int = 256
    """Number of positions that one position attends to."""
    is_long: bool = False
    """Whether it needs hours of training, with larger batches, a later decay and averaged weights."""

    def shape(self) -> dict[str, int]:
        """Return the fields of GPTConfig, except for vocab_size and conv_width."""
        return {name: value for name, value in vars(self).items() if name != "is_long"}


SIZES = {
    "nano": Size(n_layers=4, n_heads=4, d_model=128),  # 0.8 million parameters
    "small": Size(n_layers=6, n_heads=4, d_model=256, is_long=True),  # 4.8
    "base": Size(n_layers=6, n_heads=6, d_model=384, window=512, is_long=True),  # 10.7
    "large": Size(n_layers=8, n_heads=8, d_model=512, window=512, is_long=True),  # 25.3
}
CONV_WIDTH = 3
"""Positions covered by the convolutions before attention and feed-forward."""


LONG_DECAY_SHARE = 0.3
"""The share of a long run over which the learning rates decay to zero."""
ADAPTING_LR_MULTIPLIER = 0.3
"""Learning rates of fine-tuning, as a share of those from random weights."""


@dataclass(frozen=True)
class TrainConfig:
    """Hyperparameters of training."""

    muon_lr: float = 0.02
    adam_lr: float = 3e-3
    clip_norm: float = 1.0
    """Maximum gradient norm."""
    bfloat16: bool = False
    """Whether to use bfloat16 autocast. A resumed run keeps it, even on another machine."""
    seed: int = 0
    """Seed of the initial weights and of the data order."""
    decay_share: float = 0.6
    """The share of the run over which the learning rates decay linearly to zero, at its end."""
    warm_up_steps: int = 50
    """Steps over which the learning rates rise linearly to their peak, at the start."""
    averages: bool = False
    """Whether to average the weights, and to use the average if it is better (train_state.py)."""

    @classmethod
    def for_run(cls, *, adapting: bool, is_long: bool, bfloat16: bool, seed: int) -> "TrainConfig":
        """Return the config: lower learning rates for fine-tuning, later decay and averaging for a long run."""
        slower = ADAPTING_LR_MULTIPLIER if adapting else 1.0
        return cls(
            muon_lr=cls.muon_lr * slower, adam_lr=cls.adam_lr * slower, bfloat16=bfloat16, seed=seed,
            decay_share=LONG_DECAY_SHARE if is_long else cls.decay_share, averages=is_long,
        )  # fmt: skip
