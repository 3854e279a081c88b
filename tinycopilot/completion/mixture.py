"""THE next-character distribution: what the network, the workspace and the file at hand say, mixed.

The workspace is all that is held, the file at hand as well, which so has two voices.

log p(c) = w_net log p_net(c) + w_mem log p_mem(c) + w_file log p_file(c) - log Z. The weights are those for the length
of the longest context that the workspace's memory has seen (the longer it is, the more the memories are worth), and to
them is added what the kind of the last character makes of them (after a dot, or at a line's beginning, the network is
worth more or less than elsewhere). Both learn from what is typed (logistic mixing, Mahoney 2005, PAQ; over a whole
alphabet as in Mattern 2012).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.compiled import compiled
from tinycopilot.completion.contexts import Symbols
from tinycopilot.completion.memory import WorkspaceMemory

FLOOR: Final = math.log(1e-6)
"""No row makes a character less likely than this."""
MAX_WEIGHT = 2.0
LEARNING_RATE = 0.003
SIGNS: Final[Mapping[str, str]] = {
    "\n": "line", " ": "blank", "\t": "blank", "_": "underscore", ".": "dot", "'": "quote", '"': "quote",
    **dict.fromkeys("([{", "opening"), **dict.fromkeys(")]}", "closing"),
}  # fmt: skip
KINDS: Final = ("lower", "upper", "digit", "other", *dict.fromkeys(SIGNS.values()))
"""Of characters; `upper` is every letter that is not a small one."""

Key = int | str
"""Of a row of weights: the longest order seen, or the kind of the last character."""
Row = tuple[float, float, float]
"""Weights of network, workspace and file."""
INITIAL: Final[Mapping[Key, Row]] = {
    **dict.fromkeys((3, 4), (0.7, 0.2, 0.25)),
    **dict.fromkeys((5, 6), (0.6, 0.25, 0.25)),
    **dict.fromkeys((8, 11, 15, 20, 28), (0.5, 0.28, 0.25)),
    **dict.fromkeys(KINDS, (0.0, 0.0, 0.0)),
}
"""The weights to begin with: about what benchmarks/fit_weights.py finds."""


@dataclass(frozen=True)
class Recalled:
    """What is remembered of a context, before the network is asked."""

    rows: NDArray[np.float64]
    """(2, A + 1): log p of workspace and file, by symbol from 1 on and, last, of all other characters."""
    possible: NDArray[np.bool_]
    """Which characters may come next, (A + 1,)."""
    order: int
    """How long the longest context is that the workspace's memory has seen; 0: none, and the network counts alone."""
    kind: str
    """Of the last character, one of KINDS."""


@dataclass(frozen=True)
class Prediction:
    """What may come next, by symbol from 1 on and, last, all other characters: (A + 1,)."""

    log_probs: NDArray[np.float64]
    rows: NDArray[np.float64]
    """(3, A + 1): log p of network, workspace and file."""
    recalled: Recalled


class Mixture:
    """The weights, and the arithmetic. A prediction changes nothing; `learn` does."""

    def __init__(self, weights: Mapping[Key, Row] = INITIAL) -> None:
        self.weights = {key: np.array(weights[key]) for key in INITIAL}

    def predict(self, network: NDArray[np.float64], recalled: Recalled) -> Prediction:
        """All three mixed; `network` is log p of what the network knows, (V,), its unknown last."""
        log_p_net = spread(network, recalled.possible)
        rows = np.vstack((log_p_net, recalled.rows))
        seen = recalled.order > 0
        log_probs = _mixed(rows, self._weights_for(recalled), recalled.possible) if seen else log_p_net
        return Prediction(log_probs, rows, recalled)

    def guess(self, recalled: Recalled) -> NDArray[np.float64]:
        """The same without the network: log p, (A + 1,), by the two memories alone, where they know the context."""
        return _mixed(recalled.rows, self._weights_for(recalled)[1:], recalled.possible)

    def _weights_for(self, recalled: Recalled) -> NDArray[np.float64]:
        return np.clip(self.weights[recalled.order] + self.weights[recalled.kind], 0, MAX_WEIGHT)

    def learn(self, prediction: Prediction, index: int) -> None:
        """The character at `index` of a prediction was typed: one step down the gradient of its -log p."""
        if prediction.recalled.order:
            rows = np.maximum(prediction.rows, FLOOR)
            step = LEARNING_RATE * (rows[:, index] - rows @ np.exp(prediction.log_probs))
            for key, least in ((prediction.recalled.order, 0.0), (prediction.recalled.kind, -MAX_WEIGHT)):
                np.clip(self.weights[key] + step, least, MAX_WEIGHT, out=self.weights[key])


def recall(memory: WorkspaceMemory, file: WorkspaceMemory, context: Symbols) -> Recalled:
    """What both remember of `context`, the last DEPTH symbols or fewer, at least one."""
    possible = memory.possible()
    p_mem, order = memory.predict(context, possible)
    p_file, _ = file.predict(context, possible)
    rows = _log(np.stack((p_mem, p_file)))
    return Recalled(rows, possible, order, kind_of(memory.alphabet.character_of(context[-1])))


def kind_of(character: str) -> str:
    """One of KINDS."""
    if character.isalpha():
        return "lower" if character.islower() else "upper"
    return "digit" if character.isdigit() else SIGNS.get(character, "other")


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
