"""Workspace: all that completion knows besides the network. The memory, the file at hand, and what each is worth."""

import math

from torch import Tensor

from tinycopilot.completion.alphabet import Alphabet
from tinycopilot.completion.memory import WorkspaceMemory, context_of
from tinycopilot.completion.mixture import Mixture, Prediction


class Workspace:
    """Predicts the next character of the document that was last looked at."""

    def __init__(self, known: str, mixture: Mixture | None = None) -> None:
        """`known` is the network's alphabet."""
        self.alphabet = Alphabet(known)
        self.memory = WorkspaceMemory(self.alphabet)
        self.mixture = mixture or Mixture()
        self._look_at_another("")

    def _look_at_another(self, name: str) -> None:
        self._name, self._file = name, WorkspaceMemory(self.alphabet)

    def look_at(self, name: str, before: str, after: str) -> None:
        """The document at hand, on both sides of the cursor: both memories hold it as it is now."""
        if name != self._name:
            self._look_at_another(name)
        self.memory.hold(name, before, after)
        self._file = self.memory.alone(name)

    def predict(self, network: Tensor, before: str) -> Prediction:
        """What comes after `before`, of which no more than the end matters; `network` is log p of the network, (V,)."""
        context = context_of(self.alphabet, before)
        return self.mixture.predict(network.double().numpy(), self.memory, self._file, context)

    def likeliest(self, network: Tensor, before: str) -> tuple[str, float]:
        """The likeliest character and its log p, never the one that stands for all others."""
        log_probs = self.predict(network, before).log_probs
        best = int(log_probs[:-1].argmax())
        return self.alphabet.character_of(best + 1), float(log_probs[best])

    def bits_of(self, network: Tensor, before: str, character: str) -> dict[str, float]:
        """What `character` costs after `before`, -log2 p, by whose prediction; and learn from it."""
        prediction = self.predict(network, before)
        index = self.alphabet.symbol_of(character) - 1
        if prediction.log_probs[index] == -math.inf:
            index = -1  # one of all others: it was never met, or is not held any more
        self.mixture.learn(prediction, index)
        log_probs = {"network": prediction.rows[0], "memory": prediction.rows[1], "mixed": prediction.log_probs}
        return {name: -float(row[index]) / math.log(2) for name, row in log_probs.items()}
