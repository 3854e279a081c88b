"""What the page shows of a training step: the network's outputs for a few fixed inputs."""

import math
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tinycopilot.model.attention import MultiHeadSelfAttention, band_mask, rotate, scaled_dot_product_attention
from tinycopilot.model.gpt import TinyGPT
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer
from tinycopilot.page.arrays import Arrays
from tinycopilot.training.log import TrainLog
from tinycopilot.training.text import UNKNOWN_UNIT, Text
from tinycopilot.training.watch.embedding_map import MAX_CHARACTERS, kind_of, same_kind_shares

PYTHON_PROMPTS: Final = ("import n", "def main", "for i in")
PYTHON_TEXT: Final = "for name in names:\n    print(name, len(name))\n"
N_PROMPTS: Final = 3
MAX_PROMPT_CHARS: Final = 16
MAX_TEXT_CHARS: Final = len(PYTHON_TEXT)
READ_CHARS: Final = 10_000
"""Length of the held-out text that is searched for prompts."""
N_COMPLETED: Final = 40
"""Number of characters generated after each prompt."""
MAX_MAP_BYTES: Final = 400_000
"""Maximum size of a step's attention maps, uncompressed: for a larger network, the text is shorter."""


class FixedInputs(NamedTuple):
    """The inputs of the network at every recorded step."""

    prompts: tuple[str, ...]
    """Of equal length, so that they are completed as one batch."""
    text: str


def fixed_inputs(held_out: Text, *, is_python: bool) -> FixedInputs:
    """Return the inputs of a run: well-known ones for Python, else beginnings of lines of the held-out text."""
    if is_python:
        return FixedInputs(PYTHON_PROMPTS, PYTHON_TEXT)
    units = held_out.read(0, READ_CHARS)
    text = "".join("\ufffd" if unit == UNKNOWN_UNIT else chr(unit) for unit in units)
    return FixedInputs(_beginnings(text), text.strip()[:MAX_TEXT_CHARS])


def _beginnings(text: str) -> tuple[str, ...]:
    """Return up to N_PROMPTS beginnings of lines with different first words; an empty prompt if there is no line."""
    prompts = dict[str, str]()
    for line in map(str.strip, text.splitlines()):
        if len(line) >= 4:
            prompts.setdefault(line.split()[0], line[: min(MAX_PROMPT_CHARS, len(line) // 2)])
    chosen = tuple(prompts.values())[:N_PROMPTS] or ("",)
    return tuple(prompt[: min(map(len, chosen))] for prompt in chosen)


@dataclass(frozen=True)
class WatchedStep:
    """Outputs of the network at one training step."""

    step: int
    chars: int
    bits: float
    """Training loss, in bits per character, of the last log interval; NaN before the first one."""
    completions: tuple[str, ...]
    """Greedy continuation of each prompt."""
    attention: dict[str, Any]
    """Packed (page/arrays.py): `weights`, (L, H, N, N), in steps of 1/255."""
    embedding: NDArray[np.float16]
    """(K, C): embeddings of the first K characters of the vocabulary."""
    same_kind: dict[str, float]
    """See `same_kind_shares`."""

    @property
    def n_bytes(self) -> int:
        """Approximate size in the page."""
        return len(self.attention["data"]) + sum(map(len, self.completions)) + 16 * len(self.embedding)


def watch_step(model: TinyGPT, tokenizer: SimpleTokenizer, inputs: FixedInputs, log: TrainLog) -> WatchedStep:
    """Return the outputs of `model` for `inputs`. Draws no random numbers, and changes nothing."""
    prompts = [tokenizer.encode(DOCUMENT_START + prompt) for prompt in inputs.prompts]
    completions = tuple(map(tokenizer.decode, complete(model, prompts, N_COMPLETED)))
    arrays = Arrays()
    weights = attention_weights(model, tokenizer.encode(attended_text(model, inputs)))
    arrays.add("weights", np.rint(weights.float().cpu().numpy() * 255), "uint8")
    n_shown = min(MAX_CHARACTERS, len(tokenizer.alphabet))
    embedding = model.embedding.weight.detach()[:n_shown].float().cpu().numpy().astype(np.float16)
    shares = same_kind_shares(embedding, [kind_of(character) for character in tokenizer.alphabet[:n_shown]])
    bits = log.intervals[-1].bits if log.intervals else math.nan
    return WatchedStep(log.n_steps, log.n_chars, bits, completions, arrays.as_json(), embedding, shares)


def attended_text(model: TinyGPT, inputs: FixedInputs) -> str:
    """Return the text of the attention maps: DOCUMENT_START, and as much of the input text as fits MAX_MAP_BYTES."""
    n_heads = model.config.n_layers * model.config.n_heads
    return (DOCUMENT_START + inputs.text)[: max(2, math.isqrt(MAX_MAP_BYTES // n_heads))]


@torch.inference_mode()
def complete(model: TinyGPT, prompts: list[list[int]], n: int) -> list[list[int]]:
    """Return the ids that `model.generate` yields after each prompt, greedily; as one batch, which is faster.

    All prompts have the same length, at most a window.
    """
    cache = model.new_cache()
    ids, chosen = torch.tensor(prompts, device=model.device), list[Tensor]()  # (P, T)
    for _ in range(n):
        logits = model(ids, cache)[:, -1, :-1]  # (P, V - 1): never the unknown id
        ids = logits.argmax(-1, keepdim=True)  # (P, 1)
        chosen.append(ids)
    return torch.cat(chosen, dim=1).tolist() if chosen else [[] for _ in prompts]


@torch.inference_mode()
def attention_weights(model: TinyGPT, ids: list[int]) -> Tensor:
    """Return every head's attention weights on `ids`, at most a window: (L, H, N, N), where queries are rows."""
    weights = list[Tensor]()

    def keep(attn: MultiHeadSelfAttention, arguments: tuple[Any, ...]) -> None:
        x, phases, *_ = arguments  # (1, N, C)
        _, N, C = x.shape  # noqa: N806
        q, k, _ = attn.qkv(x).view(1, N, 3, attn.n_heads, C // attn.n_heads).permute(2, 0, 3, 1, 4)  # (1, H, N, D)
        mask = band_mask(N, N, model.config.window, x.device)
        # With the identity as values, the result of attention is its weights.
        identity = torch.eye(N, dtype=x.dtype, device=x.device)
        weights.append(scaled_dot_product_attention(rotate(q, phases), rotate(k, phases), identity, mask)[0])

    hooks = [block.attn.register_forward_pre_hook(keep) for block in model.decoder_blocks()]
    try:
        model(torch.tensor([ids[: model.config.window]], device=model.device))
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack(weights)
