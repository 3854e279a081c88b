import copy
import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import randomize, reach_of

from tinycopilot.completion.network import Cache
from tinycopilot.model.attention import band_mask, scaled_dot_product_attention
from tinycopilot.model.gpt import GPTConfig, TinyGPT
from tinycopilot.model.storage.weights import config_from_data, n_cached_values
from tinycopilot.model.tokenizer import SimpleTokenizer


def test_forward_pass_equals_plain_implementation(model: TinyGPT) -> None:
    """The logits equal those of attention, LayerNorm, convolution and GELU written out."""
    ids = torch.randint(model.config.vocab_size, (2, 20))
    n_heads, d_head = model.config.n_heads, model.config.d_head
    x = model.embedding.weight[ids]

    def norm(x: torch.Tensor, ln: torch.nn.LayerNorm) -> torch.Tensor:
        mean, var = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
        return (x - mean) / (var + ln.eps).sqrt() * ln.weight + ln.bias

    def heard(x: torch.Tensor, conv: torch.nn.Module) -> torch.Tensor:  # each position, and the two before it
        nothing = torch.zeros_like(x[:, :1])
        before = torch.cat((nothing, x[:, :-1]), 1)
        return x + conv.taps[0] * before + conv.taps[1] * torch.cat((nothing, before[:, :-1]), 1)

    def turn(x: torch.Tensor) -> torch.Tensor:  # (B, H, T, D), each pair (i, i + D/2) as a complex number
        angle = torch.arange(20)[:, None] * 10_000.0 ** (-torch.arange(0, d_head, 2) / d_head).double()
        turned = torch.complex(x[..., : d_head // 2], x[..., d_head // 2 :]) * torch.polar(
            torch.ones_like(angle), angle
        )
        return torch.cat((turned.real, turned.imag), -1)

    mask = band_mask(20, 20, model.config.window)
    for block in model.blocks:
        q, k, v = (heard(norm(x, block.ln1), block.conv1) @ block.attn.qkv.weight.T).chunk(3, -1)
        q, k, v = (t.view(2, 20, n_heads, d_head).transpose(1, 2) for t in (q, k, v))
        y = scaled_dot_product_attention(turn(q), turn(k), v, mask).transpose(1, 2).reshape(2, 20, -1)
        x = x + y @ block.attn.o_proj.weight.T
        h = heard(norm(x, block.ln2), block.conv2) @ block.ffn.up.weight.T
        x = x + (h * 0.5 * (1 + torch.erf(h / math.sqrt(2)))) @ block.ffn.down.weight.T
    torch.testing.assert_close(model(ids), norm(x, model.ln) @ model.head.weight.T)


@given(pieces=st.lists(st.integers(1, 8), min_size=1, max_size=60), seed=st.integers(0, 99))
def test_cached_forward_equals_uncached_beyond_the_window(model: TinyGPT, pieces: list[int], seed: int) -> None:
    ids = torch.randint(model.config.vocab_size, (2, sum(pieces)), generator=torch.Generator().manual_seed(seed))
    cache = model.new_cache()
    cached = torch.cat([model(part, cache) for part in ids.split(pieces, dim=1)], dim=1)
    torch.testing.assert_close(cached, model(ids))
    assert cache.length == sum(pieces)


def test_logits_in_bfloat16_are_causal_and_close_to_float32(model: TinyGPT) -> None:
    network = copy.deepcopy(model).float()  # autocast does not convert float64
    ids = torch.randint(model.config.vocab_size, (2, model.config.window))
    with torch.autocast("cpu", torch.bfloat16):
        logits, shorter = network(ids), network(ids[:, :-1])
    torch.testing.assert_close(logits.float(), network(ids), atol=0.1, rtol=0.1)
    torch.testing.assert_close(logits[:, :-1], shorter, atol=0.1, rtol=0.1)


def test_cache_refuses_more_than_a_window(model: TinyGPT) -> None:
    cache = model.new_cache()
    with pytest.raises(ValueError, match="at most 8 positions"):
        model(torch.zeros(1, 9, dtype=torch.long), cache)


def test_prediction_depends_on_exactly_reach_characters(model: TinyGPT) -> None:
    reach = reach_of(model.config)
    ids = torch.randint(model.config.vocab_size - 1, (1, reach + 5))
    last = model(ids)[0, -1]
    torch.testing.assert_close(model(ids[:, -reach:])[0, -1], last)
    changed = ids.clone()
    changed[0, -reach] = (changed[0, -reach] + 1) % model.config.vocab_size
    assert not torch.equal(model(changed)[0, -1], last)


def test_generate_depends_on_the_seed_only_and_never_emits_unknown(tokenizer: SimpleTokenizer) -> None:
    model = randomize(TinyGPT(GPTConfig(tokenizer.vocab_size, 1, 2, 16, 8)))
    model.head.weight[-1] = 0
    model.ln.bias[:] = 1
    model.head.weight[-1] = 100  # the unknown is by far the most probable

    def write(seed: int, top_k: int | None = None, temperature: float = 1.0) -> list[int]:
        dice = torch.Generator().manual_seed(seed)
        return list(itertools.islice(model.generate([1, 2], temperature=temperature, top_k=top_k, generator=dice), 50))

    assert model(torch.tensor([[1, 2]]))[0, -1].argmax() == tokenizer.unknown_id
    assert tokenizer.unknown_id not in write(1) + write(2) + write(1, top_k=3)
    assert write(1) == write(1) != write(2)
    assert write(1, top_k=1) == write(2, temperature=0)


@pytest.mark.parametrize("conv_width", [1, 2, 4])
def test_n_parameters(conv_width: int) -> None:
    model = TinyGPT(GPTConfig(50, n_layers=2, n_heads=2, d_model=32, window=8, conv_width=conv_width))
    assert model.config.n_parameters == sum(p.numel() for p in model.parameters())
    assert model.config.weight_shapes() == {name: tuple(w.shape) for name, w in model.state_dict().items()}


@pytest.mark.parametrize("conv_width", [1, 3])
def test_n_cached(conv_width: int) -> None:
    config = GPTConfig(50, n_layers=2, n_heads=2, d_model=128, window=256, conv_width=conv_width)
    cache = Cache(config)
    n_values = cache.keys.size + cache.values.size + cache.conv_inputs.size
    assert 0.99 < n_cached_values(config) / n_values <= 1


def test_without_convolutions_parameters_are_those_of_gpt_neox() -> None:
    """So weights of that shape, and models without convolutions, can be loaded."""
    plain = TinyGPT(GPTConfig(50, n_layers=2, n_heads=2, d_model=32, window=8))
    mixed = TinyGPT(GPTConfig(50, n_layers=2, n_heads=2, d_model=32, window=8, conv_width=3))
    added = mixed.state_dict().keys() - plain.state_dict().keys()
    assert added == {f"blocks.{i}.conv{j}.taps" for i in (0, 1) for j in (1, 2)}
    mixed.load_state_dict(randomize(plain).state_dict(), strict=False)
    ids = torch.randint(50, (1, 30))
    assert torch.equal(mixed(ids), plain(ids))  # a new convolution is the identity


@pytest.mark.parametrize(
    "wrong", [{"n_layers": 0}, {"n_heads": 3}, {"d_model": -4}, {"window": 2.5}, {"vocab_size": 10**7}]
)
def test_invalid_config_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        config_from_data({"vocab_size": 10, **wrong})


def test_new_network_predicts_uniformly() -> None:
    model = TinyGPT(GPTConfig(50, 2, 2, 16, 8))
    assert torch.equal(model(torch.tensor([[1, 2, 3]])), torch.zeros(1, 3, 50))
