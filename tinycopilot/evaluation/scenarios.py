"""Situations in which a suggestion is asked for: looks at documents, one after another, as an editor has them."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

JUMP_CHARS = 1_500
"""A cursor that jumps has so much before it, where there is so much."""
LINES_ABOVE = 20
"""An edit above is so many lines away."""
LONG_CHARS = 300_000
"""A long document has so many."""


@dataclass(frozen=True)
class Step:
    """A document on both sides of the cursor."""

    document: str
    before: str
    after: str
    is_timed: bool = True
    """Else it only leads up to the next one."""


def typing_on(name: str, text: str, first: int, n_keys: int) -> Iterator[Step]:
    """Each key of a part of a text; nothing stands after the cursor yet."""
    for at in range(first, min(first + n_keys, len(text))):
        yield Step(name, text[:at], "", is_timed=at > first)


def first_keys(texts: Mapping[str, str], dice: random.Random) -> Iterator[Step]:
    """The first key in each document after it was opened."""
    for name, text in texts.items():
        if (at := line_end(text, dice)) is not None:
            yield Step(name, text[:at], text[at:])


def cursor_jumps(name: str, text: str, n_keys: int, dice: random.Random) -> Iterator[Step]:
    """A key here and a key there, anywhere in a document."""
    for _ in range(n_keys):
        if (at := line_end(text, dice)) is not None:
            yield Step(name, text[:at], text[at:])


def edits_above(name: str, text: str, n_keys: int, dice: random.Random) -> Iterator[Step]:
    """A key, a word written some lines above, and a key where the first one was."""
    for i in range(n_keys):
        if (at := line_end(text, dice)) is None:
            return
        lines = text[:at].split("\n")
        above = max(0, len(lines) - 1 - LINES_ABOVE)
        yield Step(name, text[:at], text[at:], is_timed=False)
        lines[above] += f"  # note {i}"
        yield Step(name, "\n".join(lines), text[at:])


def line_end(text: str, dice: random.Random) -> int | None:
    """Anywhere behind the first JUMP_CHARS, if there are more: the end of a line that is not blank."""
    ends = [i for i in range(1, len(text)) if text[i] == "\n" and not text[i - 1].isspace()]
    far = [end for end in ends if end >= JUMP_CHARS]
    return dice.choice(far or ends) if ends else None


def long_text(texts: Sequence[str]) -> str:
    """Texts one after another, as far as they make a long one."""
    text = ""
    for more in texts:
        if len(text) >= LONG_CHARS:
            break
        text += more
    return text[:LONG_CHARS]
