"""How good a network is on text that it never learned from: bits per character, where they go, and a sample."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from tinycopilot.model.gpt import TinyGPT
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer
from tinycopilot.training.log import HardCharacter


def bits_per_char(model: TinyGPT, ids: Tensor, streams: int = 32) -> float:
    """Mean of -log2 p(next character) over `ids`, (N,); see `bits_by_position`."""
    return bits_by_position(model, ids, streams)[1].mean().item()


@torch.inference_mode()
def bits_by_position(model: TinyGPT, ids: Tensor, streams: int = 32) -> tuple[Tensor, Tensor]:
    """The characters of `ids`, (N,), that were predicted, and -log2 p of each, read as the product reads.

    That is through one window that slides for ever. The text is cut into `streams` pieces that are read side by side,
    each through a cache of its own: (n * streams,) each.
    """
    window = model.config.window
    streams = max(1, min(streams, (len(ids) - 1) // (4 * window)))
    n = (len(ids) - 1) // streams
    inputs = ids[: streams * n].view(streams, n).long().to(model.device)
    targets = ids[1 : streams * n + 1].view(streams, n).long().to(model.device)
    cache = model.new_cache(batch=streams)
    bits = []
    for i in range(0, n, window):
        logits = model(inputs[:, i : i + window], cache)  # (streams, T, V)
        nats = F.cross_entropy(logits.transpose(1, 2).float(), targets[:, i : i + window], reduction="none")
        bits.append(nats / math.log(2))
    return targets.flatten().cpu(), torch.cat(bits, dim=1).flatten().cpu()


def hardest_characters(tokenizer: SimpleTokenizer, targets: Tensor, bits: Tensor) -> list[HardCharacter]:
    """Every character that stands there, what costs the most bits in all first; (N,) each."""
    n = torch.bincount(targets, minlength=tokenizer.vocab_size)
    total = torch.bincount(targets, weights=bits.double(), minlength=tokenizer.vocab_size)
    worst = [i for i in total.argsort(descending=True).tolist() if n[i]]
    return [HardCharacter(tokenizer.decode([i]), int(n[i]), (total[i] / n[i]).item()) for i in worst]


def write_sample(model: TinyGPT, tokenizer: SimpleTokenizer, prompt: str = "def ", n_chars: int = 160) -> str:
    """What the network writes after `prompt`, always with the same dice: so that samples of one run can be compared."""
    dice = torch.Generator().manual_seed(0)
    generated = model.generate(tokenizer.encode(DOCUMENT_START + prompt), temperature=0.6, generator=dice)
    return prompt + tokenizer.decode(next(generated) for _ in range(n_chars))
