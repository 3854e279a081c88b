"""Whether a new model is taken into use: not if it is worse than the one it would displace, unless that is asked for.

Both are measured on the held-out text of the new model. Where the new one would serve every workspace of its user, both
are also measured on the reference text, everyday Python that ships and that no model was trained on: a network that
knows one project by heart can be better there and useless everywhere else. The two figures count the same.
"""

import contextlib
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tinycopilot import UserError
from tinycopilot.model.gpt import TinyGPT, load_pair
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer
from tinycopilot.paths import ModelPaths, Origin, find_model, user_model
from tinycopilot.training.batches import ids_of
from tinycopilot.training.metrics import bits_by_position
from tinycopilot.training.reference import UNKNOWN_BITS, reference_text
from tinycopilot.training.text import Text


@dataclass(frozen=True)
class Bits:
    """Bits per character of one model; None for a text on which it was not measured."""

    held_out: float
    reference: float | None = None

    def mean(self) -> float:
        """Of the texts that it was measured on."""
        texts = [self.held_out, *([] if self.reference is None else [self.reference])]
        return math.fsum(texts) / len(texts)


@dataclass(frozen=True)
class CurrentModel:
    """The model in use, which a new one would displace."""

    paths: ModelPaths
    origin: Origin
    bits: Bits | None
    """None where it cannot be loaded."""

    def is_better_than(self, new: Bits) -> bool:
        """Whether it should stay in use."""
        return self.bits is not None and not new.mean() <= self.bits.mean()  # one that is no number is worse


def find_current_model(target: ModelPaths) -> tuple[ModelPaths, Origin] | None:
    """The model that is displaced if a new one is saved at `target`; None if there is none.

    For a place that its user named, it is what is there; for the user's own model, what all commands use now.
    """
    if target != user_model():
        return (target, Origin.GIVEN) if target.exist() else None
    paths, origin = find_model()
    return (paths, origin) if paths.exist() else None


def evaluate_current_model(paths: ModelPaths, origin: Origin, held_out: Text, *, with_reference: bool) -> CurrentModel:
    """The model in use, and its bits per character: the network alone, on the held-out text of the new model."""
    try:
        model, tokenizer = load_pair(paths.model, paths.tokenizer)
    except UserError:
        return CurrentModel(paths, origin, None)
    here = comparable_bits(*bits_by_position(model, ids_of(held_out, tokenizer)), tokenizer)
    return CurrentModel(paths, origin, Bits(here, reference_bits_or_none(model, tokenizer) if with_reference else None))


def reference_bits(model: TinyGPT, tokenizer: SimpleTokenizer) -> float:
    """Bits per character of the network alone on the reference text. Raises UserError where that is missing."""
    ids = torch.tensor(tokenizer.encode(DOCUMENT_START + reference_text()))
    return comparable_bits(*bits_by_position(model, ids), tokenizer)


def reference_bits_or_none(model: TinyGPT, tokenizer: SimpleTokenizer) -> float | None:
    """The same; None where the text is missing, which is no reason to lose a training run."""
    with contextlib.suppress(UserError):
        return reference_bits(model, tokenizer)
    return None


def comparable_bits(targets: Tensor, bits: Tensor, tokenizer: SimpleTokenizer) -> float:
    """The mean of what `bits_by_position` gave, (N,) each, comparable between models of different vocabularies."""
    return (bits + UNKNOWN_BITS * (targets == tokenizer.unknown_id)).mean().item()


def comparison_line(new: Bits, current: CurrentModel) -> str:
    """One line that compares the two models."""
    named = f"{current.paths.model} ({current.origin.value})"
    if current.bits is None:
        return f"{named} cannot be read: nothing to compare with"
    line = f"compared with {named}: held-out text {new.held_out:.3f}, before {current.bits.held_out:.3f}"
    if new.reference is not None and current.bits.reference is not None:
        line += f"; everyday Python (the reference text) {new.reference:.3f}, before {current.bits.reference:.3f}"
    return f"{line} bits per character"
