"""The compiled network against its definition, TinyGPT: equal logits for any shape, chunking and history."""

import dataclasses
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import randomize

from tinycopilot.completion.network import PIECE_LEN, Cache, Network, load_pair
from tinycopilot.model.config import SPARE, GPTConfig
from tinycopilot.model.gpt import TinyGPT
from tinycopilot.model.storage import ModelFileError
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import ModelPaths

TINY = GPTConfig(50, n_layers=2, n_heads=2, d_model=32, window=8, conv_width=3)


@st.composite
def configs(draw: st.DrawFn) -> GPTConfig:
    """Any shape, with widths that are not a multiple of a block.

    At least 12 channels: a LayerNorm of 2 divides by their difference, and amplifies rounding without bound.
    """
    n_heads = draw(st.integers(1, 5))
    return GPTConfig(
        vocab_size=draw(st.integers(1, 40)),
        n_layers=draw(st.integers(1, 3)),
        n_heads=n_heads,
        d_model=2 * n_heads * draw(st.integers(-(-6 // n_heads), 21)),
        window=draw(st.one_of(st.integers(1, 9), st.sampled_from([31, 128, 200]))),
        conv_width=draw(st.integers(1, 4)),
    )


def networks(config: GPTConfig, seed: int = 0) -> tuple[TinyGPT, Network]:
    """A random network, and the same network compiled, in float32."""
    model = randomize(TinyGPT(config), seed, std=0.7 / config.d_model**0.5)
    with torch.no_grad():
        model.embedding.weight *= config.d_model**0.5
        model.head.weight *= 3
    weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
    return model, Network(config, weights, int8=False)


def random_ids(config: GPTConfig, n: int, seed: int) -> list[int]:
    return np.random.default_rng(seed).integers(config.vocab_size, size=n).tolist()


def logits_of(model: TinyGPT, ids: list[int]) -> np.ndarray:
    """The definition's logits: everything at once, without a cache."""
    with torch.inference_mode():
        return model(torch.tensor([ids]))[0].numpy()


@pytest.mark.slow
@given(config=configs(), pieces=st.lists(st.integers(1, 140), min_size=1, max_size=6), seed=st.integers(0, 1000))
def test_logits_equal_the_definition(config: GPTConfig, pieces: list[int], seed: int) -> None:
    model, network = networks(config, seed)
    ids, cache, got, last = random_ids(config, sum(pieces), seed), network.new_cache(), [], network.new_cache()
    for end, n in zip(itertools.accumulate(pieces), pieces, strict=True):
        got.append(network.forward(ids[end - n : end], cache))
        only = network.forward(ids[end - n : end], last, n_last=1)
        assert only.shape == (1, config.vocab_size)
        np.testing.assert_allclose(only[0], got[-1][-1], atol=1e-4)
    np.testing.assert_allclose(np.concatenate(got), logits_of(model, ids), atol=1e-4)
    assert cache.length == len(ids)


@pytest.mark.slow
@given(
    config=configs(),
    steps=st.lists(st.tuples(st.integers(1, 150), st.integers(0, 90)), min_size=1, max_size=6),
    seed=st.integers(0, 99),
)
def test_truncate_equals_never_having_read(config: GPTConfig, steps: list[tuple[int, int]], seed: int) -> None:
    model, network = networks(config, seed)
    cache, ids, furthest = network.new_cache(), list[int](), 0
    for i, (n_read, n_back) in enumerate(steps):
        new = random_ids(config, n_read, seed + i)
        ids += new
        np.testing.assert_allclose(network.forward(new, cache), logits_of(model, ids)[-n_read:], atol=1e-4)
        furthest = max(furthest, len(ids))
        left = max(0, len(ids) - n_back)
        assert cache.can_truncate(left) or left < furthest - SPARE
        if not cache.can_truncate(left):
            with pytest.raises(ValueError, match="cannot go back"):
                cache.truncate(left)
            return
        cache.truncate(left)
        assert cache.length == left
        ids = ids[:left]


def test_memory_is_bounded_and_emptied_cache_equals_new_cache() -> None:
    model, network = networks(TINY)
    cache = network.new_cache()
    assert cache.keys.shape[-1] == TINY.window + PIECE_LEN + SPARE
    for seed in range(20):
        network.forward(random_ids(TINY, 100, seed), cache)
    assert cache.length == 2_000
    with pytest.raises(ValueError, match="100"):
        cache.truncate(100)
    with pytest.raises(ValueError, match="2001"):
        cache.truncate(2_001)
    cache.truncate(0)
    assert cache.length == 0
    np.testing.assert_allclose(network.forward([3, 1, 4], cache), logits_of(model, [3, 1, 4]), atol=1e-4)


def test_spare_positions_can_always_be_removed() -> None:
    _, network = networks(dataclasses.replace(TINY, window=128))
    cache = network.new_cache()
    for seed in range(12):
        network.forward(random_ids(TINY, 60, seed), cache)
        assert all(map(cache.can_truncate, range(max(0, cache.length - SPARE), cache.length + 1)))
        assert not cache.can_truncate(cache.length + 1)
    assert not cache.can_truncate(1)  # what it saw was dropped


@pytest.mark.slow
@pytest.mark.parametrize("window", [1, 4_096])
def test_smallest_and_largest_window(window: int) -> None:
    config = dataclasses.replace(TINY, n_layers=1, n_heads=1, window=window)
    model, network = networks(config)
    ids, cache = random_ids(config, window + 904, 0), network.new_cache()  # the cache slides in both
    with torch.inference_mode():
        torch_cache = model.new_cache()
        expected = torch.cat([model(piece, torch_cache)[0] for piece in torch.tensor([ids]).split(min(500, window), 1)])
    np.testing.assert_allclose(network.forward(ids, cache), expected.numpy(), atol=1e-4)


@pytest.mark.parametrize("wrong", [[50], [-1], [3, 50], [2**40]])
def test_id_outside_the_vocabulary_is_refused(wrong: list[int]) -> None:
    model, network = networks(TINY)
    cache = network.new_cache()
    network.forward([1, 2], cache)
    with pytest.raises(IndexError, match="vocabulary of 50"):
        network.forward(wrong, cache)
    with pytest.raises(ValueError, match="at least one"):
        network.forward([], cache)
    assert cache.length == 2
    np.testing.assert_allclose(network.forward([3], cache)[0], logits_of(model, [1, 2, 3])[-1], atol=1e-4)


@pytest.mark.slow
@settings(max_examples=10)
@given(config=configs(), seed=st.integers(0, 1000))
def test_int8_equals_the_definition_of_rounded_weights(config: GPTConfig, seed: int) -> None:
    """Each row rounded to 255 steps by PyTorch; the rest of the arithmetic is the same."""
    model, _ = networks(config, seed)
    weights = {name: weight.numpy().copy() for name, weight in model.state_dict().items()}
    network = Network(config, weights, int8=True)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2 and "taps" not in name and "embedding" not in name:
                step = weight.abs().amax(1, keepdim=True) / 127
                weight.copy_((weight / step).round() * step)
    ids = random_ids(config, 30, seed)
    expected = logits_of(model, ids)
    np.testing.assert_allclose(network.forward(ids, network.new_cache()), expected, atol=2e-2)


def test_saved_model_is_loaded(pair: ModelPaths, tokenizer: SimpleTokenizer) -> None:
    network, loaded = load_pair(pair.model, pair.tokenizer, int8=False)
    assert loaded.alphabet == tokenizer.alphabet
    ids = random_ids(network.config, 20, 0)
    expected = logits_of(TinyGPT.load(pair.model, tokenizer), ids)
    np.testing.assert_allclose(network.forward(ids, Cache(network.config)), expected, rtol=1e-3, atol=1e-3)
    with pytest.raises(ModelFileError, match="does not match"):
        Network.load(pair.model, SimpleTokenizer("abc"))


@pytest.mark.slow
def test_without_avx2_logits_are_equal(pair: ModelPaths, tmp_path: Path) -> None:
    """Compiled for baseline x86-64: four numbers per instruction, no fused multiply-add."""
    ids = random_ids(TINY, 20, 0)
    code = (
        "import json, sys; from pathlib import Path; from tinycopilot.completion.network import Network\n"
        f"network = Network.load(Path({str(pair.model)!r}), int8=False)\n"
        f"ids = [i % network.config.vocab_size for i in {ids}]\n"
        "print(json.dumps([ids, network.forward(ids, network.new_cache()).tolist()]))"
    )
    environment = os.environ | {"NUMBA_CPU_NAME": "generic", "NUMBA_CACHE_DIR": str(tmp_path / "compiled")}
    child = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    ids, logits = json.loads(child.stdout)
    native = Network.load(pair.model, int8=False)
    np.testing.assert_allclose(logits, native.forward(ids, native.new_cache()), rtol=1e-3, atol=1e-3)
