"""The command `train`: begin or go on, learn, hand over; and the same without a file of it left, for `adapt`."""

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from tinycopilot.model.gpt import TinyGPT
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import ModelPaths, describe_model, find_model, model_to_save, require_home
from tinycopilot.training.batches import BatchLoader, ids_of
from tinycopilot.training.checkpoint import (
    CheckpointWriter,
    Run,
    can_resume,
    discard_command,
    resume_command,
    run_folder,
)
from tinycopilot.training.device import choose_device
from tinycopilot.training.distributed import DistContext, dist_context
from tinycopilot.training.finalize import Saved, finalize, provenance
from tinycopilot.training.interrupts import interrupts_ignored, sigterm_as_interrupt
from tinycopilot.training.json_progress import JsonProgress
from tinycopilot.training.log import Evaluation
from tinycopilot.training.loop import DivergedError, train
from tinycopilot.training.metrics import bits_per_char, write_sample
from tinycopilot.training.observer import Observer, ObserverList
from tinycopilot.training.promotion import find_current_model
from tinycopilot.training.schedule import Schedule
from tinycopilot.training.setup import TrainOptions, check_new_run, new_run, new_train_state, resume_run
from tinycopilot.training.tensorboard import TensorBoardObserver
from tinycopilot.training.terminal_progress import TerminalProgress
from tinycopilot.training.threads import ThreadTuner
from tinycopilot.training.time_budget import reestimate
from tinycopilot.training.train_state import TrainState

EVAL_CHARS = 20_000
"""So much of the held-out text is measured at each look; all of it at the end."""


def run_training(request: TrainOptions) -> ModelPaths:
    """Train, or go on training; compare, save, and say so; returns where the new model is. Raises UserError."""
    device = choose_device(request.device)
    paths = model_to_save(request.model_path, request.tokenizer_path)
    require_home(paths.model, "name the model's file with --model_path")
    folder = run_folder(paths)
    with contextlib.ExitStack() as stack:
        dist = stack.enter_context(dist_context(device.type))
        stack.enter_context(sigterm_as_interrupt())
        console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, quiet=not dist.is_main)
        console.print(describe_model(*(find_current_model(paths) or find_model())))
        observers: list[Observer] = [ThreadTuner()] if device.type == "cpu" else []
        reporter = JsonProgress() if dist.is_main and request.progress else None
        if reporter:
            reporter.say("reading", 0.0)
            observers.append(reporter)
        if dist.is_main and request.tensorboard:
            observers.append(stack.enter_context(contextlib.closing(TensorBoardObserver(Path(request.tensorboard)))))
        snapshot = None
        if request.resume:
            run, snapshot = dist.from_main(lambda: resume_run(request, paths, folder, stack))
        else:
            dist.from_main(lambda: check_new_run(request, paths, folder, stack))
            run = new_run(request, folder, device, dist, console.print)
        state = new_train_state(run, device, dist, snapshot)
        checkpoints = CheckpointWriter(folder, run, state.snapshot(), console.print)
        if reporter:
            reporter.begins(run.schedule, state.log.n_chars)
        saved = Saved(paths, is_in_use=True)
        with checkpoint_on_exit(checkpoints, paths, console, dist, use_anyway=request.use_anyway):
            run = run_steps(state, run, device, dist, console, [*observers, checkpoints])
            if dist.is_main:
                saved = finalize(
                    state, run, request.command, paths, dist.world_size, console.print, checkpoints.finish,
                    use_anyway=request.use_anyway,
                )  # fmt: skip
        if dist.all_equal("done") and dist.local_rank == 0:
            shutil.rmtree(folder, ignore_errors=True)
        if reporter:
            bits = state.log.held_out_bits
            reporter.say("done", 1.0, bits=bits, model=str(saved.paths.model), in_use=saved.is_in_use)
    return saved.paths


def train_without_saving(
    request: TrainOptions, folder: Path, reporter: JsonProgress | None, console: Console
) -> tuple[TinyGPT, SimpleTokenizer, dict[str, Any]]:
    """Train with nothing but the text kept, in `folder`, and nothing saved: a run of minutes, lost when it is stopped.

    Returns the network, on the processor, its tokenizer, and how it came about. Raises UserError.
    """
    device, dist = choose_device(request.device), DistContext()
    observers: list[Observer] = [ThreadTuner()] if device.type == "cpu" else []
    run = new_run(request, folder, device, dist, console.print)
    state = new_train_state(run, device, dist)
    if reporter:
        reporter.begins(run.schedule)
        observers.append(reporter)
    run = run_steps(state, run, device, dist, console, observers)
    state.log.held_out_bits = state.best_bits
    facts = run.facts | provenance(run, state.log, device, dist.world_size)
    return state.result().cpu(), run.tokenizer, facts


def run_steps(
    state: TrainState, run: Run, device: torch.device, dist: DistContext, console: Console, observers: list[Observer]
) -> Run:
    """Take the run's steps, watched by the terminal and by whoever else was asked to. Returns the run as it was."""
    loader = BatchLoader(run.corpus.train, run.tokenizer, device, run.config.seed)
    sample = ids_of(run.corpus.held_out, run.tokenizer, EVAL_CHARS)
    prompt = "def " if ".py" in run.asked["ext"] else ""

    def evaluate(state: TrainState) -> Evaluation:
        log, model = state.log, state.model
        text = write_sample(model, run.tokenizer, prompt)
        return Evaluation(log.n_steps, log.n_chars, log.seconds, bits_per_char(model, sample), text)

    with TerminalProgress(console, run.schedule.n_chars, state.log.n_chars) as progress:
        observer = ObserverList([progress, *observers]) if dist.is_main else Observer()

        def take_steps(schedule: Schedule, until: int) -> None:
            train(state, schedule, loader, evaluate, schedule.eval_steps(len(sample)), observer, dist, until)

        while run.schedule.reestimate_after:
            take_steps(run.schedule, run.schedule.next_reestimate)
            schedule = dist.from_main(partial(reestimate, run.schedule, 60 * run.asked["minutes"], state.log))
            observer.on_schedule(schedule)
            run = dataclasses.replace(run, schedule=schedule)
        take_steps(run.schedule, run.schedule.n_steps)
    return run


@contextlib.contextmanager
def checkpoint_on_exit(
    checkpoints: CheckpointWriter, paths: ModelPaths, console: Console, dist: DistContext, *, use_anyway: bool
) -> Iterator[None]:
    """However the block is left before its end, the run is written down, and the user is told how to go on."""
    if dist.is_main:
        checkpoints.write()  # from here on there is something to go on with, whatever kills this process
    try:
        yield
    except BaseException as error:
        if dist.is_main and not checkpoints.finished:
            with interrupts_ignored():
                checkpoints.write()
            if isinstance(error, DivergedError):
                console.print(f"this run cannot be resumed; discard it: {discard_command(run_folder(paths))}")
            elif can_resume(run_folder(paths)):
                step = checkpoints.written_step
                console.print(
                    f"stopped after step {step:,}; nothing is lost; "
                    f"resume with: {resume_command(paths, use_anyway=use_anyway)}"
                )
        raise
