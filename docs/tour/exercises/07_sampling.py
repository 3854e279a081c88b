"""Exercise 7: temperature and top-k.

Fill in `probabilities`, then run this file.
"""

from collections.abc import Callable

import numpy as np
from checking import close, require, run

from tinycopilot.completion import decoding


def probabilities(logits: np.ndarray, temperature: float, top_k: int) -> np.ndarray:
    """Return the probability of each character, (V,), given its logit.

    Let z be the logits divided by the temperature. The `top_k` highest get exp(z) / (sum of exp(z) over these `top_k`),
    all others 0.
    """
    raise NotImplementedError


class Dice:
    """Draws nothing; keeps the probabilities that it is asked to draw with."""

    def choice(self, n: int, p: np.ndarray) -> int:  # noqa: ARG002
        """As np.random.Generator.choice."""
        self.p = p
        return 0


def check(probabilities: Callable[[np.ndarray, float, int], np.ndarray]) -> None:
    """Compare with what completion/decoding.py draws from."""
    logits = np.random.default_rng(0).normal(size=20).astype(np.float32) * 3

    def expected(temperature: float, top_k: int) -> np.ndarray:
        dice = Dice()
        decoding._sample(logits, temperature, top_k, dice)  # type: ignore[arg-type]
        return dice.p

    answer = probabilities(logits, 1.0, 20)
    require(np.shape(answer) == (20,), "return one probability for each logit")
    require(close(np.sum(answer), 1), "the probabilities must sum to 1")
    require(close(answer, expected(1.0, 20)), "at temperature 1, with all characters: exp(logit) / sum of exp(logit)")
    answer = probabilities(logits, 0.5, 20)
    require(not close(answer, expected(2.0, 20)), "divide the logits by the temperature; you multiplied")
    require(close(answer, expected(0.5, 20)), "divide the logits by the temperature, before exp")
    answer = probabilities(logits, 1.0, 3)
    require(np.count_nonzero(answer) == 3, "with top_k=3, exactly three characters may have a probability above 0")
    require(
        close(np.sum(answer), 1), "with top_k, the remaining probabilities must sum to 1 again: divide by their sum"
    )
    require(close(answer, expected(1.0, 3)), "with top_k=3, keep the three highest logits")
    large = np.array([1000.0, 999.0, 0.0], np.float32)
    with np.errstate(all="ignore"):
        answer = probabilities(large, 1.0, 3)
    require(np.all(np.isfinite(answer)), "exp of 1000 is too large for a float: subtract the highest logit first")


if __name__ == "__main__":
    run(check, probabilities)
