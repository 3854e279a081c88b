"""What happened in a training run, in plain numbers and words: for the report, the checkpoint and the closing line."""

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, fields, replace
from typing import Any, Self


@dataclass(frozen=True)
class Block:
    """A few steps taken together."""

    step: int
    """Steps done at its end."""
    chars: int
    """Characters read at its end."""
    seconds: float
    """Training time at its end; looks do not count."""
    bits: float
    """Mean bits per character of its training losses."""
    rate: float
    """Learning rate at its end, as a share of its peak."""


@dataclass(frozen=True)
class Look:
    """The held-out text was measured, and the network wrote a sample."""

    step: int
    chars: int
    seconds: float
    bits: float
    """Bits per character on the held-out text, or on a sample of it."""
    sample: str
    """What the network wrote, the prompt included."""


@dataclass(frozen=True)
class HardCharacter:
    """How badly one character is predicted in the held-out text."""

    character: str
    """One character; U+FFFD stands for all that the vocabulary lacks."""
    n: int
    """How often it stands in the held-out text."""
    bits: float
    """Mean -log2 p where it stands."""


@dataclass
class TrainLog:
    """The whole run so far. A resumed run goes on with the log of the one before."""

    blocks: list[Block] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    """Rollbacks and the like, one line each."""
    hardest: list[HardCharacter] = field(default_factory=list)
    """Every character of the held-out text, in any order: the report works out each one's share of all bits."""
    best_step: int = 0
    """After this many steps the held-out text was predicted best: these weights are the result."""
    n_steps: int = 0
    n_chars: int = 0
    seconds: float = 0.0
    held_out_bits: float = math.nan
    """Bits per character of the result on the held-out text; NaN before the first look."""

    @property
    def chars_per_second(self) -> float:
        """Throughput of the training steps alone."""
        return self.n_chars / self.seconds if self.seconds else 0.0

    def copy(self) -> Self:
        """A log that goes on by itself. (What happened does not change: the records are shared.)"""
        return replace(
            self,
            blocks=list(self.blocks),
            looks=list(self.looks),
            events=list(self.events),
            hardest=list(self.hardest),
        )

    def to_data(self) -> dict[str, Any]:
        """Plain numbers, words and lists, a row for each Block, Look and HardCharacter: weights_only loads them."""
        rows = {name: [list(astuple(record)) for record in getattr(self, name)] for name in _RECORDS}
        return vars(self) | rows | {"events": list(self.events)}

    @classmethod
    def from_data(cls, data: object) -> Self:
        """The log that `to_data` wrote. Raises ValueError where a part is missing, unknown or of the wrong type."""
        names = [part.name for part in fields(cls)]
        if not isinstance(data, Mapping) or set(data) != set(names):
            raise ValueError(f"a training log has exactly these parts: {', '.join(names)}")
        parts = dict(data)
        for name, kind in _RECORDS.items():
            parts[name] = [_record(kind, row) for row in _checked(list, name, parts[name])]
        parts["events"] = [_checked(str, "events", event) for event in _checked(list, "events", parts["events"])]
        return cls(**parts | _scalars(cls, parts))


_RECORDS: dict[str, type[Any]] = {"blocks": Block, "looks": Look, "hardest": HardCharacter}


def _record(kind: type[Any], row: object) -> Any:
    names = [part.name for part in fields(kind)]
    if not isinstance(row, list | tuple) or len(row) != len(names):
        raise ValueError(f"a {kind.__name__} is a row of {', '.join(names)}")
    return kind(**_scalars(kind, dict(zip(names, row, strict=True))))


def _scalars(kind: type[Any], values: dict[str, object]) -> dict[str, Any]:
    """The numbers and words of `kind`, each of its declared type."""
    plain = {part.name: part.type for part in fields(kind) if part.type in (int, float, str)}
    return {name: _checked(type_, name, values[name]) for name, type_ in plain.items()}


def _checked(type_: Any, name: str, value: object) -> Any:
    """`value` as a `type_`. A whole number does for a float; True is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float) if type_ is float else type_):
        raise ValueError(f"{name} is {value!r:.80} where {type_.__name__} is expected")
    return type_(value)
