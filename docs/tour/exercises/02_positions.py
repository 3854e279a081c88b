"""Exercise 2: rotate a vector by its position.

Fill in `rotate`, then run this file. `a` and `b` below are the two numbers of one pair.
"""

from collections.abc import Callable

import numpy as np
from checking import close, require, run

from tinycopilot.explain import instrumented

Rotate = Callable[[np.ndarray, int, np.ndarray], np.ndarray]


def rotate(x: np.ndarray, position: int, rates: np.ndarray) -> np.ndarray:
    """Rotate `x`, (D,), to `position`.

    Number i of the first half and number i of the second half are a pair, (a, b). Its angle is position * rates[i], and
    it becomes (a cos - b sin, b cos + a sin). `rates` is (D/2,). np.cos, np.sin and np.concatenate help.
    """
    raise NotImplementedError


def check(rotate: Rotate) -> None:
    """Compare with explain/instrumented.py's rotate."""
    rng = np.random.default_rng(0)
    rates = 10_000.0 ** (-np.arange(0, 8, 2) / 8)
    q, k = rng.normal(size=(2, 8)).astype(np.float32)
    require(
        np.shape(rotate(q, 0, rates)) == (8,), "return as many numbers as `x` has: both halves, one after the other"
    )
    require(close(rotate(q, 0, rates), q), "at position 0 all angles are 0, so nothing changes: cos 0 = 1, sin 0 = 0")
    expected = instrumented.rotate(np.tile(q, (1, 6, 1)), rates)[0, 5]
    answer = rotate(q, 5, rates)
    require(not close(answer, instrumented.rotate(np.tile(q, (1, 6, 1)), -rates)[0, 5]), "the signs of sin are swapped")
    require(
        close(np.sum(np.square(answer)), np.sum(np.square(q))), "a rotation keeps the length; check the two formulas"
    )
    require(close(answer, expected), "check which numbers are a pair: x[i] and x[i + D/2], not neighbors")
    near, far = rotate(q, 5, rates) @ rotate(k, 3, rates), rotate(q, 105, rates) @ rotate(k, 103, rates)
    require(close(near, far), "the dot product must depend only on how far apart the positions are")


if __name__ == "__main__":
    run(check, rotate)
