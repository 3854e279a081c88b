"""Solution 2: rotate a vector by its position."""

import numpy as np


def rotate(x: np.ndarray, position: int, rates: np.ndarray) -> np.ndarray:
    """Rotate `x`, (D,), to `position`."""
    a, b = x[: len(x) // 2], x[len(x) // 2 :]  # (D/2,) each
    cos, sin = np.cos(position * rates), np.sin(position * rates)
    return np.concatenate((a * cos - b * sin, b * cos + a * sin))
