"""TinyGPT: the network. Which character comes next, given those before it."""

import dataclasses
import math
import reprlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tinycopilot.model.attention import band_mask, rotary_phases
from tinycopilot.model.block import DecoderBlock
from tinycopilot.model.cache import SPARE, KVCache
from tinycopilot.model.storage import ModelFileError, load_data, require_file, save_atomically
from tinycopilot.model.tokenizer import SimpleTokenizer

MAX_PARAMETERS = 100_000_000
"""Ten times the largest size that is trained here; a file can claim any number."""
MAX_MODEL_BYTES = 4 * MAX_PARAMETERS + 16_000_000
MAX_OF = {"n_layers": 1_000, "window": 4_096}
"""Of what takes memory or time beyond the parameters: the cache and the mask of attention grow with the window."""
COLD = 1e-4
"""Below this temperature the likeliest is taken: what is drawn would be that, and nothing can be divided by 0."""


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a TinyGPT; stored in its file, never guessed from weights. Raises ValueError where it cannot be."""

    vocab_size: int
    """V: the characters and the unknown id, which is the last."""
    n_layers: int = 4
    n_heads: int = 4
    """H; each head is d_model / n_heads wide, an even number."""
    d_model: int = 128
    """C: the width of the residual stream."""
    window: int = 256
    """W: how many positions one position sees, itself included."""
    conv_width: int = 1
    """K: over how many positions, the own one included, each ShortConvolution goes; 1 means that there are none."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            most = MAX_OF.get(field.name, 1_000_000)
            if type(value) is not int or not 1 <= value <= most:
                raise ValueError(f"{field.name} must be a whole number from 1 to {most:,}, not {reprlib.repr(value)}")
        if self.d_model % (2 * self.n_heads):
            raise ValueError(f"d_model ({self.d_model}) must be a multiple of twice n_heads ({self.n_heads})")
        if self.n_parameters > MAX_PARAMETERS:
            raise ValueError(f"{self.n_parameters:,} parameters are too many")
        if self.n_cached > MAX_PARAMETERS:
            raise ValueError(f"{self.n_cached:,} numbers in its cache are too many")

    @property
    def d_head(self) -> int:
        """D: the width of one head."""
        return self.d_model // self.n_heads

    @property
    def n_parameters(self) -> int:
        """How many numbers the network consists of."""
        block = 12 * self.d_model**2  # qkv 3, o_proj 1, up 4, down 4
        block += 2 * self.d_model * (2 + self.conv_width - 1)  # two LayerNorms, two convolutions
        return self.n_layers * block + 2 * self.vocab_size * self.d_model + 2 * self.d_model

    @property
    def n_cached(self) -> int:
        """How many numbers a KVCache of it holds, about: keys, values, and what goes into the convolutions."""
        n_rows = 2 * self.window + SPARE
        return self.n_layers * self.d_model * n_rows * (4 if self.conv_width > 1 else 2)

    @property
    def reach(self) -> int:
        """How many characters one prediction can depend on: each layer looks so many positions further back."""
        return self.n_layers * (self.window - 1 + 2 * (self.conv_width - 1)) + 1


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

    def _attn_bias(self, T: int, S: int, x: Tensor) -> Tensor | None:  # noqa: N803
        """(T, S): 0 where a position may look, -inf elsewhere, in attention's own type; None if it sees all."""
        if T == 1:
            return None
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
        path = Path(path)
        data = _load_model_data(path, tokenizer, shapes_only=True)
        try:
            config = GPTConfig(**data["config"])
        except TypeError:
            raise ModelFileError(f"{path}: not a model that can be built: it has another config") from None
        except ValueError as error:
            raise ModelFileError(f"{path}: not a model that can be built: {error}") from None
        if config.vocab_size != tokenizer.vocab_size:
            raise ModelFileError(f"{path}: the model has {config.vocab_size} ids, its tokenizer {tokenizer.vocab_size}")
        weights = data["weights"].values()
        n_stored = sum(w.numel() for w in weights if isinstance(w, Tensor) and _takes_its_own_memory(w))
        if n_stored != config.n_parameters:
            raise ModelFileError(f"{path}: damaged: {n_stored:,} weights, where its shape has {config.n_parameters:,}")
        if 4 * config.n_parameters > path.stat().st_size:  # tensors can share what is stored
            raise ModelFileError(f"{path}: damaged: too short for {config.n_parameters:,} weights")
        model = cls(config)  # takes no more memory than there is file
        expected = model.state_dict()
        _check_shapes(path, data["weights"], expected)
        weights = _load_model_data(path, tokenizer)["weights"]
        _check_shapes(path, weights, expected)  # it may be another file by now
        _check_numbers(path, weights)
        model.load_state_dict(weights, assign=True)
        return model.requires_grad_(False).eval()


def _load_model_data(path: Path, tokenizer: SimpleTokenizer, *, shapes_only: bool = False) -> dict[str, Any]:
    """What the file holds, if it is of this tokenizer. Raises ModelFileError."""
    required = {"config": dict, "tokenizer_digest": str, "weights": dict}
    data = load_data(path, "model", required, max_bytes=MAX_MODEL_BYTES, shapes_only=shapes_only)
    if data["tokenizer_digest"] != tokenizer.digest:
        raise ModelFileError(
            f"{path}: the tokenizer does not match this model; give both files of one training run "
            "(--model_path and --tokenizer_path)"
        )
    return data


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


def _takes_its_own_memory(weight: Tensor) -> bool:
    """Whether each of its numbers is stored: a view can claim any number of them, a sparse tensor too."""
    return weight.layout == torch.strided and weight.is_contiguous()


def _check_shapes(path: Path, weights: dict[str, Any], expected: dict[str, Tensor]) -> None:
    """That `weights` are those that `expected` states, in float32. Raises ModelFileError."""
    if missing := expected.keys() ^ weights.keys():
        some = ", ".join(sorted(reprlib.repr(name).strip("'") for name in missing)[:3])
        raise ModelFileError(f"{path}: damaged: these weights are missing or foreign: {some}")
    for name, like in expected.items():
        weight = weights[name]
        if not isinstance(weight, Tensor) or weight.shape != like.shape or weight.dtype != torch.float32:
            raise ModelFileError(f"{path}: damaged: {name} is not float32 of shape {tuple(like.shape)}")


def _check_numbers(path: Path, weights: dict[str, Tensor]) -> None:
    """That all are finite. Raises ModelFileError."""
    for name, weight in weights.items():
        if not weight.isfinite().all():
            raise ModelFileError(f"{path}: damaged: {name} holds values that are not numbers; train again")
