"""What a client may set, with its defaults: one frozen dataclass, made from the client's initializationOptions."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tinycopilot.completion.stopping import CompleterSettings


@dataclass(frozen=True)
class Settings:
    """The server's settings. A client writes the names in camelCase, all on one level: `modelPath`, `minConfidence`."""

    model_path: str = ""
    """The model's file; empty for the user's own, else the one that ships."""
    tokenizer_path: str = ""
    """Its tokenizer's file; empty for the one beside the model."""
    completer: CompleterSettings = field(default_factory=CompleterSettings)
    max_workspace_chars: int = 12_000_000
    """The most characters of the workspace that are known, ten bytes of memory each; 0: the document at hand alone."""


LIMITS: dict[str, tuple[float, float]] = {
    "max_workspace_chars": (0, 1_000_000_000), "eagerness": (0, 1), "min_confidence": (0, 1),
    "max_chars": (1, 100_000), "max_lines": (1, 100_000), "threads": (1, 64),
}  # fmt: skip


def camel_case(name: str) -> str:
    """`min_confidence` -> `minConfidence`."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def parse_settings(options: object) -> tuple[Settings, list[str]]:
    """Settings from what a client sent, and a line for each value that cannot be used: its default stands instead."""
    if options is None:
        return Settings(), []
    if not isinstance(options, Mapping):
        return Settings(), ["the settings are not an object of names and values: using the defaults"]
    problems: list[str] = []
    left = dict(options)
    own = _known(Settings, left, problems, skip="completer")
    completer = CompleterSettings(**_known(CompleterSettings, left, problems))
    problems += [f"there is no setting {name!r}" for name in left]
    return Settings(**own, completer=completer), problems


def _known(kind: Any, left: dict[str, Any], problems: list[str], skip: str = "") -> dict[str, Any]:
    """The valid values for the fields of `kind`, taken out of `left`."""
    values = {}
    for one in dataclasses.fields(kind):
        name = camel_case(one.name)
        if one.name == skip or name not in left:
            continue
        value = left.pop(name)
        if problem := _problem(one.name, one.default, value):
            problems.append(f"{name} must be {problem}, not {value!r}: using {one.default!r}")
        else:
            values[one.name] = float(value) if isinstance(one.default, float) else value
    return values


def _problem(name: str, default: object, value: object) -> str:
    """What is wrong with a value, as "must be ..." goes on; empty if nothing is."""
    if isinstance(default, str):
        return "" if isinstance(value, str) else "a text"
    low, high = LIMITS[name]
    kinds = (int,) if isinstance(default, int) else (int, float)
    wanted = f"a {'whole ' if isinstance(default, int) else ''}number from {low:,} to {high:,}"
    return "" if isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high else wanted
