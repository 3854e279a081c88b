"""The command `train`, from the corpus's name to the closing line."""

import platform
import shlex
from collections.abc import Sequence
from typing import Any

import torch
from rich.console import Console

from tinycopilot import __version__, places
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.places import ModelPaths
from tinycopilot.training.checkpoint import Replaced, check_writable, compare, save_pair
from tinycopilot.training.corpus import Corpus, corpus_label, load_corpus
from tinycopilot.training.progress import TerminalProgress
from tinycopilot.training.trainer import TrainConfig, TrainLog, choose_device, train


def run_training(
    corpus_names: Sequence[str] | None,
    config: TrainConfig,
    *,
    device_name: str = "auto",
    model_path: str | None = None,
    tokenizer_path: str | None = None,
) -> ModelPaths:
    """Train, save, compare, and say so; returns where the model is. Raises UserError."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    device = choose_device(device_name)
    names = list(corpus_names or [str(places.shipped("corpus.txt"))])
    corpus = load_corpus(names)
    paths = places.to_save(model_path, tokenizer_path)
    check_writable(paths)
    in_use = places.to_load()  # what an editor or `generate` would take, were it not for this run
    for reason in corpus.skipped:
        console.print(f"left out: {reason}", markup=False)
    console.print(
        f"{corpus_label(names)}: {corpus.train_chars:,} characters to learn from, {corpus.held_out_chars:,} held out; "
        f"{config.epochs} epochs on {_device_label(device)}",
        markup=False,
    )
    tokenizer = SimpleTokenizer.train(corpus.train)
    try:
        with TerminalProgress(console) as progress:
            model, log = train(corpus, tokenizer, config, device, progress)
    except KeyboardInterrupt:
        console.print("stopped before the end: no model was saved, and none was changed")
        raise
    kept = save_pair(paths, model, tokenizer, _provenance(names, config, device, corpus, log))
    console.print("\n".join(_closing(paths, log)), markup=False)
    if kept:
        console.print(_way_back(paths, compare(kept, corpus)), markup=False)
    elif places.to_load() != in_use and in_use.exist():
        console.print(_way_out(paths, compare(in_use, corpus)), markup=False)
    return paths


def _device_label(device: torch.device) -> str:
    if device.type == "cuda":
        return f"the GPU ({torch.cuda.get_device_name(device)})"
    return "the GPU" if device.type == "mps" else f"the CPU ({torch.get_num_threads()} threads)"


def _provenance(
    names: list[str], config: TrainConfig, device: torch.device, corpus: Corpus, log: TrainLog
) -> dict[str, Any]:
    """How the model came about, stored with it: plain values, and no path of the user's."""
    return {
        "corpus": corpus_label(names),
        "corpus_sha256": corpus.digest,
        "train_chars": corpus.train_chars,
        "held_out_chars": corpus.held_out_chars,
        "held_out_bits": log.best_bits,
        "epochs": config.epochs,
        "seed": config.seed,
        "steps": log.n_steps,
        "best_step": log.best_step,
        "seconds": round(log.seconds, 1),
        "device": device.type,
        "tinycopilot": __version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }


def _closing(paths: ModelPaths, log: TrainLog) -> list[str]:
    """The figure, and where the model is."""
    lines = [
        f"trained in {log.seconds:.0f} s ({log.chars_per_second:,.0f} characters/s): "
        f"{log.best_bits:.3f} bits per character on held-out text",
        f"saved: {paths.model} and {paths.tokenizer}",
    ]
    if log.best_step < log.n_steps:
        lines.insert(
            1, f"the weights are those after step {log.best_step:,}: from there on it learned its text by heart"
        )
    return lines


def _way_back(paths: ModelPaths, replaced: Replaced) -> str:
    """The closing line: how the model that was replaced compares, and the command that brings it back."""
    bits, kept = replaced.held_out_bits, replaced.paths
    before = "could not be read" if bits is None else f"has {bits:.3f} on the same text"
    moves = [
        (then, now) for then, now in ((kept.model, paths.model), (kept.tokenizer, paths.tokenizer)) if then.exists()
    ]
    commands = " && ".join(shlex.join(["mv", str(then), str(now)]) for then, now in moves)
    return f"the model before {before} and is kept; to go back: {commands}"


def _way_out(paths: ModelPaths, other: Replaced) -> str:
    """The closing line where nothing was replaced, but another model, such as the one that ships, served until now."""
    bits = "could not be read" if other.held_out_bits is None else f"has {other.held_out_bits:.3f} on the same text"
    return (
        f"until now {other.paths.model} was used, which {bits}; to go back, delete {paths.model} and {paths.tokenizer}"
    )
