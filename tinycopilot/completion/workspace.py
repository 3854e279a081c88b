"""Workspace: all that completion knows besides the network. The memory, the file at hand, and what each is worth."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from torch import Tensor

from tinycopilot.completion.alphabet import Alphabet
from tinycopilot.completion.contexts import DEPTH
from tinycopilot.completion.memory import WorkspaceMemory, context_of
from tinycopilot.completion.mixture import Mixture, Prediction, Recalled, recall

MAX_DRAFT_CHARS = 12
"""A draft is at most this long: the network reads it all, right or wrong."""
MIN_DRAFT_LOG_P = math.log(0.15)
"""A draft goes on as long as the memories alone find the whole of it at least so likely."""


class Thought(NamedTuple):
    """What was thought of since the last look."""

    recalled: dict[str, Recalled]
    """By the end of the text before."""
    predicted: dict[tuple[int, str], Prediction]
    """By the text before, as `_end_of` tells it: what can be learned from."""


class Workspace:
    """Predicts the next character of the document that was last looked at."""

    def __init__(self, known: str, mixture: Mixture | None = None, max_chars: float = math.inf) -> None:
        """`known` is the network's alphabet; the memory holds `max_chars` at most, and what is looked at."""
        self.alphabet = Alphabet(known)
        self.memory = WorkspaceMemory(self.alphabet, max_chars)
        self.mixture = mixture or Mixture()
        self.look_away()

    def look_at(self, name: str, before: str, after: str) -> None:
        """The document at hand, on both sides of the cursor: the memory holds it as it is now."""
        self.memory.hold(name, before, after)
        self._look(self.memory.alone(name), name, before, after)

    def look_away(self) -> None:
        """There is no document at hand, or none that may be held."""
        self._look(WorkspaceMemory(self.alphabet))

    def _look(self, file: WorkspaceMemory, *looked_at: str) -> None:
        self._file, self._looked_at = file, looked_at
        self.thought = Thought({}, {})

    def is_at(self, name: str | None, before: str, after: str) -> bool:
        """Whether this is what was looked at last."""
        return self._looked_at == (() if name is None else (name, before, after))

    @contextmanager
    def looking_elsewhere(self) -> Iterator[None]:
        """After it, all is as it was before."""
        looked_at, thought = self._looked_at, self.thought
        try:
            yield
        finally:
            if looked_at:
                self.look_at(*looked_at)
            else:
                self.look_away()
            self.thought = thought

    def recall(self, before: str) -> Recalled:
        """What both memories know of what comes after `before`, of which no more than the end matters."""
        end = before[-DEPTH:]
        recalled = self.thought.recalled
        if end not in recalled:
            recalled[end] = recall(self.memory, self._file, context_of(self.alphabet, end))
        return recalled[end]

    def predict(self, network: Tensor, before: str) -> Prediction:
        """What comes after `before`, of which no more than the end matters; `network` is log p of the network, (V,)."""
        return self.mixture.predict(network.double().numpy(), self.recall(before))

    def draft(self, before: str) -> str:
        """What the memories alone would go on with, as far as that is likely to be right."""
        drafted, log_p, end = "", 0.0, before[-DEPTH:]
        while len(drafted) < MAX_DRAFT_CHARS:
            recalled = self.recall(end + drafted)
            if not recalled.order:
                break
            log_probs = self.mixture.guess(recalled)
            best = int(log_probs[:-1].argmax())
            log_p += float(log_probs[best])
            if log_p < MIN_DRAFT_LOG_P:
                break
            drafted += self.alphabet.character_of(best + 1)
        return drafted

    def likeliest(self, network: Tensor, before: str) -> tuple[str, float]:
        """The likeliest character and its log p, never the one that stands for all others."""
        prediction = self.thought.predicted[_end_of(before)] = self.predict(network, before)
        log_probs = prediction.log_probs
        best = int(log_probs[:-1].argmax())
        return self.alphabet.character_of(best + 1), float(log_probs[best])

    def two_likeliest(self, before: str) -> list[tuple[str, float]] | None:
        """Two characters and their log p, the likeliest first, if that was asked since the last look."""
        if (prediction := self.thought.predicted.get(_end_of(before))) is None:
            return None
        log_probs = prediction.log_probs[:-1]
        two = np.argsort(-log_probs, kind="stable")[:2]
        return [(self.alphabet.character_of(int(i) + 1), float(log_probs[i])) for i in two]

    def learn(self, name: str, before: str, after: str, character: str) -> bool:
        """`character` was typed between `before` and `after`: one step, and True, if there was a prediction for it."""
        prediction = self.thought.predicted.pop(_end_of(before), None)
        if prediction is not None and (name, after) == self._looked_at[::2]:
            self.mixture.learn(prediction, self._index(prediction, character))
            return True
        return False

    def _index(self, prediction: Prediction, character: str) -> int:
        """Where in a prediction a character is: last, if it is one of all others that are not held."""
        index = self.alphabet.symbol_of(character) - 1
        is_held = index < len(prediction.log_probs) - 1 and prediction.log_probs[index] > -math.inf
        return index if is_held else -1

    def bits_of(self, network: Tensor, before: str, character: str) -> dict[str, float]:
        """What `character` costs after `before`, -log2 p, by whose prediction; and learn from it."""
        prediction = self.predict(network, before)
        index = self._index(prediction, character)
        self.mixture.learn(prediction, index)
        log_probs = {"network": prediction.rows[0], "memory": prediction.rows[1], "mixed": prediction.log_probs}
        return {name: -float(row[index]) / math.log(2) for name, row in log_probs.items()}


def _end_of(before: str) -> tuple[int, str]:
    """Tells a text from the others that it is a beginning of, or that begin it."""
    return len(before), before[-DEPTH:]
