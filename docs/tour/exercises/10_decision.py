"""Exercise 10: where a suggestion ends.

Fill in `gain` and `best_length`, then run this file.
"""

import math
from collections.abc import Callable, Sequence

from checking import require, run

from tinycopilot.completion.request import CompleterSettings
from tinycopilot.completion.truncation import WAITING_KEYS, Prefixes


def gain(ps: Sequence[float], reading_keys: float, waiting_keys: float) -> float:
    """Return the expected gain of a suggestion, in keystrokes; ps[i] is the probability that its character i is right.

    - p is the product of all ps: with this probability one key replaces n, which saves n - 1
    - reading costs `reading_keys`
    - each character that is typed while the suggestion is visible costs `waiting_keys`, but the first one is free. The
      expected number of typed characters, including the first, is the sum of n terms: 1 + ps[0] + ps[0] * ps[1] + ...
      (character i is typed if all before it were right)
    """
    raise NotImplementedError


def best_length(ps: Sequence[float], reading_keys: float, waiting_keys: float) -> int:
    """Return the number of characters to show for the highest gain; 0 if the gain is never above 0."""
    raise NotImplementedError


Gain = Callable[[Sequence[float], float, float], float]


def check(gain: Gain, best_length: Callable[[Sequence[float], float, float], int]) -> None:
    """Compare with completion/truncation.py's Prefixes."""
    settings = CompleterSettings(min_confidence=0)
    costs = (settings.reading_keys, WAITING_KEYS)
    require(math.isclose(gain([1, 1, 1], 0, 0), 2), "gain: three certain characters at no cost save 3 - 1 = 2 keys")
    require(math.isclose(gain([0.5, 0.5, 1], 0, 0), 0.5), "gain: with p = 0.25, three characters save 0.25 * (3 - 1)")
    require(math.isclose(gain([1, 1, 1], 0.4, 0), 1.6), "gain: subtract reading_keys once, not for each character")
    require(
        math.isclose(gain([1, 1, 1], 0, 0.1), 1.8),
        "gain: three characters are typed, and all but the first cost waiting_keys each",
    )
    require(
        math.isclose(gain([0.5], 0, 1), 0),
        "gain: the first character costs nothing: subtract 1 from the expected number of characters",
    )
    require(
        math.isclose(gain([0.5, 0.5], 0, 1), -0.25),
        "gain: for [0.5, 0.5], 1 + 0.5 characters are typed on average",
    )
    for ps in ((0.9, 0.95, 0.99, 0.9, 0.3, 0.9), (0.5, 0.4, 0.9), (0.99,) * 12 + (0.2,)):
        decoded = [("x", math.log(p)) for p in ps] + [("\n", 0.0)]
        gains = [prefix.gain for prefix in Prefixes(decoded, settings)][: len(ps) + 1]
        for n in range(1, len(gains)):
            require(
                math.isclose(gain(ps[:n], *costs), gains[n], abs_tol=1e-6), f"gain: for {ps[:n]}, it is {gains[n]:.3f}"
            )
        expected = max(range(len(gains)), key=lambda n: gains[n] if n else 0)
        answer = best_length(ps, *costs)
        require(expected or answer == 0, f"best_length: for {ps}, show 0 characters, because the gain is never above 0")
        require(answer == expected, f"best_length: for {ps}, show {expected} characters, not {answer}")


if __name__ == "__main__":
    run(check, gain, best_length)
