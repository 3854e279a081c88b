"""Solution 5: a block, with norms and residual connections."""

from collections.abc import Callable

import numpy as np

Layer = Callable[[np.ndarray], np.ndarray]


def layer_norm(x: np.ndarray) -> np.ndarray:
    """Return each row of `x`, (T, C), less its mean, divided by its standard deviation."""
    return (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)


def block(x: np.ndarray, attend: Layer, feed_forward: Layer, norm: Layer) -> np.ndarray:
    """Return the residual stream after a block, (T, C): attention, then feed-forward."""
    x = x + attend(norm(x))
    return x + feed_forward(norm(x))
