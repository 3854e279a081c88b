"""Two models on the same code, each mixed with the same memory, as an editor has it: is one better, or is it noise?"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tinycopilot.completion.predictor import Workspace
from tinycopilot.insight.replay import Excerpt
from tinycopilot.insight.surroundings import Surroundings
from tinycopilot.model.gpt import TinyGPT
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer

LEAST_GAIN = 0.002
"""What is gained is at least this share of the bits before, or it is not worth a change."""
N_DEVIATIONS = 2.0
"""And so many times what chance makes of it: the standard error of the mean, over pieces."""
PIECE_CHARS = 100
"""Of neighbours one is as hard as the other: chance is estimated from the means of pieces of so many characters."""

Bits = dict[str, list[float]]
"""-log2 p of each character, by whose prediction: `network`, `mixed`."""


@dataclass(frozen=True)
class Comparison:
    """What both said of the same characters."""

    before: Bits
    now: Bits
    n_files: int

    @property
    def gain(self) -> float:
        """Bits per character that are saved, network and memories mixed."""
        return statistics.fmean(self._gains)

    @property
    def _gains(self) -> list[float]:
        return [old - new for old, new in zip(self.before["mixed"], self.now["mixed"], strict=True)]

    @property
    def noise(self) -> float:
        """The standard error of the gain; infinite where there is too little to tell."""
        gains = self._gains
        pieces = [statistics.fmean(gains[i : i + PIECE_CHARS]) for i in range(0, len(gains), PIECE_CHARS)]
        return statistics.stdev(pieces) / math.sqrt(len(pieces)) if len(pieces) > 1 else math.inf

    @property
    def is_better(self) -> bool:
        """Whether the new one is, and more than noise would make it."""
        return self.gain >= max(LEAST_GAIN * statistics.fmean(self.before["mixed"]), N_DEVIATIONS * self.noise)

    def figures(self) -> dict[str, Any]:
        """Means, for a program."""
        return {
            "better": self.is_better,
            "before": _means(self.before),
            "now": _means(self.now),
            "files": self.n_files,
            "chars": len(self.now["mixed"]),
        }

    def in_words(self) -> str:
        """`1.020 -> 0.970 bits per character (the network alone: ...) on 3 files that it has not seen`."""
        before, now = _means(self.before), _means(self.now)
        files = f"{self.n_files} file{'s' * (self.n_files > 1)}"
        return (
            f"{before['mixed']:.3f} -> {now['mixed']:.3f} bits per character on {files} that it has not seen "
            f"(the network alone: {before['network']:.3f} -> {now['network']:.3f})"
        )


def _means(bits: Bits) -> dict[str, float]:
    return {whose: round(statistics.fmean(costs), 4) for whose, costs in bits.items()}


def bits_of(
    model: TinyGPT,
    tokenizer: SimpleTokenizer,
    texts: Mapping[str, str],
    excerpts: Sequence[Excerpt],
    done: Callable[[float], None] = lambda _: None,
) -> Bits:
    """What each character of `excerpts` costs while the rest of `texts` is known, and the file as far as it is typed.

    `done` is told the share that is measured.
    """
    workspace = Workspace(tokenizer.alphabet)
    surroundings = Surroundings(workspace.memory)
    surroundings.change_to(texts)
    bits: Bits = {"network": [], "mixed": []}
    n_chars = sum(excerpt.last - excerpt.first for excerpt in excerpts)
    for excerpt in excerpts:
        with surroundings.without_copies_of(excerpt):
            for at, row in enumerate(network_rows(model, tokenizer, excerpt), start=excerpt.first):
                before = excerpt.text[:at]
                workspace.look_at(excerpt.name, before, "")
                cost = workspace.bits_of(row, before, excerpt.text[at])
                for whose, costs in bits.items():
                    costs.append(cost[whose])
                done(len(bits["mixed"]) / n_chars)
    return bits


@torch.inference_mode()
def network_rows(model: TinyGPT, tokenizer: SimpleTokenizer, excerpt: Excerpt) -> Tensor:
    """log p of each character of the excerpt, (n, V), the text before it read through a window that slides.

    What `Completer.typed` finds one by one, some ten times as fast.
    """
    text = DOCUMENT_START + excerpt.text[: excerpt.last - 1]
    n = excerpt.last - excerpt.first
    ids = torch.tensor([tokenizer.encode(text[max(0, len(text) - n - model.config.reach) :])])
    cache, window = model.new_cache(), model.config.window
    logits = torch.cat([model(ids[:, i : i + window], cache) for i in range(0, ids.size(1), window)], dim=1)
    return logits[0, -n:].log_softmax(-1)
