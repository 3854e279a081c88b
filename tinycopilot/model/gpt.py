"""TinyGPT: the network. Which character comes next, given those before it."""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tinycopilot.model.attention import CAUSAL, Bias, band_mask, rotary_phases
from tinycopilot.model.block import DecoderBlock
from tinycopilot.model.cache import KVCache
from tinycopilot.model.config import COLD
from tinycopilot.model.config import GPTConfig as GPTConfig  # and so it can be imported from here
from tinycopilot.model.storage import require_file
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.model.weights import read_weights
from tinycopilot.model.writing import as_tensors, save_atomically


class TinyGPT(nn.Module):
    """A decoder-only Transformer over characters: pre-LayerNorm, rotary positions, short convolutions, GELU."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.blocks = nn.ModuleList(
            DecoderBlock(config.d_model, config.n_heads, 4 * config.d_model, config.conv_width)
            for _ in range(config.n_layers)
        )
        self.ln = nn.LayerNorm(config.d_model)
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self._initialise()

    def _initialise(self) -> None:
        """Every block starts as the identity, every character as equally likely: what writes to the stream is zero."""
        nn.init.normal_(self.embedding.weight, std=0.02)
        nn.init.zeros_(self.head.weight)
        for block in self.decoder_blocks():
            for linear in (block.attn.qkv, block.ffn.up):
                nn.init.normal_(linear.weight, std=0.7 / math.sqrt(self.config.d_model))
            nn.init.zeros_(block.attn.o_proj.weight)
            nn.init.zeros_(block.ffn.down.weight)

    def decoder_blocks(self) -> Iterator[DecoderBlock]:
        """The blocks, from the first to the last."""
        yield from self.blocks  # type: ignore[misc]  # (a ModuleList does not know what it holds)

    def forward(self, ids: Tensor, cache: KVCache | None = None) -> Tensor:
        """Ids (B, T) -> logits (B, T, V) of the character after each; with a cache, `ids` go on from what it read."""
        T = ids.size(1)  # noqa: N806
        S = T  # noqa: N806
        if cache is not None:
            cache.make_room(T)
            first, end = cache.visible(T)
            S = end - first  # noqa: N806
        x = self.embedding(ids)  # (B, T, C)
        position = 0 if cache is None else cache.length
        cos, sin = rotary_phases(position, T, self.config.d_head)
        phases = (cos.to(x), sin.to(x))  # to x's type and device
        attn_bias = self._attn_bias(T, S, x)
        for i, block in enumerate(self.decoder_blocks()):
            x = block(x, phases, attn_bias, None if cache is None else cache.layers[i])
        if cache is not None:
            cache.advance(T)
        return self.head(self.ln(x))

    def _attn_bias(self, T: int, S: int, x: Tensor) -> Bias:  # noqa: N803
        """Which of S positions each of the last T attends to, in attention's own type."""
        if T == 1:
            return None
        if T == S <= self.config.window:  # in training, always
            return CAUSAL
        dtype = x.dtype
        if torch.is_autocast_enabled(x.device.type):
            dtype = torch.get_autocast_dtype(x.device.type)
        mask = band_mask(T, S, self.config.window, x.device)
        return torch.zeros(T, S, dtype=dtype, device=x.device).masked_fill(~mask, -math.inf)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embedding.weight.device

    def new_cache(self, batch: int = 1) -> KVCache:
        """An empty cache of this network's shape, type and device."""
        c = self.config
        weight = self.embedding.weight
        return KVCache(
            n_layers=c.n_layers, n_heads=c.n_heads, d_head=c.d_head, window=c.window, conv_width=c.conv_width,
            batch=batch, dtype=weight.dtype, device=weight.device,
        )  # fmt: skip

    @torch.inference_mode()
    def prefill(self, ids: list[int], cache: KVCache) -> Tensor:
        """Read `ids`, at least one, in pieces of at most a window; return the logits after each, (len(ids), V)."""
        window = self.config.window
        pieces = (torch.tensor([ids[i : i + window]], device=self.device) for i in range(0, len(ids), window))
        return torch.cat([self(piece, cache)[0] for piece in pieces])

    @torch.inference_mode()
    def generate(
        self,
        ids: list[int],
        *,
        temperature: float = 0.0,
        top_k: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Iterator[int]:
        """The ids that follow `ids`, for as long as the caller asks: closing the iterator ends it.

        The unknown id (the last) is never chosen. Temperature 0 takes the likeliest; else each is drawn from
        softmax(logits / temperature), from the `top_k` likeliest if given.
        """
        cache = self.new_cache()
        logits = self.prefill(ids[-self.config.reach :], cache)[-1]
        while True:
            chosen = _sample(logits[:-1].float().cpu(), temperature, top_k, generator)
            yield chosen
            logits = self.prefill([chosen], cache)[-1]

    def save(self, path: Path | str, tokenizer: SimpleTokenizer, training: dict[str, Any] | None = None) -> None:
        """Write config, weights, the tokenizer's digest, and how they came about, atomically. Raises OSError."""
        contents = {
            "kind": "model",
            "config": dataclasses.asdict(self.config),
            "tokenizer_digest": tokenizer.digest,
            "training": training or {},
            "weights": {name: weight.detach().cpu() for name, weight in self.state_dict().items()},
        }
        save_atomically(contents, Path(path))

    @classmethod
    def load(cls, path: Path | str, tokenizer: SimpleTokenizer) -> "TinyGPT":
        """Read what `save` wrote, ready to use. Checked before any memory is taken for it. Raises ModelFileError."""
        config, weights = read_weights(Path(path), tokenizer)
        model = cls(config)
        model.load_state_dict(as_tensors(weights))
        return model.requires_grad_(False).eval()


def load_pair(model_path: Path, tokenizer_path: Path) -> tuple[TinyGPT, SimpleTokenizer]:
    """A network and its tokenizer, ready to use. Raises ModelFileError; where both are missing, for the model."""
    require_file(model_path, "model")
    tokenizer = SimpleTokenizer.load(tokenizer_path)
    return TinyGPT.load(model_path, tokenizer), tokenizer


def _sample(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator | None) -> int:
    """One id from logits, (V - 1,), as `generate` says."""
    if temperature < COLD:
        return int(logits.argmax())
    if top_k is not None and top_k < len(logits):
        logits = logits.masked_fill(logits < logits.topk(top_k).values[-1], -math.inf)
    return int(torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator))
