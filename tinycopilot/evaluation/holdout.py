"""Choose the held-out files of a workspace by a hash of their names, so that the choice is stable."""

import hashlib
from collections.abc import Mapping

from tinycopilot.evaluation.workspace import are_near_duplicates, shingles

SHARE = 0.1
"""Share of the files to hold out."""
MIN_CHARS = 2_000
"""Minimum of held-out text: if there is less, more files are held out, up to half of them."""


def choose_held_out(texts: Mapping[str, str]) -> list[str]:
    """Return the names of the files to hold out, those with the smallest hashes; at least one, if one is not blank.

    The choice hardly depends on the other files, so a later model, trained when there are more files, was not trained
    on them either.
    """
    names = sorted((name for name, text in texts.items() if text.strip()), key=_hash)
    chosen = list[str]()
    n_chars = 0
    for name in names:
        is_enough = bool(chosen) and (n_chars >= MIN_CHARS or 2 * len(chosen) >= len(names))
        if _hash(name) >= SHARE and is_enough:
            break
        chosen.append(name)
        n_chars += len(texts[name])
    return chosen


def _hash(name: str) -> float:
    """Return a hash of a name, from 0 to 1."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8], "big") / 2**64


def near_duplicates(texts: Mapping[str, str], chosen: list[str]) -> list[str]:
    """Return the names of other files that are near-duplicates of the `chosen` ones."""
    known = [shingles(texts[name]) for name in chosen]
    alike = []
    for name in sorted(texts.keys() - set(chosen)):
        own = shingles(texts[name])
        if any(are_near_duplicates(own, one) for one in known):
            alike.append(name)
    return alike
