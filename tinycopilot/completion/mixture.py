"""THE next-character distribution: what the network, the workspace and the file at hand say, mixed.

log p(c) = w_net log p_net(c) + w_mem log p_mem(c) + w_file log p_file(c) - log Z, with weights of their own for each
length of the longest context that the workspace's memory has seen: the longer it is, the more the memories are worth.
The weights learn from what is typed (logistic mixing, Mahoney 2005, PAQ; over a whole alphabet as in Mattern 2012).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.compiled import compiled
from tinycopilot.completion.contexts import ORDERS, Symbols
from tinycopilot.completion.memory import WorkspaceMemory

FLOOR: Final = math.log(1e-6)
"""No row makes a character less likely than this."""
MAX_WEIGHT = 2.0
LEARNING_RATE = 0.005
INITIAL: Final[Mapping[int, tuple[float, float, float]]] = {
    **dict.fromkeys((3, 4), (1.0, 0.0, 0.05)),
    **dict.fromkeys((5, 6), (0.8, 0.1, 0.1)),
    **dict.fromkeys((8, 11, 15, 20, 28), (0.6, 0.2, 0.2)),
}
"""The weights of network, workspace and file to begin with, by the longest order seen.

The long ones are about what benchmarks/fit_weights.py finds. In a file that is just begun, what followed three
characters once says little: there the network is trusted (benchmarks/LOG.md)."""


@dataclass(frozen=True)
class Prediction:
    """What may come next, by symbol from 1 on and, last, all other characters: (A + 1,)."""

    log_probs: NDArray[np.float64]
    rows: NDArray[np.float64]
    """(3, A + 1): log p of network, workspace and file."""
    order: int
    """How long the longest context is that the workspace's memory has seen; 0: none, and the network is right alone."""


class Mixture:
    """The weights, and the arithmetic. A prediction changes nothing; `learn` does."""

    def __init__(self, weights: Mapping[int, tuple[float, float, float]] = INITIAL) -> None:
        self.weights = {order: np.array(weights[order]) for order in ORDERS}

    def predict(
        self, network: NDArray[np.float64], memory: WorkspaceMemory, file: WorkspaceMemory, context: Symbols
    ) -> Prediction:
        """After `context`; `network` is log p of what the network knows, (V,), its unknown last."""
        possible = memory.possible()
        log_p_net = spread(network, possible)
        p_mem, order = memory.predict(context, possible)
        p_file, _ = file.predict(context, possible)
        rows = np.stack([log_p_net, _log(p_mem), _log(p_file)])
        return Prediction(_mixed(rows, self.weights[order], possible) if order else log_p_net, rows, order)

    def learn(self, prediction: Prediction, index: int) -> None:
        """The character at `index` of a prediction was typed: one step down the gradient of its -log p."""
        if prediction.order:
            weights, rows = self.weights[prediction.order], np.maximum(prediction.rows, FLOOR)
            weights += LEARNING_RATE * (rows[:, index] - rows @ np.exp(prediction.log_probs))
            np.clip(weights, 0, MAX_WEIGHT, out=weights)


def spread(network: NDArray[np.float64], possible: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(V,) -> (A + 1,): what the network gives its unknown goes in equal parts to what it does not know."""
    n_known = len(network) - 1
    unknown = possible[n_known:]
    log_probs = np.full(len(possible), -math.inf)
    log_probs[:n_known] = network[:-1]
    log_probs[n_known:][unknown] = network[-1] - math.log(unknown.sum())
    return log_probs


def _log(p: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return np.log(p)


@compiled
def _mixed(rows, weights, possible):  # type: ignore[no-untyped-def]
    """The weighted sum of `rows`, floored, and normalised; -inf where nothing is possible."""
    mixed = np.full(rows.shape[1], -np.inf)
    highest = -np.inf
    for i in range(rows.shape[1]):
        if possible[i]:
            mixed[i] = 0.0
            for row in range(len(weights)):
                mixed[i] += weights[row] * max(rows[row, i], FLOOR)
            highest = max(highest, mixed[i])
    total = 0.0
    for i in range(rows.shape[1]):
        total += math.exp(mixed[i] - highest)
    return mixed - (highest + math.log(total))
