"""Held-out text: bits per character, by position and by character; generated samples; evaluations with both."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from tinycopilot.model.gpt import TinyGPT
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer
from tinycopilot.training.log import Evaluation, HardCharacter
from tinycopilot.training.train_state import TrainState

SAMPLE_CHARS = 160


def bits_per_char(model: TinyGPT, ids: Tensor, streams: int = 32) -> float:
    """Return the mean of -log2 p(next character) over `ids`, (N,); see `bits_by_position`."""
    return bits_by_position(model, ids, streams)[1].mean().item()


@torch.inference_mode()
def bits_by_position(model: TinyGPT, ids: Tensor, streams: int = 32, chunk: int | None = None) -> tuple[Tensor, Tensor]:
    """Return the predicted characters of `ids`, (N,), and -log2 p of each: (n * streams,) each.

    Through a sliding window, as in completion. The text is cut into `streams` pieces, read as one batch with a
    key-value cache, `chunk` positions at a time (default: a window; a causal network gives the same with any chunk).
    """
    window = model.config.window
    chunk = chunk or window
    streams = max(1, min(streams, (len(ids) - 1) // (4 * window)))
    n = (len(ids) - 1) // streams
    inputs = ids[: streams * n].view(streams, n).long().to(model.device)
    targets = ids[1 : streams * n + 1].view(streams, n).long().to(model.device)
    cache = model.new_cache()
    bits = []
    for i in range(0, n, chunk):
        logits = model(inputs[:, i : i + chunk], cache)  # (streams, T, V)
        nats = F.cross_entropy(logits.transpose(1, 2).float(), targets[:, i : i + chunk], reduction="none")
        bits.append(nats / math.log(2))
    return targets.flatten().cpu(), torch.cat(bits, dim=1).flatten().cpu()


def hardest_characters(tokenizer: SimpleTokenizer, targets: Tensor, bits: Tensor) -> list[HardCharacter]:
    """Return each character of `targets`, (N,), with its mean of `bits`, (N,); highest total first."""
    n = torch.bincount(targets, minlength=tokenizer.vocab_size)
    total = torch.bincount(targets, weights=bits.double(), minlength=tokenizer.vocab_size)
    worst = [i for i in total.argsort(descending=True).tolist() if n[i]]
    return [HardCharacter(tokenizer.decode([i]), int(n[i]), (total[i] / n[i]).item()) for i in worst]


def write_sample(model: TinyGPT, tokenizer: SimpleTokenizer, prompt: str = "def ", n_chars: int = SAMPLE_CHARS) -> str:
    """Return `prompt` and its continuation, with a fixed seed, so that samples of one run can be compared."""
    dice = torch.Generator().manual_seed(0)
    generated = model.generate(tokenizer.encode(DOCUMENT_START + prompt), temperature=0.6, generator=dice)
    return prompt + tokenizer.decode(next(generated) for _ in range(n_chars))


def evaluation(
    state: TrainState, tokenizer: SimpleTokenizer, held_out: Tensor, prompt: str = "def ", n_chars: int = SAMPLE_CHARS
) -> Evaluation:
    """Evaluate the network on `held_out`, ids, (N,), and let it write a sample."""
    log, model = state.log, state.model
    sample = write_sample(model, tokenizer, prompt, n_chars)
    return Evaluation(log.n_steps, log.n_chars, log.seconds, bits_per_char(model, held_out), sample)
