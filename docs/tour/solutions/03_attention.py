"""Solution 3: attention."""

import numpy as np


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return what each position takes from the values, (T, D)."""
    T, D = q.shape
    scores = q @ k.T / np.sqrt(D)  # (T, T)
    scores = np.where(np.tri(T, dtype=bool), scores, -np.inf)  # np.tri: True on the diagonal and below
    exps = np.exp(scores - scores.max(axis=1, keepdims=True))  # less the maximum, so that nothing overflows
    weights = exps / exps.sum(axis=1, keepdims=True)
    return weights @ v
