"""Who watches a run: the terminal's progress bar, TensorBoard, the clock that writes checkpoints, or nobody."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from tinycopilot.training.log import Evaluation, LogInterval
from tinycopilot.training.schedule import Schedule


class Observer:
    """Is told what happens in a run; this one does nothing about it."""

    def on_schedule(self, schedule: Schedule) -> None:
        """How long the run will be is settled."""

    def on_step(self, loss: Tensor, n_chars: int) -> None:
        """One step is done, on `n_chars` characters; `loss` is in nats per character."""

    def on_interval(self, interval: LogInterval) -> None:
        """A few more steps are done, and all is well."""

    def on_evaluation(self, evaluation: Evaluation) -> None:
        """The held-out text was measured."""

    def on_event(self, line: str) -> None:
        """Something happened that the user should know."""

    def on_snapshot(self, snapshot: dict[str, Any]) -> None:
        """From here the run could go on."""


class ObserverList(Observer):
    """Several as one."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def on_schedule(self, schedule: Schedule) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.on_schedule(schedule)

    def on_step(self, loss: Tensor, n_chars: int) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.on_step(loss, n_chars)

    def on_interval(self, interval: LogInterval) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.on_interval(interval)

    def on_evaluation(self, evaluation: Evaluation) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.on_evaluation(evaluation)

    def on_event(self, line: str) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.on_event(line)

    def on_snapshot(self, snapshot: dict[str, Any]) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.on_snapshot(snapshot)
