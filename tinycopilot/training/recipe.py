"""What is decided before the first step: the size, the rates, and how much text is read in batches of which shape."""

import math
from collections import Counter
from collections.abc import Sequence
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
ADAPTING_STEP_CHARS = 4096
"""Characters in one step of fine-tuning, in at most 16 windows."""
ADAPTING_RATE = 0.3
"""The rates of fine-tuning, as a share of those that begin with random weights."""


@dataclass(frozen=True)
class Recipe:
    """How a network is taught, whatever its size and its corpus."""

    muon_rate: float = 0.02
    adam_rate: float = 3e-3
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
    def for_run(cls, *, adapting: bool, is_long: bool, bfloat16: bool, seed: int) -> "Recipe":
        """The recipe of a run: lower rates for adapting, a later decay and averaged weights for a long run."""
        slower = ADAPTING_RATE if adapting else 1.0
        return cls(
            muon_rate=cls.muon_rate * slower, adam_rate=cls.adam_rate * slower, bfloat16=bfloat16, seed=seed,
            decay_share=LONG_DECAY_SHARE if is_long else cls.decay_share, averages=is_long,
        )  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """A part of a run, in which all batches have one shape."""

    batch: int
    """Windows in one step."""
    window: int
    """Characters in each."""
    n_chars: float = math.inf
    """So many are read in this stage, or all that are left."""


@dataclass(frozen=True)
class Plan:
    """All steps of one run: so many in each stage, one stage after another."""

    stages: tuple[Stage, ...]
    steps: tuple[int, ...]
    """How many steps each stage has."""
    settled_after: tuple[float, ...] = ()
    """How many fit into the minutes that were given will be known better after so much of it, and so much more."""
    settled_at: int = 0
    """The step after which that was settled last (pace.py)."""

    @classmethod
    def over(
        cls, n_chars: float, stages: Sequence[Stage], *, settled_after: Sequence[float] = (), settled_at: int = 0
    ) -> "Plan":
        """The plan that reads about `n_chars` characters, in at least one step; the last stage has no end."""
        steps, left = list[int](), n_chars
        for stage in stages:
            steps.append(round(min(left, stage.n_chars) / (stage.batch * stage.window)))
            left -= min(left, stage.n_chars)
        steps[0] += sum(steps) == 0
        return cls(tuple(stages), tuple(steps), tuple(settled_after), settled_at)

    @property
    def next_settled_at(self) -> int:
        """The step after which its length is to be settled again, while there are `settled_after`."""
        return self.settled_at + max(1, round(self.settled_after[0] * self.n_steps))

    def looks(self, n_look_chars: int) -> set[int]:
        """After which steps the held-out text is measured, `n_look_chars` at a time.

        Evenly over the run, ten times at most, and fewer where that would take more than a fiftieth of the time: what
        is only read costs a third of what is learned from.
        """
        n_looks = min(10, max(1, int(self.n_chars / 50 * 3 / max(1, n_look_chars))))
        return {self.n_steps * i // n_looks for i in range(1, n_looks + 1)}

    @property
    def n_steps(self) -> int:
        """All steps together."""
        return sum(self.steps)

    def n_chars_after(self, step: int) -> int:
        """How many characters the first `step` steps read."""
        n_chars = 0
        for stage, n in zip(self.stages, self.steps, strict=True):
            n_chars += stage.batch * stage.window * min(n, step)
            step -= min(n, step)
        return n_chars

    @property
    def n_chars(self) -> int:
        """How many characters are read, those that are read again included."""
        return self.n_chars_after(self.n_steps)

    def at(self, step: int) -> tuple[Stage, int, float]:
        """Of `step`: its stage, how many windows of that length were read before it, and the share of the run."""
        share, left = self.n_chars_after(step) / self.n_chars, step
        behind: Counter[int] = Counter()
        for stage, n in zip(self.stages, self.steps, strict=True):
            if left < n:
                return stage, behind[stage.window] + left * stage.batch, share
            behind[stage.window] += n * stage.batch
            left -= n
        raise IndexError(f"there are {self.n_steps} steps")


def stages_for(window: int, *, adapting: bool, is_long: bool) -> tuple[Stage, ...]:
    """Return the shapes of a run's batches: small ones first, for more steps from the same text, then larger ones.

    Windows are whole from the first step on: after shorter ones, later positions would have to be learned anew.
    benchmarks/LOG.md has the figures. A model that is adapted is past the beginning.
    """
    if adapting:
        return (Stage(min(16, max(1, ADAPTING_STEP_CHARS // window)), window),)
    if is_long:
        return (Stage(4, window, 2_000_000), Stage(8, window, 30_000_000), Stage(16, window))
    return (Stage(4, window, 700_000), Stage(8, window))
