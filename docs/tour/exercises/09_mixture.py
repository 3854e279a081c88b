"""Exercise 9: count what followed, and mix two predictions.

Fill in `followers` and `mixed`, then run this file.
"""

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
from checking import close, require, run

from tinycopilot.completion.distribution import mix

Mixed = Callable[[np.ndarray, np.ndarray, float, float], np.ndarray]


def followers(text: str, context: str) -> Mapping[str, int]:
    """Return how often each character follows `context` in `text`; overlapping occurrences count, too."""
    raise NotImplementedError


def mixed(network: np.ndarray, ngrams: np.ndarray, network_weight: float, ngram_weight: float) -> np.ndarray:
    """Return the mixture of two distributions. Each array has one probability for each character; all are above 0.

    The logarithm of each result is the weighted sum of the two logarithms. Then divide the results by their sum.
    """
    raise NotImplementedError


def check(followers: Callable[[str, str], Mapping[str, int]], mixed: Mixed) -> None:
    """Compare with a plain count, and with completion/distribution.py's mix."""
    text = "read_days read_date\nread_d"
    answer = followers(text, "read_da")
    require(dict(answer) == {"y": 1, "t": 1}, "followers: after 'read_da' there was a 'y' once, and a 't' once")
    require(
        dict(followers(text, "read_d")) == {"a": 2}, "followers: nothing follows the last 'read_d', so don't count it"
    )
    require(
        dict(followers("aaaa", "aa")) == {"a": 2}, "followers: contexts may overlap: check every position in the text"
    )
    require(dict(followers("abc", "x")) == {}, "followers: a context that was never seen has no followers")
    expected_counts = Counter(text[i] for i in range(2, len(text)) if text[i - 2 : i] == "ea")
    require(
        dict(followers(text, "ea")) == dict(expected_counts), "followers: count the character right after the context"
    )
    network, ngrams = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.1, 0.8])
    for weights in ((1.0, 0.0), (0.5, 0.5), (0.6, 0.3)):
        expected = np.empty(3)
        mix(np.log([network, ngrams]), np.array(weights), np.zeros(2), np.ones(3, bool), expected)
        answer = mixed(network, ngrams, *weights)
        require(np.shape(answer) == (3,), "mixed: return one probability for each character")
        average = weights[0] * network + weights[1] * ngrams
        if weights[1]:
            require(
                not close(answer, average / average.sum()),
                "mixed: apply the weights to the logarithms, not to the probabilities",
            )
            require(
                not close(answer, np.exp(weights @ np.log([network, ngrams]))),
                "mixed: divide by the sum, so that the results add up to 1",
            )
        require(close(answer, np.exp(expected)), "mixed: exp(w1 * log(network) + w2 * log(ngrams)), divided by its sum")


if __name__ == "__main__":
    run(check, followers, mixed)
