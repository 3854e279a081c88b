"""Decide whether a new model replaces the one in use: only if it is not worse.

Both are measured on the new model's held-out text. If the new model would be used for every workspace, both are also
measured on the reference text, bundled Python that no model was trained on, because a network that overfitted one
project is worse everywhere else. The two measurements have equal weight.
"""

import contextlib
import math
from typing import NamedTuple

import torch
from torch import Tensor

from tinycopilot import UserError
from tinycopilot.model.gpt import TinyGPT, load_pair
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer
from tinycopilot.paths import ModelPaths, Origin, find_model, user_model
from tinycopilot.training.batches import ids_of
from tinycopilot.training.corpus import UNKNOWN_BITS, reference_text
from tinycopilot.training.metrics import bits_by_position
from tinycopilot.training.text import Text


class Bits(NamedTuple):
    """Bits per character of a model on held-out and reference text; None if not measured."""

    held_out: float
    reference: float | None = None

    def mean(self) -> float:
        """Return the mean over the texts that were measured."""
        texts = [self.held_out, *([] if self.reference is None else [self.reference])]
        return math.fsum(texts) / len(texts)

    def is_better_than(self, new: "Bits") -> bool:
        """Whether the model in use, with these bits, should stay in use; so if the new model's bits are NaN."""
        return not new.mean() <= self.mean()


def find_current_model(target: ModelPaths) -> tuple[ModelPaths, Origin] | None:
    """Return the model that a new one at `target` would replace; None if there is none.

    For a path that the user gave, the model there; for the user's own model, the one in use where no adapted one is.
    """
    if target != user_model():
        return (target, Origin.GIVEN) if target.exist() else None
    paths, origin = find_model()
    return (paths, origin) if paths.exist() else None


def compare(new: Bits, paths: ModelPaths, origin: Origin, held_out: Text) -> tuple[bool, str]:
    """Measure the model in use, the network alone, on the same texts as the `new` one.

    Returns whether it is better, and one line that compares the two models.
    """
    named = f"{paths.model} ({origin.value})"
    try:
        model, tokenizer = load_pair(paths.model, paths.tokenizer)
    except UserError:
        return False, f"{named} cannot be read: nothing to compare with"
    here = comparable_bits(*bits_by_position(model, ids_of(held_out, tokenizer)), tokenizer)
    current = Bits(here, None if new.reference is None else reference_bits(model, tokenizer))
    line = f"compared with {named}: held-out text {new.held_out:.3f}, before {current.held_out:.3f}"
    if current.reference is not None:
        line += f"; everyday Python (the reference text) {new.reference:.3f}, before {current.reference:.3f}"
    return current.is_better_than(new), f"{line} bits per character"


def reference_bits(model: TinyGPT, tokenizer: SimpleTokenizer) -> float | None:
    """Return bits per character of the network alone on the reference text.

    None if the text is missing: no reason to lose a training run.
    """
    with contextlib.suppress(UserError):
        ids = torch.tensor(tokenizer.encode(DOCUMENT_START + reference_text()))
        return comparable_bits(*bits_by_position(model, ids), tokenizer)
    return None


def comparable_bits(targets: Tensor, bits: Tensor, tokenizer: SimpleTokenizer) -> float:
    """Return the mean of `bits_by_position`, (N,) each, comparable between models of different vocabularies."""
    return (bits + UNKNOWN_BITS * (targets == tokenizer.unknown_id)).mean().item()
