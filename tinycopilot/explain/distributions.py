"""The most probable next characters, for display, and whether one of them completes a word."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.predictor import Mixture, Prediction
from tinycopilot.completion.segments import Alphabet
from tinycopilot.page.words import name_of


class Entry(NamedTuple):
    """A character and its probability; "" stands for all other characters."""

    character: str
    p: float


def likeliest(log_probs: NDArray[np.float64], alphabet: Alphabet, n: int) -> list[Entry]:
    """Return the `n` most probable entries of log p, (A + 1,)."""
    order, last = np.argsort(-log_probs, kind="stable")[:n].tolist(), len(log_probs) - 1
    return [Entry(alphabet.character_of(i + 1) if i < last else "", math.exp(log_probs[i])) for i in order]


def completion_note(prediction: Prediction, mixture: Mixture, alphabet: Alphabet) -> str:
    """Say which character has a higher probability than in the mixture, because it completes a word; "" if none."""
    log_probs = prediction.log_probs[:-1]
    [raised] = np.nonzero(log_probs > mixture.mix(prediction)[:-1] + 1e-9)
    if not len(raised):
        return ""
    character = name_of(alphabet.character_of(int(raised[0]) + 1))
    return (
        f"All words in the workspace that begin like this one continue with {character}. Therefore its probability is "
        f"raised to {100 * math.exp(log_probs[raised[0]]):.0f} %."
    )
