"""Exercise 3: attention.

Fill in `attention`, then run this file.
"""

from collections.abc import Callable

import numpy as np
from checking import close, require, run

from tinycopilot.explain import instrumented


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return what each position takes from the values, (T, D), given queries, keys and values, (T, D) each.

    1. scores, (T, T): the product of each query with each key, divided by the square root of D
    2. position t must not see later positions: set those scores to -inf
    3. weights: exp(score) / sum of exp(score), in each row
    4. the weighted sum of the values
    """
    raise NotImplementedError


def softmax(z: np.ndarray) -> np.ndarray:
    """Return exp(z) / sum of exp(z) in each row: positive numbers with a sum of 1."""
    return instrumented.softmax(z)


def check(attention: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]) -> None:
    """Compare with explain/instrumented.py's attend, with one head."""
    T, D = 6, 16
    q, k, v = np.random.default_rng(0).normal(size=(3, T, D)).astype(np.float32)
    expected, _ = instrumented.attend(q[None], k[None], v[None], window=T, n_shown=T)  # (T, D)
    answer = attention(q, k, v)
    require(np.shape(answer) == (T, D), f"return one row of D numbers for each position: ({T}, {D})")
    causal = np.tri(T, dtype=bool)
    require(not close(answer, softmax(q @ k.T / np.sqrt(D)) @ v), "a position must not see later ones (step 2)")
    require(
        not close(answer, softmax(np.where(causal, q @ k.T, -np.inf)) @ v), "divide the scores by the square root of D"
    )
    require(
        not close(answer, softmax(np.where(causal, q @ k.T / D, -np.inf)) @ v), "divide by the square root of D, not D"
    )
    require(
        not close(answer, softmax(np.where(causal, q @ k.T / np.sqrt(T), -np.inf)) @ v),
        "D is the number of columns of q, not the number of positions",
    )
    require(
        not close(answer, softmax(np.where(causal.T, q @ k.T / np.sqrt(D), -np.inf)) @ v), "you hid the earlier ones"
    )
    exps = np.exp(np.where(causal, q @ k.T / np.sqrt(D), -np.inf))
    require(
        not any(close(answer, exps / sums @ v) for sums in (exps.sum(0), exps.sum(1))),
        "divide each row by its own sum: exps.sum(axis=1, keepdims=True)",
    )
    require(
        not close(answer, softmax(np.where(causal, k @ q.T / np.sqrt(D), -np.inf)) @ v),
        "row t of the scores belongs to query t: q @ k.T, not k @ q.T",
    )
    require(close(answer[0], v[0]), "the first position sees only itself, so it takes its own value with weight 1")
    require(close(answer, expected), "the first row is right, but at least one other row is not: check the four steps")


if __name__ == "__main__":
    run(check, attention)
