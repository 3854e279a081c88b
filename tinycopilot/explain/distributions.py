"""The next character's distribution by network, n-gram models and mixture, ready to be shown."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.alphabet import Alphabet
from tinycopilot.completion.predictor import Prediction


class Entry(NamedTuple):
    """A character and its probability; "" stands for all other characters."""

    character: str
    p: float


def likeliest(log_probs: NDArray[np.float64], alphabet: Alphabet, n: int) -> list[Entry]:
    """The `n` likeliest entries of log p, (A + 1,)."""
    order = np.argsort(-log_probs, kind="stable")[:n]
    return [Entry(character_at(int(i), len(log_probs), alphabet), math.exp(log_probs[i])) for i in order]


def character_at(index: int, n_entries: int, alphabet: Alphabet) -> str:
    """The character of an entry; "" for the last, which stands for all others."""
    return alphabet.character_of(index + 1) if index < n_entries - 1 else ""


def p_of(character: str, prediction: Prediction, alphabet: Alphabet) -> float:
    """The probability of a character in the mixture."""
    return math.exp(prediction.log_probs[prediction.entry_of(character, alphabet)])
