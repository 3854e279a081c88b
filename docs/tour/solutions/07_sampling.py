"""Solution 7: temperature and top-k."""

import numpy as np


def probabilities(logits: np.ndarray, temperature: float, top_k: int) -> np.ndarray:
    """Return the probability of each character, (V,), given its logit."""
    z = logits / temperature
    least = np.sort(z)[-top_k]
    z = np.where(z < least, -np.inf, z)
    exps = np.exp(z - z.max())  # exp(-inf) is 0
    return exps / exps.sum()
