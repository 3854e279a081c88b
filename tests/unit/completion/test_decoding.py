"""Text generation with the compiled network: the definition's distribution, without the unknown."""

import itertools

import numpy as np
import pytest
import torch
from networks import randomize

from tinycopilot.completion.decoding import _sample, generate
from tinycopilot.completion.network import Network
from tinycopilot.model.config import GPTConfig
from tinycopilot.model.gpt import TinyGPT

CONFIG = GPTConfig(50, n_layers=2, n_heads=2, d_model=32, window=8, conv_width=3)


@pytest.fixture(scope="module")
def both() -> tuple[TinyGPT, Network]:
    model = randomize(TinyGPT(CONFIG), std=0.2)
    return model, Network(CONFIG, {n: w.numpy() for n, w in model.state_dict().items()}, int8=False)


def write(network: Network, seed: int = 1, temperature: float = 0.0, top_k: int | None = None) -> list[int]:
    rng = np.random.default_rng(seed)
    return list(itertools.islice(generate(network, [1, 2], temperature=temperature, top_k=top_k, rng=rng), 60))


def test_greedy_text_equals_the_definition(both: tuple[TinyGPT, Network]) -> None:
    model, network = both
    assert write(network) == list(itertools.islice(model.generate([1, 2]), 60))


def test_seed_decides_and_unknown_is_never_sampled(both: tuple[TinyGPT, Network]) -> None:
    _, network = both
    texts = [write(network, seed=seed, temperature=5.0) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert max(map(max, texts)) < CONFIG.vocab_size - 1
    assert write(network, temperature=1.0, top_k=1) == write(network)


@pytest.mark.slow
def test_samples_follow_the_distribution() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))
    rng, n = np.random.default_rng(0), 20_000
    for temperature, top_k, expected in [(1.0, None, [0.5, 0.3, 0.15, 0.05]), (1.0, 2, [0.625, 0.375, 0, 0])]:
        drawn = [_sample(logits, temperature, top_k, rng) for _ in range(n)]
        assert np.bincount(drawn, minlength=4) / n == pytest.approx(expected, abs=0.015)
    halved = torch.from_numpy(logits / 0.5).softmax(-1).numpy()
    drawn = [_sample(logits, 0.5, None, rng) for _ in range(n)]
    assert np.bincount(drawn, minlength=4) / n == pytest.approx(halved, abs=0.015)
