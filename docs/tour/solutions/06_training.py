"""Solution 6: one step of training."""

import math

from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer

from tinycopilot.model.gpt import TinyGPT


def step(model: TinyGPT, optimizer: Optimizer, inputs: Tensor, targets: Tensor) -> float:
    """Take one step; return the loss before it, in bits per character."""
    logits = model(inputs)  # (B, T, V)
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item() / math.log(2)
