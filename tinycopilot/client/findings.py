"""Findings of `tinycopilot doctor`, in sections, as text and as JSON."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """Severity: a note is information, a problem prevents something from working."""

    OK = "OK"
    NOTE = "note"
    PROBLEM = "PROBLEM"


STYLES = {Level.OK: "green", Level.NOTE: "yellow", Level.PROBLEM: "bold red"}


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    name: str
    text: str
    level: Level = Level.OK
    todo: str = ""
    """A suggested action; "" if none."""
    facts: dict[str, Any] = field(default_factory=dict)
    """The values in `text`, for `--json`."""

    def as_object(self) -> dict[str, Any]:
        """Return the finding as `--json` prints it."""
        return {"name": self.name, "level": self.level.lower(), "text": self.text, "todo": self.todo, **self.facts}


Sections = dict[str, list[Finding]]


def problem_of(name: str, message: str) -> Finding:
    """Return a problem from an error message of the form `what is wrong; what to do`."""
    what, _, todo = message.rpartition("; ")
    return Finding(name, what or todo, Level.PROBLEM, todo if what else "")


def n_problems(sections: Sections) -> int:
    """Number of findings that are problems."""
    return sum(one.level is Level.PROBLEM for findings in sections.values() for one in findings)


def as_json(sections: Sections) -> str:
    """Return the report as one JSON object."""
    content = {title: [one.as_object() for one in findings] for title, findings in sections.items()}
    return json.dumps({"ok": n_problems(sections) == 0, **content}, indent=1)


def as_lines(sections: Sections) -> Iterable[list[tuple[str, str]]]:
    """Yield the lines of the report, as (text, rich style) pieces."""
    width = max((len(one.name) for findings in sections.values() for one in findings), default=0)
    for title, findings in sections.items():
        yield [(title, "bold")]
        for one in findings:
            yield [(f"  {one.level:<8}", STYLES[one.level]), (f"{one.name:<{width}}  {_one_line(one.text)}", "")]
            if one.todo:
                yield [(f"{'':<{width + 12}}-> {_one_line(one.todo)}", "cyan")]


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


def print_lines(sections: Sections, last: Sequence[tuple[str, str]]) -> None:
    """Print the report, in color if the terminal has colors and rich is installed."""
    lines = [*as_lines(sections), list(last)]
    try:
        from rich.console import Console  # noqa: PLC0415 (it may be the missing package)
        from rich.text import Text  # noqa: PLC0415
    except ImportError:
        for line in lines:
            print("".join(text for text, _ in line))
        return
    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        console.print(Text.assemble(*line))
