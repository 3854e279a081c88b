"""Exercise 5: a block, with norms and residual connections.

Fill in `layer_norm` and `block`, then run this file.
"""

from collections.abc import Callable

import numpy as np
from checking import close, require, run

from tinycopilot.explain import instrumented

Layer = Callable[[np.ndarray], np.ndarray]


def layer_norm(x: np.ndarray) -> np.ndarray:
    """Return each row of `x`, (T, C), less its mean, divided by its standard deviation.

    (The network's layer_norm also multiplies by a learned gain, adds a learned bias, and never divides by 0.)
    """
    raise NotImplementedError


def block(x: np.ndarray, attend: Layer, feed_forward: Layer, norm: Layer) -> np.ndarray:
    """Return the residual stream after a block, (T, C): attention, then feed-forward.

    Each reads the normalized stream, and adds its result to the stream.
    """
    raise NotImplementedError


def check(layer_norm: Layer, block: Callable[[np.ndarray, Layer, Layer, Layer], np.ndarray]) -> None:
    """Compare with explain/instrumented.py's layer_norm, and with its order of the parts of a block."""
    rng = np.random.default_rng(0)
    x, a, f = rng.normal(size=(5, 16)).astype(np.float32) * 3 + 1, *rng.normal(size=(2, 16, 16)).astype(np.float32)

    def norm(x: np.ndarray) -> np.ndarray:
        return instrumented.layer_norm(x, np.ones(16, np.float32), np.zeros(16, np.float32))

    before = x.copy()
    answer = layer_norm(x)
    require(np.array_equal(x, before), "layer_norm: it changed its input; return a new array: x - ..., not x -= ...")
    require(np.shape(answer) == x.shape, "layer_norm: return an array of the same shape as `x`")
    require(
        close(np.mean(answer, axis=1), np.zeros(5)),
        "layer_norm: each row must have a mean of 0 (axis=1, keepdims=True)",
    )
    require(close(np.std(answer, axis=1), np.ones(5)), "layer_norm: each row must have a standard deviation of 1")
    require(close(answer, norm(x)), "layer_norm: subtract the mean, divide by the standard deviation, of each row")

    def attend(x: np.ndarray) -> np.ndarray:
        return x @ a

    def feed_forward(x: np.ndarray) -> np.ndarray:
        return instrumented.gelu(x @ f)

    middle = x + attend(norm(x))
    expected = middle + feed_forward(norm(middle))
    result = block(x, attend, feed_forward, norm)
    require(np.array_equal(x, before), "block: it changed its input; return a new array: x = x + ..., not x += ...")
    normed = norm(x) + attend(norm(x))
    require(
        not any(close(result, stream + feed_forward(norm(normed))) for stream in (normed, norm(normed))),
        "block: the stream itself is not normalized: add to x, not to norm(x)",
    )
    require(not close(result, feed_forward(norm(attend(norm(x))))), "block: a residual connection adds to its input")
    require(not close(result, middle + feed_forward(middle)), "block: feed-forward reads the normalized stream, too")
    require(not close(result, x + attend(norm(x)) + feed_forward(norm(x))), "block: feed-forward comes after attention")
    require(
        not close(result, middle + feed_forward(norm(x))), "block: feed-forward reads the stream that attention changed"
    )
    require(close(result, expected), "block: x becomes x + attend(norm(x)); then the same with feed_forward")


if __name__ == "__main__":
    run(check, layer_norm, block)
