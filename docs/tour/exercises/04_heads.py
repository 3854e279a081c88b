"""Exercise 4: several heads.

Fill in `multi_head`, then run this file.
"""

from collections.abc import Callable

import numpy as np
from checking import close, require, run

from tinycopilot.explain import instrumented


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """One head, as in exercise 3: (T, D) each -> (T, D)."""
    return instrumented.attend(q[None], k[None], v[None], window=len(q), n_shown=1)[0]


def multi_head(q: np.ndarray, k: np.ndarray, v: np.ndarray, n_heads: int) -> np.ndarray:
    """Return the results of all heads side by side, (T, C), given queries, keys and values, (T, C) each.

    Head 0 has the first D = C / n_heads columns, head 1 the next D, and so on. Call `attention` for each.
    """
    raise NotImplementedError


def check(multi_head: Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]) -> None:
    """Compare with explain/instrumented.py's attend, with four heads."""
    T, C, H = 6, 16, 4
    q, k, v = np.random.default_rng(0).normal(size=(3, T, C)).astype(np.float32)
    heads = (instrumented.split_heads(part, H) for part in (q, k, v))
    expected, _ = instrumented.attend(*heads, window=T, n_shown=T)  # (T, C)
    answer = multi_head(q, k, v, H)
    require(np.shape(answer) == (T, C), f"join the heads along the columns, to ({T}, {C}): np.concatenate(..., axis=1)")
    require(
        not close(answer, attention(q, k, v)),
        "that is one head as wide as all together: give each head its own columns",
    )
    strided = np.concatenate([attention(q[:, h::H], k[:, h::H], v[:, h::H]) for h in range(H)], axis=1)
    require(not close(answer, strided), "the columns of a head are next to each other: [h * D : (h + 1) * D]")
    require(close(answer, expected), "head h has the columns h * D to (h + 1) * D of q, k, v and of the result")
    require(close(multi_head(q, k, v, 1), attention(q, k, v)), "it must work with any number of heads, including one")


if __name__ == "__main__":
    run(check, multi_head)
