"""Observers of a run: progress bar, JSON progress, TensorBoard, checkpoints, thread count."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from tinycopilot.training.log import Evaluation, LogInterval
from tinycopilot.training.schedule import Schedule


class Observer:
    """Callbacks of the training loop. The default does nothing."""

    def on_schedule(self, schedule: Schedule) -> None:
        """The length of the run was estimated again."""

    def on_step(self, loss: Tensor, n_chars: int) -> None:
        """A step was taken on `n_chars` characters; `loss` is in nats per character."""

    def on_interval(self, interval: LogInterval) -> None:
        """A log interval ended, without an anomaly."""

    def on_evaluation(self, evaluation: Evaluation) -> None:
        """The network was evaluated on held-out text."""

    def on_event(self, line: str) -> None:
        """A rollback, or another event that the user should know about."""

    def on_snapshot(self, snapshot: dict[str, Any]) -> None:
        """The run can be resumed from `snapshot`."""


class ObserverList(Observer):
    """Several observers as one."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        for name in [name for name in vars(Observer) if name.startswith("on_")]:
            setattr(self, name, _each([getattr(observer, name) for observer in observers]))


def _each(methods: Sequence[Any]) -> Any:
    def call(*arguments: Any) -> None:
        for method in methods:
            method(*arguments)

    return call
