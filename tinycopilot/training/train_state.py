"""TrainState: everything that a training step changes, with snapshots to return to."""

import contextlib
import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from tinycopilot.model.gpt import TinyGPT
from tinycopilot.training.distributed import DistContext
from tinycopilot.training.log import Evaluation, TrainLog
from tinycopilot.training.optim import make_optimizers
from tinycopilot.training.train_config import TrainConfig

RECOVERY_INTERVALS = 20
AVERAGE_POWER = 16
"""Exponent of the power-function average; with 16, the mean age of the averaged weights is 1/17 of the run."""
_NUMBERS = {"best_bits": float, "n_attempts": int, "n_skipped": int, "n_sound": int}


class TrainState:
    """Network, optimizers, log, best and averaged weights."""

    def __init__(self, model: TinyGPT, config: TrainConfig, dist: DistContext = DistContext()) -> None:  # noqa: B008 (frozen)
        self.model = model.train().requires_grad_(True)
        self.config = config
        self.optimizers = make_optimizers(model, config, dist)
        self.log = TrainLog()
        self.best: dict[str, Tensor] = {}
        """The weights of the best evaluation so far."""
        self.best_bits = math.inf
        self.average: dict[str, Tensor] = {}
        """Running average of the weights, updated once per interval; empty unless config.averages."""
        self.n_attempts = self.n_skipped = self.n_sound = 0
        """Since a loss spike: rollbacks (each halves the learning rate), skipped batches, and good intervals."""

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the whole state: a TrainLog, tensors, and plain values."""
        tensors = {
            "weights": dict(self.model.state_dict()),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "best": self.best,
            "average": self.average,
        }
        return copy.deepcopy(tensors) | {"log": self.log.copy()} | {name: getattr(self, name) for name in _NUMBERS}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Restore a snapshot. Raises ValueError, KeyError or RuntimeError if it does not fit."""
        self.log = snapshot["log"].copy()
        self.model.load_state_dict(snapshot["weights"])
        for optimizer, state in zip(self.optimizers, snapshot["optimizers"], strict=True):
            optimizer.load_state_dict(copy.deepcopy(state))
        for part in ("best", "average"):
            setattr(self, part, {name: w.to(self.model.device, copy=True) for name, w in snapshot[part].items()})
        for name, kind in _NUMBERS.items():
            setattr(self, name, kind(snapshot[name]))

    def count_good_interval(self) -> None:
        """Count an interval without an anomaly. After RECOVERY_INTERVALS, the full learning rate is restored."""
        self.n_sound += 1
        if self.n_sound == RECOVERY_INTERVALS:
            self.n_attempts = 0

    def keep_if_best(self, bits: float) -> None:
        """Keep a copy of the weights if `bits`, per character of held-out text, is the lowest so far."""
        if bits <= self.best_bits:
            self.best = {name: weight.clone() for name, weight in self.model.state_dict().items()}
            self.best_bits = bits
            self.log.best_step = self.log.n_steps

    def update_average(self) -> None:
        """Update the power-function average of the weights (Karras et al. 2024, section 3.1).

        It covers a fixed share of the run so far, whatever its length.
        """
        if not self.config.averages:
            return
        share = AVERAGE_POWER / (len(self.log.intervals) - 1 + AVERAGE_POWER)
        for name, weight in self.model.state_dict().items():
            if name in self.average:
                self.average[name].lerp_(weight, share)
            else:
                self.average[name] = weight.clone()

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Use the averaged weights within the context."""
        current = {name: weight.clone() for name, weight in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        try:
            yield
        finally:
            self.model.load_state_dict(current)

    def evaluate_best(self, evaluate: Callable[["TrainState"], Evaluation]) -> Evaluation:
        """Evaluate the weights and their average, if any; keep the better ones if they are the best so far."""
        evaluations = [evaluate(self)]
        self.keep_if_best(evaluations[0].bits)
        if self.average:
            with self.averaged():
                evaluations.append(evaluate(self))
                self.keep_if_best(evaluations[1].bits)
        return min(evaluations, key=lambda evaluation: evaluation.bits)

    def result(self) -> TinyGPT:
        """Return the network with its best weights, in eval mode."""
        self.model.load_state_dict(self.best)
        return self.model.requires_grad_(False).eval()
