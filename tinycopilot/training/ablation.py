"""Ablations: train the network without one of its parts, to measure what the part contributes (`train --without`).

An ablated network is trained in float32, measured and discarded. It is never saved, because completion computes all
parts and would produce nonsense with its weights.
"""

import dataclasses
import json
import math
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from rich.console import Console
from torch import Tensor, nn

from tinycopilot import UserError
from tinycopilot.model.attention import Bias
from tinycopilot.model.block import DecoderBlock
from tinycopilot.model.cache import LayerCache
from tinycopilot.model.gpt import GPTConfig, TinyGPT
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.training.batches import BatchLoader, ids_of
from tinycopilot.training.corpus import Corpus, prepare_corpus
from tinycopilot.training.device import choose_device, device_label, thread_tuners
from tinycopilot.training.interrupts import terminations_as_interrupt
from tinycopilot.training.metrics import bits_by_position, evaluation
from tinycopilot.training.observers import ObserverList, TerminalProgress, stderr_console
from tinycopilot.training.schedule import Schedule, Stage
from tinycopilot.training.setup import TrainOptions
from tinycopilot.training.train import EVAL_CHARS, train
from tinycopilot.training.train_config import CONV_WIDTH, SIZES, Size, TrainConfig
from tinycopilot.training.train_state import TrainState

PARTS: Final[Mapping[str, str]] = {
    "causality": "each position also attends to the positions after it",
    "residuals": "attention and feed-forward replace their input instead of adding to it",
    "positions": "attention has no information about the distance between characters",
    "heads": "one head instead of several",
    "warmup": "the learning rates start at their peak",
    "convolution": "no convolutions before attention and feed-forward",
}
"""Name of a part -> what training without it means."""
NOTHING: Final = "nothing"
"""Value of --without that trains the complete network in the same way, for comparison."""
TEACHING: Final = Size(n_layers=4, n_heads=4, d_model=64, window=128)
"""Default size: as many layers and heads as `nano`, with a quarter of its weights."""
BATCH: Final = 8
"""Windows per step."""
EPOCHS: Final = 5.0
"""Default length of a run."""
N_EVALUATIONS: Final = 10
SAMPLE_CHARS: Final = 120
SAVING_FLAGS: Final = (
    "init", "minutes", "resume", "finish", "snapshot", "use_anyway", "model_path", "tokenizer_path", "tensorboard",
    "progress", "watch", "precision",
)  # fmt: skip
"""Flags of `train` that do not fit a short run from random weights that saves nothing."""


class AblatedBlock(nn.Module):
    """A DecoderBlock that is computed without some of its parts."""

    def __init__(self, block: DecoderBlock, without: Collection[str]) -> None:
        super().__init__()
        self.block, self.without = block, frozenset(without)

    def forward(
        self, x: Tensor, phases: tuple[Tensor, Tensor], attn_bias: Bias, cache: LayerCache | None = None
    ) -> Tensor:
        """(B, T, C) -> (B, T, C). Without causality, each of the T new positions sees all of them, and those before."""
        block = self.block
        if "positions" in self.without:
            phases = (torch.ones_like(phases[0]), torch.zeros_like(phases[1]))  # all positions have angle 0
        if "causality" in self.without:
            attn_bias = None
        if "residuals" not in self.without:
            return block(x, phases, attn_bias, cache)
        before_attn, before_ffn = (None, None) if cache is None else cache.convs
        x = block.attn(block.conv1(block.ln1(x), before_attn), phases, attn_bias, cache)
        return block.ffn(block.conv2(block.ln2(x), before_ffn))


def ablated_network(config: GPTConfig, without: Collection[str]) -> TinyGPT:
    """Return a new network without these parts.

    Training starts each block as the identity, with output projections of zero. Without residuals, such a block would
    return zeros, and have no gradients; then these projections start with random values.
    """
    if "heads" in without:
        config = dataclasses.replace(config, n_heads=1)
    if "convolution" in without:
        config = dataclasses.replace(config, conv_width=1)
    model = TinyGPT(config)
    if "residuals" in without:
        for block in model.decoder_blocks():
            for linear in (block.attn.o_proj, block.ffn.down):
                nn.init.normal_(linear.weight, std=0.7 / math.sqrt(linear.in_features))
    model.blocks = nn.ModuleList(AblatedBlock(block, without) for block in model.decoder_blocks())
    return model


def train_config(without: Collection[str], seed: int) -> TrainConfig:
    """Return the hyperparameters of a run without these parts."""
    return TrainConfig(seed=seed, warm_up_steps=0 if "warmup" in without else TrainConfig.warm_up_steps)


def table(result: Mapping[str, Any]) -> str:
    """Return the evaluations and the sample of `train_ablated`, as text for a terminal."""
    lines = [f"{'characters':>12}  {'training':>9}  {'held out':>9}   bits per character"]
    for n_chars, bits in result["held_out"]:
        near = [loss for n, loss in result["training"] if n_chars * 0.9 <= n <= n_chars] or [math.nan]
        lines.append(f"{n_chars:12,}  {sum(near) / len(near):9.3f}  {bits:9.3f}")
    lines.append(f"one character at a time, as in generation: {result['generating_bits']:.3f} bits per character")
    return "\n".join([*lines, "", result["sample"]])


def check_parts(parts: Sequence[str], flags: Mapping[str, Any]) -> None:
    """Raise UserError if parts or other flags of `train` contradict each other."""
    if NOTHING in parts and len(set(parts)) > 1:
        raise UserError(f"--without {NOTHING} trains the unmodified network; don't combine it with other parts")
    if unfit := [f"--{name}" for name in SAVING_FLAGS if flags.get(name) not in (None, False)]:
        raise UserError(f"--without trains a short run and saves nothing; leave out {', '.join(unfit)}")


def run_ablation(options: TrainOptions, parts: Sequence[str], *, as_json: bool, answer: Callable[[str], None]) -> None:
    """The `train --without` command, after `check_parts`: train, measure, print a table or JSON. Raises UserError."""
    without = sorted(set(parts) - {NOTHING}, key=list(PARTS).index)
    device, flags = choose_device(options.device), options.flags()
    console = stderr_console()
    for part in without:
        console.print(f"without {part}: {PARTS[part]}")
    with terminations_as_interrupt(), tempfile.TemporaryDirectory(prefix="tinycopilot-") as folder:
        corpus = prepare_corpus(flags["corpus"], Path(folder) / "corpus", flags["ext"])
        for line in corpus.left_out:
            console.print(line)
        size = SIZES[options.size] if options.size else TEACHING
        result = train_ablated(corpus, without, size, options.epochs or EPOCHS, flags["seed"], device, console)
    console.print(f"trained in {result['seconds']:.0f} s, and measured; the network is not saved")
    answer(json.dumps(result) if as_json else table(result))


def train_ablated(
    corpus: Corpus, without: Sequence[str], size: Size, epochs: float, seed: int, device: torch.device, console: Console
) -> dict[str, Any]:
    """Train a network of this size without these parts; return its measurements.

    Characters are counted over all epochs; bits are per character. Raises UserError for too little text.
    """
    tokenizer = SimpleTokenizer.of_common(corpus.train.counts())
    shape = GPTConfig(tokenizer.vocab_size, **size.shape(), conv_width=CONV_WIDTH)
    if len(corpus.train) <= shape.window:
        raise UserError(f"the corpus has {len(corpus.train)} characters; more than {shape.window} are needed")
    schedule = Schedule.over(epochs * len(corpus.train), (Stage(BATCH, shape.window),))
    torch.manual_seed(seed)
    state = TrainState(ablated_network(shape, without).to(device), train_config(without, seed))
    held_out = ids_of(corpus.held_out, tokenizer, EVAL_CHARS)
    n_parameters = state.model.config.n_parameters
    console.print(
        f"{corpus.label}: {len(corpus.train):,} characters to learn from, {len(held_out):,} held out; "
        f"{n_parameters / 1e6:.1f} M parameters on {device_label(device)}; {schedule.n_steps:,} steps"
    )
    evaluate = partial(evaluation, tokenizer=tokenizer, held_out=held_out, n_chars=SAMPLE_CHARS)
    eval_steps = {max(1, schedule.n_steps * i // N_EVALUATIONS) for i in range(1, N_EVALUATIONS + 1)}
    with TerminalProgress(console, schedule.n_chars) as progress:
        loader = BatchLoader(corpus.train, tokenizer, device, seed)
        train(state, schedule, loader, evaluate, eval_steps, ObserverList([progress, *thread_tuners(device)]))
    log, model = state.log, state.result()
    best = min(log.evaluations, key=lambda evaluation: evaluation.bits)
    return {
        "without": list(without),
        "corpus": corpus.label,
        "n_parameters": n_parameters,
        "n_steps": log.n_steps,
        "seconds": round(log.seconds, 1),
        "training": [[interval.chars, round(interval.bits, 4)] for interval in log.intervals],
        "held_out": [[evaluation.chars, round(evaluation.bits, 4)] for evaluation in log.evaluations],
        "held_out_bits": round(best.bits, 4),
        # Of the same weights on the same text, read one character at a time, so that no later one is visible.
        "generating_bits": round(bits_by_position(model, held_out, chunk=1)[1].mean().item(), 4),
        "sample": best.sample,
        "events": log.events,
    }
