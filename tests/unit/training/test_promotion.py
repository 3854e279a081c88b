"""Whether a new model replaces the current one: the decision and its inputs."""

import math
from pathlib import Path

import pytest
import torch
from networks import randomize

from tinycopilot.model.gpt import GPTConfig, TinyGPT, load_pair
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import ModelPaths, Origin, bundled_model, bundled_path, user_model
from tinycopilot.training import promotion
from tinycopilot.training.promotion import (
    UNKNOWN_BITS,
    Bits,
    comparable_bits,
    compare,
    find_current_model,
    reference_bits,
)
from tinycopilot.training.text import Text, write_text


@pytest.mark.parametrize(
    ("new", "old", "stays"),
    [
        (Bits(5.3, 5.3), Bits(1.02, 1.2), True),
        (Bits(0.9, 1.2), Bits(1.0, 1.2), False),
        (Bits(1.0, 1.2), Bits(1.0, 1.2), False),  # the same again
        (Bits(0.1, 5.0), Bits(1.0, 1.2), True),  # memorised one project and nothing else
        (Bits(1.06, 1.35), Bits(1.29, 1.27), False),  # the gain here exceeds the loss elsewhere
        (Bits(1.1), Bits(1.0), True),
        (Bits(math.nan, 1.0), Bits(9.0, 9.0), True),
    ],
)
def test_comparison_of_two_models(new: Bits, old: Bits, stays: bool) -> None:
    assert old.is_better_than(new) is stays


def test_unreadable_model_is_no_competitor(pair: ModelPaths, tmp_path: Path) -> None:
    pair.model.write_bytes(b"broken")
    write_text(tmp_path / "text", ["x"])
    is_better, line = compare(Bits(9.0, 9.0), pair, Origin.GIVEN, Text(tmp_path / "text"))
    assert not is_better
    assert "cannot be read: nothing to compare with" in line


def test_small_vocabulary_is_no_advantage() -> None:
    """A character outside the vocabulary costs as much as selecting one of 65,536."""
    tokenizer = SimpleTokenizer("ab")
    targets, bits = torch.tensor([0, 1, 2, 2]), torch.tensor([1.0, 1.0, 0.5, 0.5])
    assert comparable_bits(targets, bits, tokenizer) == pytest.approx((1 + 1 + 2 * (0.5 + UNKNOWN_BITS)) / 4)


def test_only_the_bundled_model_predicts_the_reference_text(
    tokenizer: SimpleTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = bundled_model()
    assert (reference_bits(*load_pair(paths.model, paths.tokenizer)) or 9) < 1.6
    other = randomize(TinyGPT(GPTConfig(tokenizer.vocab_size, n_layers=1, n_heads=1, d_model=16, window=64)))
    assert (reference_bits(other, tokenizer) or 0) > 4
    monkeypatch.setattr("tinycopilot.training.corpus.bundled_path", lambda _name: paths.model.parent / "nowhere")
    assert reference_bits(other, tokenizer) is None


def test_reference_text_is_python_outside_of_the_training_text() -> None:
    text, corpus = promotion.reference_text(), bundled_path("corpus.txt").read_text("utf-8")
    compile(text, "reference.txt", "exec")
    assert text.isascii()
    assert not [i for i in range(len(text) - 100) if text[i : i + 100] in corpus]


def test_new_model_displaces_the_old_one(pair: ModelPaths) -> None:
    users = user_model()
    assert find_current_model(users) == (bundled_model(), Origin.SHIPPED)
    assert find_current_model(pair) == (pair, Origin.GIVEN)
    assert find_current_model(ModelPaths(pair.model.with_name("new.pth"), pair.tokenizer.with_name("t.pth"))) is None
    users.model.parent.mkdir(parents=True)
    users.model.write_bytes(b"broken")
    assert find_current_model(users) == (users, Origin.USER)
