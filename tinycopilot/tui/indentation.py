"""Automatic indentation in `play`: what Enter, Tab and Backspace insert and delete."""

from collections import Counter
from itertools import pairwise

DEFAULT_UNIT = "    "


def indentation_unit(text: str) -> str:
    """Return one level of indentation, as in most blocks of the text."""
    lines = [line for line in text.split("\n") if line.strip()]
    levels = Counter(
        indentation_of(line).removeprefix(indentation_of(opening))
        for opening, line in pairwise(lines)
        if opening.rstrip().endswith(":") and len(indentation_of(line)) > len(indentation_of(opening))
    )
    return levels.most_common(1)[0][0] if levels else DEFAULT_UNIT


def indentation_of(line: str) -> str:
    """Return the leading whitespace of a line."""
    return line[: len(line) - len(line.lstrip(" \t"))]


def line_break(line: str, unit: str) -> tuple[int, str]:
    """Return the number of characters to delete before the cursor, and the text to insert, after `line`.

    The new line has the same indentation, one level more after a colon. A blank line is left empty.
    """
    if not line.strip():
        return len(line), "\n" + line
    opens = line.rstrip().endswith(":") and not line.lstrip().startswith("#")
    return 0, "\n" + indentation_of(line) + (unit if opens else "")


def tab(line: str, unit: str) -> str:
    """Return what Tab inserts: whitespace to the next level."""
    return unit if "\t" in unit else " " * (len(unit) - len(line) % len(unit))


def n_for_backspace(line: str, unit: str) -> int:
    """Return how many characters Backspace deletes: in indentation, back to the previous level."""
    if not line or line.strip(" ") or "\t" in unit:
        return 1
    return (len(line) - 1) % len(unit) + 1


def n_for_outdent(line: str, unit: str) -> int:
    """Return how many characters to delete from the start of a line to remove one level."""
    return len(indentation_of(line[: len(unit)]))
