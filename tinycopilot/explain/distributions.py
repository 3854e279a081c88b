"""The most probable next characters, for display."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.alphabet import Alphabet


class Entry(NamedTuple):
    """A character and its probability; "" stands for all other characters."""

    character: str
    p: float


def likeliest(log_probs: NDArray[np.float64], alphabet: Alphabet, n: int) -> list[Entry]:
    """Return the `n` most probable entries of log p, (A + 1,)."""
    order, last = np.argsort(-log_probs, kind="stable")[:n].tolist(), len(log_probs) - 1
    return [Entry(alphabet.character_of(i + 1) if i < last else "", math.exp(log_probs[i])) for i in order]
