"""What an editor does with indentation: after Enter, and for Tab and Backspace."""

from collections import Counter
from itertools import pairwise

DEFAULT_UNIT = "    "


def indentation_unit(text: str) -> str:
    """One level of indentation, as most blocks of a file have it."""
    lines = [line for line in text.split("\n") if line.strip()]
    levels = Counter(
        indentation_of(line).removeprefix(indentation_of(opening))
        for opening, line in pairwise(lines)
        if opening.rstrip().endswith(":") and len(indentation_of(line)) > len(indentation_of(opening))
    )
    return levels.most_common(1)[0][0] if levels else DEFAULT_UNIT


def indentation_of(line: str) -> str:
    """The blanks that a line begins with."""
    return line[: len(line) - len(line.lstrip(" \t"))]


def line_break(line: str, unit: str) -> tuple[int, str]:
    """How many characters to delete before the cursor, and what to insert, where `line` stands before it.

    The new line is as deep as this one, and one level deeper after a colon. A line of blanks is left empty.
    """
    if not line.strip():
        return len(line), "\n" + line
    opens = line.rstrip().endswith(":") and not line.lstrip().startswith("#")
    return 0, "\n" + indentation_of(line) + (unit if opens else "")


def tab(line: str, unit: str) -> str:
    """What Tab inserts: blanks to the next level."""
    return unit if "\t" in unit else " " * (len(unit) - len(line) % len(unit))


def n_for_backspace(line: str, unit: str) -> int:
    """How many characters Backspace deletes: in indentation of spaces a level, or what there is beyond one."""
    if not line or line.strip(" ") or "\t" in unit:
        return 1
    return (len(line) - 1) % len(unit) + 1


def n_for_outdent(line: str, unit: str) -> int:
    """How many characters are to go from the beginning of a line for it to be a level less deep."""
    return len(unit) if line.startswith(unit) else len(line[: len(unit)]) - len(line[: len(unit)].lstrip(" \t"))
