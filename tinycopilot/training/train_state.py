"""TrainState: everything that a training step changes, with snapshots to return to after a loss spike."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from tinycopilot import UserError
from tinycopilot.model.gpt import TinyGPT
from tinycopilot.training.distributed import DistContext
from tinycopilot.training.log import INTERVAL_STEPS, Evaluation, LogInterval, TrainLog
from tinycopilot.training.muon import Muon, muon_momentum
from tinycopilot.training.train_config import TrainConfig

SPIKE_BITS = 1.5
"""An interval whose mean loss is this much worse than the worst of the RECENT_INTERVALS before it is a spike."""
RECENT_INTERVALS = 10
MAX_ATTEMPTS = 5
RECOVERY_INTERVALS = 20
AVERAGE_POWER = 16
"""Exponent of the power-function average; with 16, the mean age of the averaged weights is 1/17 of the run."""
_NUMBERS = {"best_bits": float, "n_attempts": int, "n_skipped": int, "n_sound": int}


class DivergedError(UserError):
    """A run whose loss spikes again after MAX_ATTEMPTS rollbacks."""


class TrainState:
    """Network, optimizers, log, best and averaged weights."""

    def __init__(self, model: TinyGPT, config: TrainConfig, dist: DistContext = DistContext()) -> None:  # noqa: B008 (frozen)
        self.model = model.train().requires_grad_(True)
        self.config, self.dist = config, dist
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

    def set_rates(self, step: int, multiplier: float) -> None:
        """Set each learning rate to its peak times `multiplier`, and Muon's momentum for `step`."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = optimizer.defaults["lr"] * multiplier
                if isinstance(optimizer, Muon):
                    group["momentum"] = muon_momentum(step)

    def roll_back(self, proven: dict[str, Any], anomaly: str) -> str:
        """Restore `proven`, to skip the batches of the spike (Chowdhery et al. 2022, PaLM) and halve the learning rate.

        Returns a line about it. Raises DivergedError after MAX_ATTEMPTS.
        """
        n_attempts, n_skipped = self.n_attempts + 1, self.n_skipped + 2 * INTERVAL_STEPS
        if n_attempts > MAX_ATTEMPTS:
            raise DivergedError(f"{anomaly}, after {MAX_ATTEMPTS} rollbacks; try another --seed")
        self.restore(proven)
        self.n_attempts, self.n_skipped, self.n_sound = n_attempts, n_skipped, 0
        event = f"{anomaly}; back to step {self.log.n_steps:,}, with other batches and half the learning rate"
        self.log.events.append(event)
        return event

    def count_good_interval(self) -> None:
        """Count an interval without an anomaly. After RECOVERY_INTERVALS, the full learning rate is restored."""
        self.n_sound += 1
        if self.n_sound == RECOVERY_INTERVALS:
            self.n_attempts = 0

    def update_average(self) -> None:
        """Update the power-function average of the weights (Karras et al. 2024, section 3.1).

        It covers a fixed share of the run so far, whatever its length.
        """
        if self.config.averages:
            share = AVERAGE_POWER / (len(self.log.intervals) - 1 + AVERAGE_POWER)
            for name, weight in self.model.state_dict().items():
                self.average[name] = self.average.get(name, weight).lerp(weight, share)

    def evaluate_best(self, evaluate: Callable[["TrainState"], Evaluation]) -> Evaluation:
        """Evaluate the weights and their average, if any; keep the better ones if they are the best so far."""
        current, evaluations = _copies(self.model.state_dict()), list[Evaluation]()
        for weights in [current, self.average] if self.average else [current]:
            self.model.load_state_dict(weights)
            evaluations.append(evaluate(self))
            if evaluations[-1].bits <= self.best_bits:
                self.best, self.best_bits, self.log.best_step = _copies(weights), evaluations[-1].bits, self.log.n_steps
        self.model.load_state_dict(current)
        return min(evaluations, key=lambda evaluation: evaluation.bits)

    def result(self) -> TinyGPT:
        """Return the network with its best weights, in eval mode."""
        self.model.load_state_dict(self.best)
        return self.model.requires_grad_(False).eval()


def _copies(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in weights.items()}


def make_optimizers(model: nn.Module, config: TrainConfig, dist: DistContext) -> list[Optimizer]:
    """Return Muon for the matrices in the blocks, and AdamW for embedding, head, LayerNorms and convolutions.

    Its gain over AdamW alone is in benchmarks/LOG.md.
    """
    matrices = {
        name: p
        for name, p in model.named_parameters()
        if name.startswith("blocks.") and p.ndim == 2 and not name.endswith("taps")
    }
    fused_qkv = [p for name, p in matrices.items() if name.endswith("qkv.weight")]
    single = [p for name, p in matrices.items() if not name.endswith("qkv.weight")]
    others = [p for name, p in model.named_parameters() if name not in matrices]
    groups: list[dict[str, Any]] = [{"params": fused_qkv, "n_parts": 3}, {"params": single}]
    muon = Muon(groups, lr=config.muon_lr, dtype=torch.bfloat16 if config.bfloat16 else torch.float32, dist=dist)
    fused = others[0].device.type in ("cpu", "cuda")
    return [muon, AdamW(others, lr=config.adam_lr, betas=(0.9, 0.95), weight_decay=0.0, fused=fused)]


def find_anomaly(bits: Sequence[float], norms: Sequence[float], before: Sequence[LogInterval]) -> str:
    """Return what is wrong with the losses and gradient norms of an interval; empty if nothing is."""
    if not all(map(math.isfinite, bits)):
        return "a loss that is not a number"
    if not all(map(math.isfinite, norms)):
        return "a gradient that is not a number"
    mean = sum(bits) / len(bits)
    usual = max((interval.bits for interval in before[-RECENT_INTERVALS:]), default=math.inf)
    if mean > usual + SPIKE_BITS:
        return f"loss spike from {usual:.2f} to {mean:.2f} bits per character"
    return ""
