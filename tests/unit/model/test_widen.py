"""Widening preserves the network's function, and all weights of the result can learn."""

import dataclasses

import pytest
import torch
from networks import randomize

from tinycopilot import UserError
from tinycopilot.model.gpt import GPTConfig, TinyGPT
from tinycopilot.model.widen import Weights, widened

SHAPE = GPTConfig(vocab_size=9, n_layers=2, n_heads=2, d_model=16, window=8, conv_width=3)


def weights_of(model: TinyGPT) -> Weights:
    return {name: weight.numpy() for name, weight in model.state_dict().items()}


def wide_network(model: TinyGPT, shape: tuple[int, int, int]) -> TinyGPT:
    config, weights = widened(model.config, weights_of(model), *shape)
    wide = TinyGPT(config)
    wide.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
    return wide


def random_ids() -> torch.Tensor:
    return torch.randint(0, 9, (2, 20), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("conv_width", [1, 3])
@pytest.mark.parametrize("shape", [(2, 2, 16), (3, 2, 32), (4, 3, 48)])
def test_widened_network_is_the_same_function(shape: tuple[int, int, int], conv_width: int) -> None:
    model = randomize(TinyGPT(dataclasses.replace(SHAPE, conv_width=conv_width)))
    wide = wide_network(model, shape).double()
    model.double()
    ids = random_ids()
    assert wide.config.d_model == shape[2]
    assert torch.allclose(wide(ids), model(ids), atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 2, 32), (4, 3, 48), (3, 4, 32)])
def test_all_weights_of_a_widened_network_learn(shape: tuple[int, int, int]) -> None:
    wide = wide_network(randomize(TinyGPT(SHAPE)), shape).double()
    before = {name: weight.clone() for name, weight in wide.state_dict().items()}
    optimizer = torch.optim.SGD(wide.parameters(), lr=0.1)
    for _ in range(4):  # the first step changes the weights that are zero, and then the gradient reaches the others
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(wide(random_ids()).flatten(0, 1), random_ids().flatten()).backward()
        optimizer.step()
    for name, weight in wide.state_dict().items():
        is_seen = torch.ones_like(weight, dtype=torch.bool)
        if name == "embedding.weight":
            is_seen = torch.isin(torch.arange(9), random_ids())[:, None].expand_as(weight)
        assert (weight != before[name])[is_seen].all(), name


@pytest.mark.parametrize("shape", [(2, 2, 24), (1, 2, 32), (2, 1, 32), (2, 4, 16)])
def test_invalid_widening_is_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(UserError, match="cannot widen 2 layers, 2 heads and 16 channels to"):
        widened(SHAPE, weights_of(randomize(TinyGPT(SHAPE))), *shape)
