"""Learner: all that a training step changes, to be copied and taken back to."""

import copy
from typing import Any

import torch
from torch import Tensor

from tinycopilot.model.gpt import TinyGPT
from tinycopilot.training.device import has_fast_bfloat16
from tinycopilot.training.log import TrainLog
from tinycopilot.training.optim import make_optimizers
from tinycopilot.training.recipe import Recipe


class Learner:
    """The network, its optimisers, and how far the run has come."""

    def __init__(self, model: TinyGPT, recipe: Recipe) -> None:
        self.model = model.train().requires_grad_(True)
        self.recipe = recipe
        self.low_precision = not recipe.float32 and has_fast_bfloat16(model.device)
        self.optimizers = make_optimizers(model, recipe, torch.bfloat16 if self.low_precision else torch.float32)
        self.log = TrainLog()
        self.best: dict[str, Tensor] = {}
        """The weights of the best look so far."""
        self.n_rollbacks = 0

    def snapshot(self) -> dict[str, Any]:
        """A copy of everything, in plain values and tensors."""
        return copy.deepcopy(
            {
                "weights": dict(self.model.state_dict()),
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
                "log": self.log.to_data(),
                "best": self.best,
                "n_rollbacks": self.n_rollbacks,
            }
        )

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Be again what `snapshot` copied. Raises ValueError, KeyError or RuntimeError where it does not fit."""
        self.log = TrainLog.from_data(snapshot["log"])
        self.model.load_state_dict(snapshot["weights"])
        for optimizer, state in zip(self.optimizers, snapshot["optimizers"], strict=True):
            optimizer.load_state_dict(copy.deepcopy(state))
        self.best = {name: weight.to(self.model.device) for name, weight in snapshot["best"].items()}
        self.n_rollbacks = int(snapshot["n_rollbacks"])

    def remember_best(self) -> None:
        """The weights as they are now are the best so far."""
        self.best = {name: weight.clone() for name, weight in self.model.state_dict().items()}
        self.log.best_step = self.log.n_steps

    def result(self) -> TinyGPT:
        """The network with its best weights, ready for use."""
        self.model.load_state_dict(self.best)
        return self.model.requires_grad_(False).eval()
