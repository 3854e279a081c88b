"""Solution 9: count what followed, and mix two predictions."""

from collections import Counter
from collections.abc import Mapping

import numpy as np


def followers(text: str, context: str) -> Mapping[str, int]:
    """Return how often each character follows `context` in `text`."""
    n = len(context)
    return Counter(text[i] for i in range(n, len(text)) if text[i - n : i] == context)


def mixed(network: np.ndarray, ngrams: np.ndarray, network_weight: float, ngram_weight: float) -> np.ndarray:
    """Return the mixture of two distributions, each with one probability for each character."""
    product = np.exp(network_weight * np.log(network) + ngram_weight * np.log(ngrams))
    return product / product.sum()
