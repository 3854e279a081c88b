"""Which files of a workspace are held out: by a hash of their names, and so the same ones next time."""

import hashlib
from collections.abc import Mapping

from tinycopilot.evaluation.workspace import are_near_duplicates, shingles

SHARE = 0.1
"""Of the files, about so many."""
MIN_CHARS = 2_000
"""Fewer characters say nothing: more files are held out until there are so many, half of all files at most."""


def choose_held_out(texts: Mapping[str, str]) -> list[str]:
    """The names of the files in `texts` that are held out, at least one if there is one that is not blank.

    They are first in the order of hashes. Whether a file is among them depends hardly on the others: what a model was
    measured on once, one that is trained when there are more files has not learned either.
    """
    names = sorted((name for name, text in texts.items() if text.strip()), key=_place)
    chosen = list[str]()
    n_chars = 0
    for name in names:
        is_enough = bool(chosen) and (n_chars >= MIN_CHARS or 2 * len(chosen) >= len(names))
        if _place(name) >= SHARE and is_enough:
            break
        chosen.append(name)
        n_chars += len(texts[name])
    return chosen


def _place(name: str) -> float:
    """A number from 0 to 1 that is a name's own."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8], "big") / 2**64


def near_duplicates(texts: Mapping[str, str], chosen: list[str]) -> list[str]:
    """The names of other files that are so much like those that to learn from them would be to have seen those."""
    known = [shingles(texts[name]) for name in chosen]
    alike = []
    for name in sorted(texts.keys() - set(chosen)):
        own = shingles(texts[name])
        if any(are_near_duplicates(own, one) for one in known):
            alike.append(name)
    return alike
