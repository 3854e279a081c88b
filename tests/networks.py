"""Random networks for tests, and settings under which suggestions are rarely withheld."""

import torch

from tinycopilot.completion.network import Network
from tinycopilot.completion.request import CompleterSettings
from tinycopilot.model.gpt import GPTConfig, TinyGPT

EVERYTHING = CompleterSettings(eagerness=1, min_confidence=0, max_chars=12, max_lines=12)
SURE = 40.0


def randomize(model: TinyGPT, seed: int = 0, std: float = 0.5) -> TinyGPT:
    """Set every parameter to a random value: the zeros that training starts from would hide most errors."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=std, generator=generator)
    return model.requires_grad_(False).eval()


def compiled(model: TinyGPT) -> Network:
    """Return the compiled float32 version of the network."""
    return Network(model.config, {name: w.float().numpy() for name, w in model.state_dict().items()}, int8=False)


def reach_of(config: GPTConfig) -> int:
    """The number of characters that one prediction can depend on; each layer looks this much further back."""
    return config.n_layers * (config.window - 1 + 2 * (config.conv_width - 1)) + 1


def sure(model: TinyGPT) -> TinyGPT:
    """Sharpen the predictions, in place, so that no suggestion is withheld as too unlikely; return the network."""
    with torch.no_grad():
        model.head.weight *= SURE
    return model
