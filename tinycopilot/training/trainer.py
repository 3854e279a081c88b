"""The whole training loop, in view at once."""

import math
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from tinycopilot import UserError
from tinycopilot.model.gpt import GPTConfig, TinyGPT
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer
from tinycopilot.training.batches import batches_per_epoch, epoch_batches, join_documents
from tinycopilot.training.corpus import Corpus, CorpusError
from tinycopilot.training.optim import has_fast_bfloat16, make_optimizers, set_schedule


@dataclass(frozen=True)
class TrainConfig:
    """What one training run depends on, besides its corpus and its device."""

    epochs: int = 20
    """How often the whole corpus is read."""
    batch: int = 16
    """Windows in one step."""
    window: int = 256
    """Characters that one prediction looks back on, directly."""
    n_layers: int = 4
    n_heads: int = 4
    d_model: int = 128
    muon_rate: float = 0.02
    adam_rate: float = 3e-3
    clip_norm: float = 1.0
    """Longer gradients are shortened to this."""
    seed: int = 0
    n_looks: int = 5
    """How many times in a run, the end included, the held-out text is measured and a sample written."""


@dataclass
class TrainLog:
    """What happened: bits per character on the held-out text after so many steps, and what it took."""

    held_out_bits: list[tuple[int, float]] = field(default_factory=list)
    best_step: int = 0
    """After this many steps the held-out text was predicted best: these weights are the result."""
    n_steps: int = 0
    n_chars: int = 0
    seconds: float = 0.0

    @property
    def best_bits(self) -> float:
        """Bits per character on the held-out text, of the weights that are the result."""
        return min(bits for _, bits in self.held_out_bits)

    @property
    def chars_per_second(self) -> float:
        """Throughput of the training steps alone."""
        return self.n_chars / self.seconds if self.seconds else 0.0


class Observer(Protocol):
    """Who watches a run: the terminal's progress bar, or nobody."""

    def begin(self, n_steps: int) -> None:
        """The run has `n_steps` steps to go."""

    def step(self, loss: Tensor, n_chars: int) -> None:
        """One step is done, on `n_chars` characters; `loss` is in nats per character."""

    def look(self, step: int, held_out_bits: float, sample: str) -> None:
        """The held-out text was measured after `step` steps, and the network wrote `sample`."""


def choose_device(name: str) -> torch.device:
    """`auto` takes a GPU where there is one. Raises UserError for a device that is not there."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, there in available.items() if there)
    if not available.get(name):
        raise UserError(f"there is no device {name!r} that PyTorch can use here; take --device cpu, or --device auto")
    return torch.device(name)


def train(
    corpus: Corpus, tokenizer: SimpleTokenizer, config: TrainConfig, device: torch.device, observer: Observer
) -> tuple[TinyGPT, TrainLog]:
    """A network that has read `corpus`, and the log. With one thread, the same seed gives the same weights.

    The weights are those of the look at which the held-out text was predicted best: a small corpus, read often, is
    learned by heart in the end, and that makes all other text less likely again.
    Raises CorpusError for a corpus that is too short for one window.
    """
    ids = join_documents(tokenizer, corpus.train)
    held_out = join_documents(tokenizer, corpus.held_out)
    if len(ids) <= config.window:
        raise CorpusError(
            f"the corpus leaves {corpus.train_chars} characters to learn from, fewer than one window "
            f"of {config.window}; add more text"
        )
    torch.manual_seed(config.seed)
    shape = GPTConfig(tokenizer.vocab_size, config.n_layers, config.n_heads, config.d_model, config.window)
    model = TinyGPT(shape).to(device).train()
    optimizers = make_optimizers(model, muon_rate=config.muon_rate, adam_rate=config.adam_rate)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bfloat16(device))
    n_steps = config.epochs * batches_per_epoch(len(ids), config.batch, config.window)
    looks = {n_steps * i // config.n_looks for i in range(1, config.n_looks + 1)}
    log, best = TrainLog(), dict[str, Any]()
    observer.begin(n_steps)
    since = time.perf_counter()

    for epoch in range(config.epochs):
        for inputs, targets in epoch_batches(ids, config.batch, config.window, seed=config.seed, epoch=epoch):
            set_schedule(optimizers, log.n_steps, n_steps)
            with autocast:
                logits = model(inputs.to(device))  # (B, T, V)
            loss = F.cross_entropy(logits.float().flatten(0, 1), targets.to(device).flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            log.n_steps += 1
            log.n_chars += inputs.numel()
            observer.step(loss.detach(), inputs.numel())
            if log.n_steps in looks:
                loss.item()  # waits for a GPU: what is still to be computed is training time
                log.seconds += time.perf_counter() - since
                bits = bits_per_char(model, held_out)
                if not math.isfinite(bits):
                    raise UserError(
                        f"after {log.n_steps} steps the network predicts no numbers any more; try another --seed"
                    )
                log.held_out_bits.append((log.n_steps, bits))
                if bits == log.best_bits:
                    log.best_step = log.n_steps
                    best = {name: weight.clone() for name, weight in model.state_dict().items()}
                observer.look(log.n_steps, bits, write_sample(model, tokenizer))
                since = time.perf_counter()

    model.load_state_dict(best)
    return model.requires_grad_(False).eval(), log


@torch.inference_mode()
def bits_per_char(model: TinyGPT, ids: Tensor, streams: int = 32) -> float:
    """Mean of -log2 p(next character) over `ids`, (N,), read as the product reads: one window that slides for ever.

    The text is cut into `streams` pieces that are read side by side, each through a cache of its own.
    """
    window = model.config.window
    streams = max(1, min(streams, (len(ids) - 1) // (4 * window)))
    n = (len(ids) - 1) // streams
    inputs = ids[: streams * n].view(streams, n).long().to(model.device)
    targets = ids[1 : streams * n + 1].view(streams, n).long().to(model.device)
    cache = model.new_cache(batch=streams)
    nats = 0.0
    for i in range(0, n, window):
        logits = model(inputs[:, i : i + window], cache)  # (streams, T, V)
        nats += F.cross_entropy(logits.flatten(0, 1), targets[:, i : i + window].flatten(), reduction="sum").item()
    return nats / (streams * n) / math.log(2)


def write_sample(model: TinyGPT, tokenizer: SimpleTokenizer, prompt: str = "def ", n_chars: int = 160) -> str:
    """What the network writes after `prompt`, always with the same dice: so that samples of one run can be compared."""
    dice = torch.Generator().manual_seed(0)
    generated = model.generate(tokenizer.encode(DOCUMENT_START + prompt), temperature=0.6, generator=dice)
    return prompt + tokenizer.decode(next(generated) for _ in range(n_chars))
