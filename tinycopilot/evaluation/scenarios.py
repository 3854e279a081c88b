"""Scenarios of `bench`: sequences of documents and cursors for which a suggestion is requested."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

JUMP_CHARS = 1_500
"""Minimum offset of a cursor jump, in files that are long enough."""
LINES_ABOVE = 20
"""Distance of an edit above the cursor."""
LONG_CHARS = 300_000
"""Length of the long document."""


@dataclass(frozen=True)
class Step:
    """A document before and after the cursor."""

    document: str
    before: str
    after: str
    is_timed: bool = True
    """False for a step that only prepares the next one."""


def typing_on(name: str, text: str, first: int, n_keys: int) -> Iterator[Step]:
    """Yield each key of typing a part of `text`, with nothing after the cursor."""
    for at in range(first, min(first + n_keys, len(text))):
        yield Step(name, text[:at], "", is_timed=at > first)


def first_keys(texts: Mapping[str, str], dice: random.Random) -> Iterator[Step]:
    """Yield the first key in each document after it is opened."""
    for name, text in texts.items():
        if (at := line_end(text, dice)) is not None:
            yield Step(name, text[:at], text[at:])


def cursor_jumps(name: str, text: str, n_keys: int, dice: random.Random) -> Iterator[Step]:
    """Yield keys at random positions of a document."""
    for _ in range(n_keys):
        if (at := line_end(text, dice)) is not None:
            yield Step(name, text[:at], text[at:])


def edits_above(name: str, text: str, n_keys: int, dice: random.Random) -> Iterator[Step]:
    """Yield pairs: a key, then a key at the same position after an edit LINES_ABOVE lines above."""
    for i in range(n_keys):
        if (at := line_end(text, dice)) is None:
            return
        lines = text[:at].split("\n")
        above = max(0, len(lines) - 1 - LINES_ABOVE)
        yield Step(name, text[:at], text[at:], is_timed=False)
        lines[above] += f"  # note {i}"
        yield Step(name, "\n".join(lines), text[at:])


def line_end(text: str, dice: random.Random) -> int | None:
    """Return a random line end after the first JUMP_CHARS, if possible; None if `text` has none."""
    ends = [i for i in range(1, len(text)) if text[i] == "\n" and not text[i - 1].isspace()]
    far = [end for end in ends if end >= JUMP_CHARS]
    return dice.choice(far or ends) if ends else None


def long_text(texts: Sequence[str]) -> str:
    """Return the concatenation of `texts`, up to LONG_CHARS."""
    return "".join(texts)[:LONG_CHARS]
