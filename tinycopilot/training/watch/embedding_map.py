"""2D projection of the character embeddings, and how often the nearest character is of the same kind."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

KINDS: Final = (
    "lower-case letter",
    "upper-case letter",
    "digit",
    "bracket",
    "quote",
    "whitespace",
    "operator",
    "other",
)
MAX_CHARACTERS: Final = 200
"""Maximum number of characters on the map: the first of the vocabulary."""


def kind_of(character: str) -> str:
    """Return the kind of a character, one of KINDS."""
    if character in "()[]{}":
        return "bracket"
    if character in "'\"`":
        return "quote"
    if character.isspace():
        return "whitespace"
    if character.isdecimal():
        return "digit"
    if character.isalpha():
        return "upper-case letter" if character.isupper() else "lower-case letter"
    return "operator" if character.isascii() else "other"


def _centered(embedding: Floats) -> Floats:
    rows = np.asarray(embedding, np.float64)
    return np.asarray(rows - rows.mean(0))


def principal_directions(embedding: Floats, kinds: list[str]) -> Floats:
    """Return the two directions in which the rows of `embedding`, (K, C), vary most, as columns, (C, 2) (PCA).

    The sign of a direction is arbitrary, and would make the map jump: lower-case letters are left, digits at the top.
    """
    centered = _centered(embedding)
    directions = np.linalg.svd(centered, full_matrices=False)[2][:2].T  # (C, 2)
    for axis, kind, sign in ((0, "lower-case letter", -1), (1, "digit", 1)):
        members = [i for i, one in enumerate(kinds) if one == kind]
        if members and (centered[members] @ directions[:, axis]).mean() * sign < 0:
            directions[:, axis] *= -1
    return directions


def on_plane(embedding: Floats, directions: Floats) -> Floats:
    """Project the rows of `embedding`, (K, C), onto two directions; return coordinates from -1 to 1, (K, 2)."""
    centered = _centered(embedding)
    places = centered @ directions
    return np.asarray(places / max(np.abs(places).max(), 1e-12))


def share_on_plane(embedding: Floats, directions: Floats) -> float:
    """Return the share of the variance of `embedding`, (K, C), that the two directions explain."""
    centered = _centered(embedding)
    return float(np.square(centered @ directions).sum() / max(np.square(centered).sum(), 1e-300))


def same_kind_shares(embedding: Floats, kinds: list[str]) -> dict[str, float]:
    """Return, by kind, the share of its characters whose nearest character (by cosine similarity) is of the same kind.

    Kinds with fewer than two characters are left out.
    """
    rows = np.asarray(embedding, np.float64)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    similarity = rows @ rows.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = similarity.argmax(1)
    shares = {}
    for kind in KINDS:
        members = [i for i, one in enumerate(kinds) if one == kind]
        if len(members) > 1:
            shares[kind] = sum(kinds[nearest[i]] == kind for i in members) / len(members)
    return shares
