"""What the lines of `tinycopilot adapt --progress json` say to a user: how much of the whole is done, and of what."""

import json
from typing import Any

from tinycopilot import UserError

STAGES = {"reading": (0, 3), "training": (3, 85), "measuring": (85, 100), "done": (100, 100)}
"""From which percentage to which each goes, in five minutes of training."""
DEFAULT_MINUTES = 5.0
MAX_MINUTES = 24 * 60.0

Line = dict[str, Any]


def read_line(line: bytes) -> Line | None:
    """One line as what it says; None for one that says nothing of this kind."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    is_one = isinstance(said, dict) and str(said.get("stage")) in STAGES and isinstance(said.get("share"), int | float)
    return said if is_one else None


def percentage(said: Line) -> int:
    """Of the whole, from 0 to 100."""
    first, last = STAGES[said["stage"]]
    return round(first + (last - first) * min(1.0, max(0.0, said["share"])))


def in_words(said: Line) -> str:
    """`training: 1.02 bits per character, 3 minutes left`."""
    facts = []
    if isinstance(bits := said.get("bits"), int | float):
        facts.append(f"{bits:.2f} bits per character")
    if isinstance(left := said.get("minutes_left"), int | float):
        n = round(left)
        facts.append(f"{n} minute{'s' * (n != 1)} left" if n else "less than a minute left")
    return ": ".join(filter(None, (said["stage"], ", ".join(facts))))


def minutes_of(arguments: tuple[Any, ...]) -> float:
    """The minutes in a command's arguments: none, or {"minutes": M}. Raises UserError."""
    given = arguments[0] if arguments else None
    minutes = given.get("minutes", DEFAULT_MINUTES) if isinstance(given, dict) else given
    if minutes is None:
        return DEFAULT_MINUTES
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes <= MAX_MINUTES:
        raise UserError(f"minutes must be a number above 0, {MAX_MINUTES:,.0f} at most, not {minutes!r:.80}")
    return float(minutes)


def why_it_failed(code: int, last_words: str) -> str:
    """One line, from its exit code and the last line of what it said was wrong."""
    prefix = "tinycopilot: "
    if code == 2 and last_words.startswith(prefix):
        return last_words.removeprefix(prefix)
    return f"training ended before its end (exit code {code}){': ' * bool(last_words)}{last_words}; nothing has changed"
