"""Learner: all that a training step changes, to be copied and taken back to."""

import copy
import math
from typing import Any

from torch import Tensor

from tinycopilot.model.gpt import TinyGPT
from tinycopilot.training.distributed import Team
from tinycopilot.training.log import TrainLog
from tinycopilot.training.optim import make_optimizers
from tinycopilot.training.recipe import Recipe

RECOVERY_BLOCKS = 20
_NUMBERS = {"best_bits": float, "n_attempts": int, "n_skipped": int, "n_sound": int}


class Learner:
    """The network, its optimisers, and how far the run has come."""

    def __init__(self, model: TinyGPT, recipe: Recipe, team: Team = Team()) -> None:  # noqa: B008 (it is frozen)
        self.model = model.train().requires_grad_(True)
        self.recipe = recipe
        self.optimizers = make_optimizers(model, recipe, team)
        self.log = TrainLog()
        self.best: dict[str, Tensor] = {}
        """The weights of the best look so far, and its bits per character."""
        self.best_bits = math.inf
        self.n_attempts = self.n_skipped = self.n_sound = 0
        """To go on past what went wrong: each at half the rate of the one before, and so many batches further. And how
        many blocks went well since then."""

    def snapshot(self) -> dict[str, Any]:
        """A copy of everything: a TrainLog, tensors, and plain values."""
        tensors = {
            "weights": dict(self.model.state_dict()),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "best": self.best,
        }
        return copy.deepcopy(tensors) | {"log": self.log.copy()} | {name: getattr(self, name) for name in _NUMBERS}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Be again what `snapshot` copied. Raises ValueError, KeyError or RuntimeError where it does not fit."""
        self.log = snapshot["log"].copy()
        self.model.load_state_dict(snapshot["weights"])
        for optimizer, state in zip(self.optimizers, snapshot["optimizers"], strict=True):
            optimizer.load_state_dict(copy.deepcopy(state))
        self.best = {name: weight.to(self.model.device) for name, weight in snapshot["best"].items()}
        for name, kind in _NUMBERS.items():
            setattr(self, name, kind(snapshot[name]))

    def recover(self) -> None:
        """One more block went well. After RECOVERY_BLOCKS, what went wrong is forgotten, and the rate is whole."""
        self.n_sound += 1
        if self.n_sound == RECOVERY_BLOCKS:
            self.n_attempts = 0

    def remember_if_best(self, bits: float) -> None:
        """Keep the weights as they are now, if they are the best so far: `bits` per character on held-out text."""
        if bits <= self.best_bits:
            self.best = {name: weight.clone() for name, weight in self.model.state_dict().items()}
            self.best_bits = bits
            self.log.best_step = self.log.n_steps

    def result(self) -> TinyGPT:
        """The network with its best weights, ready for use."""
        self.model.load_state_dict(self.best)
        return self.model.requires_grad_(False).eval()
