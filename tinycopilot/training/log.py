"""Log of a training run: losses, evaluations and events, for the report, the checkpoint and the summary."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, Self

INTERVAL_STEPS = 20
"""Steps in one LogInterval, after which losses are checked and a snapshot is taken."""


class LogInterval(NamedTuple):
    """Several training steps, logged together."""

    step: int
    """Number of steps at its end."""
    chars: int
    """Characters read at its end."""
    seconds: float
    """Training time at its end, without evaluations."""
    bits: float
    """Mean training loss, in bits per character."""
    lr_multiplier: float
    """Learning rate at its end, as a share of the peak."""


class Evaluation(NamedTuple):
    """An evaluation on held-out text, and a sample that the network wrote."""

    step: int
    chars: int
    seconds: float
    bits: float
    """Bits per character on the held-out text, or on a part of it."""
    sample: str
    """The prompt and its continuation."""


class HardCharacter(NamedTuple):
    """How well one character is predicted in the held-out text."""

    character: str
    """U+FFFD for all characters outside the vocabulary."""
    n: int
    """Number of occurrences in the held-out text."""
    bits: float
    """Mean -log2 p over them."""


@dataclass
class TrainLog:
    """The log of a whole run. A resumed run continues the log of its checkpoint."""

    intervals: list[LogInterval] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    """Rollbacks and other events, one line each."""
    hardest: list[HardCharacter] = field(default_factory=list)
    """Every character of the held-out text, in any order."""
    best_step: int = 0
    """The step with the best evaluation: its weights are the result."""
    n_steps: int = 0
    n_chars: int = 0
    seconds: float = 0.0
    held_out_bits: float = math.nan
    """Bits per character of the result on the held-out text; NaN before the first evaluation."""

    @property
    def chars_per_second(self) -> float:
        """Training throughput, without evaluations."""
        return self.n_chars / self.seconds if self.seconds else 0.0

    def copy(self) -> Self:
        """Return an independent log; the records, which are immutable, are shared."""
        lists: dict[str, Any] = {name: list(getattr(self, name)) for name in (*_RECORDS, "events")}
        return replace(self, **lists)

    def to_data(self) -> dict[str, Any]:
        """Return numbers, strings and lists, a row for each record, by the names that checkpoints use."""
        rows = {name: [list(record) for record in getattr(self, name)] for name in _RECORDS}
        data: dict[str, Any] = vars(self) | rows | {"events": list(self.events)}
        return {_SAVED_NAMES.get(name, name): value for name, value in data.items()}

    @classmethod
    def from_data(cls, data: object) -> Self:
        """Return the log that `to_data` wrote. Raises ValueError or TypeError if a part is missing or unknown."""
        saved_names = {part.name: _SAVED_NAMES.get(part.name, part.name) for part in fields(cls)}
        if not isinstance(data, Mapping) or set(data) != set(saved_names.values()):
            raise ValueError(f"a training log has exactly these parts: {', '.join(saved_names.values())}")
        parts = {name: data[saved] for name, saved in saved_names.items()}
        return cls(**parts | {name: [kind(*row) for row in parts[name]] for name, kind in _RECORDS.items()})


_RECORDS: dict[str, type[Any]] = {"intervals": LogInterval, "evaluations": Evaluation, "hardest": HardCharacter}
_SAVED_NAMES: dict[str, str] = {"intervals": "blocks", "evaluations": "looks"}
"""Field -> its name in checkpoints, which is the same in all versions."""
