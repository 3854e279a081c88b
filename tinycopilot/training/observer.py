"""Who watches a run: the terminal's progress bar, TensorBoard, the clock that writes checkpoints, or nobody."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from tinycopilot.training.log import Block, Look
from tinycopilot.training.schedule import Schedule


class Observer:
    """Is told what happens in a run; this one does nothing about it."""

    def planned(self, schedule: Schedule) -> None:
        """How long the run will be is settled."""

    def step(self, loss: Tensor, n_chars: int) -> None:
        """One step is done, on `n_chars` characters; `loss` is in nats per character."""

    def block(self, block: Block) -> None:
        """A few more steps are done, and all is well."""

    def look(self, look: Look) -> None:
        """The held-out text was measured."""

    def event(self, line: str) -> None:
        """Something happened that the user should know."""

    def keep(self, snapshot: dict[str, Any]) -> None:
        """From here the run could go on."""


class Observers(Observer):
    """Several as one."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def planned(self, schedule: Schedule) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.planned(schedule)

    def step(self, loss: Tensor, n_chars: int) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.step(loss, n_chars)

    def block(self, block: Block) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.block(block)

    def look(self, look: Look) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.look(look)

    def event(self, line: str) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.event(line)

    def keep(self, snapshot: dict[str, Any]) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.keep(snapshot)
