"""TinyGPT: the network, from character ids to logits of the next character."""

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
from tinycopilot.model.config import GPTConfig as GPTConfig  # also imported from here
from tinycopilot.model.storage import require_file
from tinycopilot.model.storage.weights import read_weights
from tinycopilot.model.storage.writing import as_tensors, save_atomically
from tinycopilot.model.tokenizer import SimpleTokenizer


class TinyGPT(nn.Module):
    """A decoder-only Transformer over characters: pre-LayerNorm, rotary positions, short convolutions, GELU."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.blocks = nn.ModuleList(
            DecoderBlock(config.d_model, config.n_heads, config.d_ff, config.conv_width) for _ in range(config.n_layers)
        )
        self.ln = nn.LayerNorm(config.d_model)
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self._initialize()

    def _initialize(self) -> None:
        """Start each block as the identity, and all characters as equally likely: output projections are zero."""
        nn.init.normal_(self.embedding.weight, std=0.02)
        nn.init.zeros_(self.head.weight)
        for block in self.decoder_blocks():
            for linear in (block.attn.qkv, block.ffn.up):
                nn.init.normal_(linear.weight, std=self.config.init_std)
            nn.init.zeros_(block.attn.o_proj.weight)
            nn.init.zeros_(block.ffn.down.weight)

    def decoder_blocks(self) -> Iterator[DecoderBlock]:
        """Yield the blocks, first to last."""
        yield from self.blocks  # type: ignore[misc]  # a ModuleList is untyped

    def forward(self, ids: Tensor, cache: KVCache | None = None) -> Tensor:
        """Ids (B, T) -> logits (B, T, V) of the character after each. With a cache, `ids` continue what it has read."""
        T = ids.size(1)  # noqa: N806
        n_read = 0 if cache is None else cache.advance(T)
        S = min(n_read, self.config.window - 1) + T  # noqa: N806
        x = self.embedding(ids)  # (B, T, C)
        cos, sin = rotary_phases(n_read, T, self.config.d_head)
        phases = (cos.to(x), sin.to(x))  # (T, D) each, of x's dtype and device
        attn_bias = self._attn_bias(T, S, x)
        for i, block in enumerate(self.decoder_blocks()):
            x = block(x, phases, attn_bias, None if cache is None else cache.layers[i])  # (B, T, C)
        return self.head(self.ln(x))  # (B, T, V)

    def _attn_bias(self, T: int, S: int, x: Tensor) -> Bias:  # noqa: N803
        """Return the attention bias, (T, S), of the last T of S positions, in the dtype that attention uses."""
        if T == 1:
            return None
        dtype = x.dtype
        if torch.is_autocast_enabled(x.device.type):
            dtype = torch.get_autocast_dtype(x.device.type)
        is_slow_when_fused = x.device.type == "cpu" and dtype == torch.bfloat16  # figures in benchmarks/LOG.md
        if T == S <= self.config.window and not is_slow_when_fused:  # T and S are so in training
            return CAUSAL
        mask = band_mask(T, S, self.config.window, x.device)
        return torch.zeros(T, S, dtype=dtype, device=x.device).masked_fill(~mask, -math.inf)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.embedding.weight.device

    def new_cache(self) -> KVCache:
        """Return an empty cache, for a batch of any size."""
        return KVCache(self.config)

    @torch.inference_mode()
    def prefill(self, ids: list[int], cache: KVCache) -> Tensor:
        """Read `ids` (at least one), at most a window at a time; return the logits after each, (len(ids), V)."""
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
        """Yield the ids that follow `ids`, without end; closing the iterator stops it.

        Temperature 0 is greedy; otherwise each id is sampled from softmax(logits / temperature), among the `top_k` most
        likely if given. The unknown id (the last) is never chosen.
        """
        cache = self.new_cache()
        logits = self.prefill(ids[self.config.context_start(len(ids)) :], cache)[-1]
        while True:
            chosen = _sample(logits[:-1].float().cpu(), temperature, top_k, generator)
            yield chosen
            logits = self.prefill([chosen], cache)[-1]

    def save(self, path: Path | str, tokenizer: SimpleTokenizer, training: dict[str, Any] | None = None) -> None:
        """Write config, weights, tokenizer digest and `training` (provenance), atomically. Raises OSError."""
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
        """Return the network that `save` wrote, in eval mode. Raises ModelFileError."""
        config, weights = read_weights(Path(path), tokenizer)
        model = cls(config)
        model.load_state_dict(as_tensors(weights))
        return model.requires_grad_(False).eval()


def load_pair(model_path: Path, tokenizer_path: Path) -> tuple[TinyGPT, SimpleTokenizer]:
    """Return a network and its tokenizer, in eval mode. Raises ModelFileError."""
    require_file(model_path, "model")
    tokenizer = SimpleTokenizer.load(tokenizer_path)
    return TinyGPT.load(model_path, tokenizer), tokenizer


def _sample(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator | None) -> int:
    """Sample one id from logits, (V - 1,); see `generate`."""
    if temperature < COLD:
        return int(logits.argmax())
    if top_k is not None and top_k < len(logits):
        logits = logits.masked_fill(logits < logits.topk(top_k).values[-1], -math.inf)
    return int(torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator))
