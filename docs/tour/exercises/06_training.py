"""Exercise 6: one step of training. Needs PyTorch.

Fill in `step`, then run this file.
"""

import math
from collections.abc import Callable

import torch
from checking import require, run
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer

from tinycopilot.model.gpt import GPTConfig, TinyGPT
from tinycopilot.training.metrics import bits_by_position

Step = Callable[[TinyGPT, Optimizer, Tensor, Tensor], float]


def step(model: TinyGPT, optimizer: Optimizer, inputs: Tensor, targets: Tensor) -> float:
    """Take one step; return the loss before it, in bits per character.

    `inputs` and `targets` are ids, (B, T): targets[b, t] is the character after inputs[b, t]. Call, in this order:

    - model(inputs): the logits, (B, T, V)
    - F.cross_entropy(logits.flatten(0, 1), targets.flatten()): the loss, in nats; 1 bit is math.log(2) nats
    - loss.backward(): the gradients
    - optimizer.step(): change the weights; optimizer.zero_grad(): forget the gradients
    """
    raise NotImplementedError


def new() -> tuple[TinyGPT, Optimizer]:
    """A tiny network with the same random weights each time, and an optimizer."""
    torch.manual_seed(0)
    model = TinyGPT(GPTConfig(vocab_size=5, n_layers=1, n_heads=2, d_model=8, window=8))
    torch.nn.init.normal_(model.head.weight)
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def check(step: Step) -> None:
    """Compare with the step of training/train.py, and the loss with training/metrics.py."""
    ids = torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3, 0]])
    inputs, targets = ids[:, :-1], ids[:, 1:]
    model, optimizer = new()
    bits = bits_by_position(model, ids[0], chunk=8)[1].mean().item()
    loss = step(model, optimizer, inputs, targets)
    require(isinstance(loss, float), "return the loss as a number: loss.item()")
    require(not math.isclose(loss, bits * math.log(2), rel_tol=1e-3), "return bits: divide nats by math.log(2)")
    require(math.isclose(loss, bits, rel_tol=1e-3), f"the loss should be {bits:.3f} bits, the mean over all positions")
    first = new()[0]
    is_same = all(torch.equal(a, b) for a, b in zip(model.parameters(), first.parameters(), strict=True))
    require(not is_same, "the weights did not change: call loss.backward(), and then optimizer.step()")
    step(model, optimizer, inputs, targets)
    expected, its_optimizer = new()
    for _ in range(2):
        F.cross_entropy(expected(inputs).flatten(0, 1), targets.flatten()).backward()
        its_optimizer.step()
        its_optimizer.zero_grad()
    pairs = zip(model.parameters(), expected.parameters(), strict=True)
    require(
        all(torch.allclose(a, b, atol=1e-5) for a, b in pairs),
        "the second step is wrong: backward() adds to the old gradients, unless optimizer.zero_grad() forgets them",
    )


if __name__ == "__main__":
    run(check, step)
