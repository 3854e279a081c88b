import math

import pytest
import torch
from networks import reach_of
from torch.nn import functional as F

from tinycopilot.model.gpt import TinyGPT
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.training.metrics import bits_by_position, bits_per_char, hardest_characters, write_sample


def test_bits_per_char_equals_the_uncached_forward(model: TinyGPT) -> None:
    ids = torch.randint(model.config.vocab_size, (70,), dtype=torch.int16)
    logits = model(ids[None, :-1].long())[0]
    expected = F.cross_entropy(logits, ids[1:].long(), reduction="none") / math.log(2)
    assert bits_per_char(model, ids, streams=1) == pytest.approx(expected.mean().item())
    targets, bits = bits_by_position(model, ids, streams=1)
    assert torch.equal(targets, ids[1:].long())
    assert torch.allclose(bits, expected.float(), atol=1e-5)


def test_batched_streams_equal_one_stream(model: TinyGPT) -> None:
    """All streams but the first start without context, which is the only difference."""
    ids = torch.randint(model.config.vocab_size, (64 * 8 + 1,), dtype=torch.int16)
    targets, bits = bits_by_position(model, ids, streams=4)
    alone, bits_alone = bits_by_position(model, ids, streams=1)
    assert torch.equal(targets, alone)
    reach = reach_of(model.config)
    for i in range(4):
        piece = slice(128 * i + reach, 128 * (i + 1))
        assert torch.allclose(bits[piece], bits_alone[piece], atol=1e-5)


def test_hardest_characters_cost_the_most(tokenizer: SimpleTokenizer) -> None:
    targets = torch.tensor(tokenizer.encode("aab\N{SNOWMAN}"))
    hardest = hardest_characters(tokenizer, targets, torch.tensor([1.0, 2.0, 0.5, 9.0]))
    assert [(hard.character, hard.n, hard.bits) for hard in hardest] == [
        ("\ufffd", 1, 9.0),
        ("a", 2, 1.5),
        ("b", 1, 0.5),
    ]


def test_sample_is_reproducible(model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    sample = write_sample(model, tokenizer, "def ", 30)
    assert sample == write_sample(model, tokenizer, "def ", 30)
    assert sample.startswith("def ")
    assert len(sample) == 34
