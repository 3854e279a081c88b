"""The readable forward pass gives the compiled network's logits, and the attention weights of PyTorch."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import compiled, randomize

from tinycopilot.completion.network import Network
from tinycopilot.explain.instrumented import Pass, read
from tinycopilot.model.attention import band_mask, rotary_phases, rotate
from tinycopilot.model.gpt import GPTConfig, TinyGPT

SHAPES = {"1 layer, 1 head": (1, 1, 1), "no convolution": (2, 2, 1), "usual": (3, 2, 3)}


def built(n_layers: int, n_heads: int, conv_width: int, window: int = 9) -> TinyGPT:
    config = GPTConfig(20, n_layers=n_layers, n_heads=n_heads, d_model=16, window=window, conv_width=conv_width)
    return randomize(TinyGPT(config), std=0.4)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("int8", [False, True])
def test_logits_equal_the_compiled_network(shape: tuple[int, int, int], int8: bool) -> None:
    model = built(*shape)
    weights = {name: w.float().numpy() for name, w in model.state_dict().items()}
    network = Network(model.config, weights, int8=int8)
    ids = np.random.default_rng(0).integers(0, 20, 700).tolist()  # longer than two blocks of attention
    for n in (1, 5, 60, 700):
        wanted = network.forward(ids[:n], network.new_cache())
        passed = read(network, ids[:n], min(n, 40))
        assert passed.lens[-1] == pytest.approx(wanted[-40:], abs=1e-4)


@settings(max_examples=30)
@given(ids=st.lists(st.integers(0, 19), min_size=1, max_size=40), data=st.data())
def test_any_text_with_any_number_of_shown_positions(ids: list[int], data: st.DataObject) -> None:
    network = compiled(built(2, 2, 3))
    n_shown = data.draw(st.integers(1, len(ids)))
    passed = read(network, ids, n_shown)
    assert passed.lens[-1] == pytest.approx(network.forward(ids, network.new_cache())[-n_shown:], abs=1e-4)
    check_sums(passed)


def check_sums(passed: Pass) -> None:
    stream = passed.embedded
    for block in passed.blocks:
        stream = stream + block.attended + block.fed_forward
        assert block.stream == pytest.approx(stream, abs=1e-4)
        assert (block.weights.sum(-1) < 1 + 1e-5).all()


def test_attention_equals_the_definition() -> None:
    """The weights of the first layer, by the formulas of model/attention.py."""
    model = built(1, 2, 3)
    ids = list(range(20)) * 2
    attention = read(compiled(model), ids, 40).blocks[0]
    block = next(model.decoder_blocks())
    x = block.conv1(block.ln1(model.embedding(torch.tensor([ids]))), None)
    heads = block.attn.qkv(x).view(1, 40, 3, 2, 8).permute(2, 0, 3, 1, 4)
    cos, sin = rotary_phases(0, 40, 8)
    q, k = rotate(heads[:2], (cos.to(x), sin.to(x)))[:, 0]
    scores = (q @ k.transpose(-2, -1) / math.sqrt(8)).masked_fill(~band_mask(40, 40, 9), -math.inf)
    assert attention.weights == pytest.approx(scores.softmax(-1).numpy(), abs=1e-5)
    assert (attention.q, attention.k) == (pytest.approx(q.numpy(), abs=1e-4), pytest.approx(k.numpy(), abs=1e-4))
    few = read(compiled(model), ids, 12).blocks[0]
    assert few.weights == pytest.approx(attention.weights[:, -12:, -12:], abs=1e-6)


def test_last_lens_equals_the_prediction() -> None:
    passed = read(compiled(built(2, 2, 3)), [1, 2, 3], 3)
    assert passed.lens.shape == (3, 3, 20)
    assert not np.allclose(passed.lens[0], passed.lens[-1])
