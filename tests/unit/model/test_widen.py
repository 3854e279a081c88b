"""Widening preserves the network's function."""

import pytest
import torch
from networks import randomise

from tinycopilot import UserError
from tinycopilot.model.gpt import GPTConfig, TinyGPT
from tinycopilot.model.widen import Weights, widened

SHAPE = GPTConfig(vocab_size=9, n_layers=2, n_heads=2, d_model=16, window=8, conv_width=3)


def weights_of(model: TinyGPT) -> Weights:
    return {name: weight.numpy() for name, weight in model.state_dict().items()}


@pytest.mark.parametrize("conv_width", [1, 3])
@pytest.mark.parametrize("shape", [(2, 2, 16), (3, 2, 32), (4, 3, 48)])
def test_widened_network_is_the_same_function(shape: tuple[int, int, int], conv_width: int) -> None:
    config = GPTConfig(vocab_size=9, n_layers=2, n_heads=2, d_model=16, window=8, conv_width=conv_width)
    model = randomise(TinyGPT(config))
    wide_config, weights = widened(config, weights_of(model), *shape)
    wide = TinyGPT(wide_config)
    wide.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
    wide.double()
    model.double()
    ids = torch.randint(0, 9, (2, 20), generator=torch.Generator().manual_seed(0))
    assert wide.config.d_model == shape[2]
    assert torch.allclose(wide(ids), model(ids), atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 2, 24), (1, 2, 32), (2, 1, 32), (2, 4, 16)])
def test_invalid_widening_is_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(UserError, match="cannot widen 2 layers, 2 heads and 16 channels to"):
        widened(SHAPE, weights_of(randomise(TinyGPT(SHAPE))), *shape)
