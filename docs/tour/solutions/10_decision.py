"""Solution 10: where a suggestion ends."""

import math
from collections.abc import Sequence


def gain(ps: Sequence[float], reading_keys: float, waiting_keys: float) -> float:
    """Return the expected gain of a suggestion, in keystrokes."""
    n = len(ps)
    n_typed_through = sum(math.prod(ps[:i]) for i in range(n))  # math.prod of nothing is 1
    return math.prod(ps) * (n - 1) - reading_keys - waiting_keys * (n_typed_through - 1)


def best_length(ps: Sequence[float], reading_keys: float, waiting_keys: float) -> int:
    """Return how many of the characters to show; 0 if the gain is never above 0."""
    gains = [0.0] + [gain(ps[:n], reading_keys, waiting_keys) for n in range(1, len(ps) + 1)]
    return gains.index(max(gains))
