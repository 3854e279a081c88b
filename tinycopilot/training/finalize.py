"""From a run to a model: measure the network, compare it with the model in use, save it, write the report.

`save_snapshot` saves the network of an unfinished run.
"""

import contextlib
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tinycopilot import UserError, __version__
from tinycopilot.model.gpt import TinyGPT
from tinycopilot.page_file import check_replaceable, write_page
from tinycopilot.paths import ModelPaths, model_to_save, move_command, unused_paths, user_model
from tinycopilot.training.batches import ids_of
from tinycopilot.training.checkpoint import ELSEWHERE, ELSEWHERE_CHARS, Run, can_resume, load_run, run_folder
from tinycopilot.training.corpus import open_corpus
from tinycopilot.training.device import share_of_peak
from tinycopilot.training.log import TrainLog
from tinycopilot.training.metrics import bits_by_position, bits_per_char, hardest_characters
from tinycopilot.training.promotion import Bits, comparable_bits, compare, find_current_model, reference_bits
from tinycopilot.training.report.page import page
from tinycopilot.training.saving import check_overwritable, save_pair
from tinycopilot.training.train_state import TrainState


def finalize(
    state: TrainState,
    run: Run,
    command: str,
    paths: ModelPaths,
    say: Callable[[str], None],
    finish: Callable[[], None],
    *,
    use_anyway: bool = False,
) -> ModelPaths:
    """Measure, compare with the model in use, save, `finish` the run, write the report, and print the results.

    The new model is saved at `paths`, unless it is worse than the model in use (promotion.py) and not `use_anyway`;
    then it is saved next to it, under the first free number. Returns its files.
    """
    model, log = state.result(), state.log
    targets, bits = bits_by_position(model, ids_of(run.corpus.held_out, run.tokenizer))
    log.held_out_bits = bits.mean().item()
    log.hardest = hardest_characters(run.tokenizer, targets, bits)
    facts = run.facts | _after(model, run) | provenance(run, log, model.device, state.dist.world_size)
    for_all = paths == user_model()
    new = Bits(comparable_bits(targets, bits, run.tokenizer), reference_bits(model, run.tokenizer) if for_all else None)
    current = find_current_model(paths)
    is_worse, comparison = compare(new, *current, run.corpus.held_out) if current else (False, "")
    saved = unused_paths(paths) if is_worse and not use_anyway else paths
    kept = save_pair(saved, model, run.tokenizer, facts)
    finish()
    for line in _closing(saved, log, facts):
        say(line)
    if comparison:
        say(comparison)
        say(_verdict(paths, saved, kept, is_worse=is_worse))
    try:
        say(f"training report: {_draw(saved, kept, log, facts, command)}")
    except UserError as error:
        say(f"no training report: {error}")  # the model is saved, which matters more
    return saved


def _verdict(paths: ModelPaths, saved: ModelPaths, kept: ModelPaths | None, *, is_worse: bool) -> str:
    """Return a line: which model is in use now, and the command that switches to the other one."""
    if saved != paths:
        moves = [(paths, unused_paths(paths)), (saved, paths)]
        return (
            f"NOT IN USE: it is worse than the model in use. To use it anyway, train with --use-anyway, "
            f"or run: {move_command(*moves)}"
        )
    anyway = ", although it is worse" * is_worse
    if kept:
        return f"in use now{anyway}; the previous model is kept; to go back: {move_command((kept, paths))}"
    return f"in use now{anyway}; to go back: {move_command((paths, unused_paths(paths)))}"


def _after(model: TinyGPT, run: Run) -> dict[str, float]:
    """Return bits per character on other text, after fine-tuning; empty if that is not measured."""
    if "elsewhere_before" not in run.facts:
        return {}
    text = open_corpus(run.corpus.train.path.parent / ELSEWHERE).held_out
    return {"elsewhere_bits": bits_per_char(model, ids_of(text, run.tokenizer, ELSEWHERE_CHARS))}


def provenance(run: Run, log: TrainLog, device: torch.device, world_size: int = 1) -> dict[str, Any]:
    """Return the provenance that is stored in the model file: plain values, without paths of the user."""
    return {
        "corpus": run.corpus.label,
        "corpus_sha256": run.corpus.digest,
        "train_chars": len(run.corpus.train),
        "held_out_chars": len(run.corpus.held_out),
        "held_out_bits": log.held_out_bits,
        "size": run.flags["size"],
        "parameters": run.shape.n_parameters,
        "epochs": run.flags["epochs"],
        "minutes": run.flags["minutes"],
        "seed": run.config.seed,
        "steps": log.n_steps,
        "chars": log.n_chars,
        "best_step": log.best_step,
        "seconds": round(log.seconds, 1),
        "chars_per_second": round(log.chars_per_second),
        "share_of_peak": share_of_peak(run.shape, run.schedule, log.seconds, device, world_size),
        "device": device.type,
        "precision": "bfloat16" if run.config.bfloat16 else "float32",
        "threads": torch.get_num_threads(),
        "processes": world_size,
        "tinycopilot": __version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }


def _closing(paths: ModelPaths, log: TrainLog, facts: dict[str, Any]) -> list[str]:
    """Return the lines with results and the paths of the model."""
    lines = [
        f"trained in {log.seconds:.0f} s ({log.chars_per_second:,.0f} characters/s): "
        f"{log.held_out_bits:.3f} bits per character on held-out text"
    ]
    if facts["share_of_peak"]:
        lines.append(f"{facts['share_of_peak']:.1%} of the peak bfloat16 throughput of the GPU")
    if log.best_step < log.n_steps:
        lines.append(f"the weights are those of the best evaluation, at step {log.best_step:,}; later steps overfitted")
    if "held_out_before" in facts:
        line = f"on held-out text from this corpus: {facts['held_out_before']:.3f} before, {log.held_out_bits:.3f} now"
        if "elsewhere_before" in facts:
            line += (
                f"; on text from elsewhere (the standard library): {facts['elsewhere_before']:.3f} before, "
                f"{facts['elsewhere_bits']:.3f} now"
            )
        lines.append(line)
    return [*lines, f"saved: {paths.model} and {paths.tokenizer}"]


def _as_shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)


def _report_of(paths: ModelPaths) -> Path:
    return paths.model.with_name(f"{paths.model.stem}.training.html")


def _draw(paths: ModelPaths, kept: ModelPaths | None, log: TrainLog, facts: dict[str, Any], command: str) -> Path:
    """Write the report next to the model, and rename the previous model's; return its path."""
    report = _report_of(paths)
    if kept and report.exists():
        with contextlib.suppress(OSError, UserError):
            check_replaceable(report)
            report.replace(_report_of(kept))
    shown = [(name.replace("_", " "), _as_shown(value)) for name, value in facts.items() if value is not None]
    write_page(report, page(log, title=f"{paths.model.name}: {facts['corpus']}", command=command, facts=shown))
    return report


def save_snapshot(model_path: str | None, tokenizer_path: str | None, file: str) -> str:
    """Save the (averaged) weights of the newest checkpoint to `file`, and the tokenizer next to it.

    The run, whose model will be saved at `model_path`, is not changed, and may be active. Returns a line to print.
    Raises UserError.
    """
    folder = run_folder(model_to_save(model_path, tokenizer_path))
    if not can_resume(folder):
        raise UserError(f"{folder}: no unfinished run here; give the --model-path of one")
    paths = model_to_save(file)
    check_overwritable(paths)
    run, snapshot = load_run(folder)
    log = snapshot["log"]
    model = TinyGPT(run.shape)
    try:
        model.load_state_dict(snapshot["average"] or snapshot["weights"])
    except (KeyError, RuntimeError) as error:
        raise UserError(f"{folder}: the checkpoint is from another version ({str(error).splitlines()[0]})") from None
    facts = run.facts | provenance(run, log, torch.device("cpu"))
    facts |= {"held_out_bits": log.evaluations[-1].bits if log.evaluations else None, "best_step": log.n_steps}
    save_pair(paths, model, run.tokenizer, facts)
    weights = "averaged weights" if snapshot["average"] else "weights"
    return f"{paths.model}: {weights} after step {log.n_steps:,}, {log.n_chars:,} characters"
