"""The training loop, and the `train` command around it."""

import contextlib
import dataclasses
import math
import shutil
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor
from torch.nn import functional as F

from tinycopilot.model.gpt import TinyGPT
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import ModelPaths, describe_model, find_model, model_to_save, require_home, user_path
from tinycopilot.training.batches import BatchLoader, ids_of
from tinycopilot.training.checkpoint import (
    CheckpointWriter,
    Run,
    resume_command,
    run_folder,
)
from tinycopilot.training.device import choose_device, thread_tuners
from tinycopilot.training.distributed import DistContext, dist_context
from tinycopilot.training.finalize import finalize, provenance
from tinycopilot.training.interrupts import terminations_as_interrupt
from tinycopilot.training.log import INTERVAL_STEPS, Evaluation, LogInterval
from tinycopilot.training.metrics import evaluation
from tinycopilot.training.observers import (
    JsonProgress,
    Observer,
    ObserverList,
    TensorBoardObserver,
    TerminalProgress,
    stderr_console,
)
from tinycopilot.training.promotion import find_current_model
from tinycopilot.training.schedule import REESTIMATE_AFTER, Schedule, Stage, chars_in_budget, lr_multiplier, reestimate
from tinycopilot.training.setup import TrainOptions, new_run, new_train_state, open_run, summary
from tinycopilot.training.train_state import TrainState, find_anomaly
from tinycopilot.training.watch.observer import Watch, watch_page

EVAL_CHARS = 20_000
"""Characters of held-out text in each evaluation; the last one uses all of it."""


def train(
    state: TrainState,
    schedule: Schedule,
    loader: BatchLoader,
    evaluate: Callable[[TrainState], Evaluation] | None = None,
    eval_steps: Collection[int] = (),
    observer: Observer = Observer(),  # noqa: B008 (stateless)
) -> None:
    """The training loop: take the steps of `schedule` that `state` has not taken yet, until it is estimated again.

    `evaluate` measures the network on held-out text, at the end of each log interval that contains one of `eval_steps`.
    Afterwards, `state.result()` has the weights of the best evaluation, since long training overfits a small corpus.
    Deterministic with one thread: a run resumed from a snapshot ends with the same weights as an uninterrupted one.
    Raises DivergedError if losses spike or are not finite, after repeated rollbacks.
    """
    model, config, dist = state.model, state.config, state.dist
    forward = dist.wrap_model(torch.compile(model) if model.device.type == "cuda" else model)  # type: ignore[arg-type]
    autocast = torch.autocast(model.device.type, torch.bfloat16, enabled=config.bfloat16)
    proven = latest = state.snapshot()  # `proven` is one interval older: a whole interval after it went well

    while state.log.n_steps < schedule.until:
        first, losses, norms = state.log.n_steps, list[Tensor](), list[Tensor]()
        started = time.perf_counter()
        for step in range(first, min(first + INTERVAL_STEPS, schedule.until)):
            # Set the learning rate.
            stage, first_window, progress = schedule.at(step)
            multiplier = lr_multiplier(step, progress, config.decay_share, config.warm_up_steps) * 0.5**state.n_attempts
            state.set_rates(step, multiplier)
            # Forward and backward pass; after a loss spike, the batches around it are skipped.
            first_window += state.n_skipped * stage.batch
            inputs, targets = loader.batch(stage.batch, stage.window, first_window, dist.rank, dist.world_size)
            with autocast:
                logits = forward(inputs)  # (B, T) -> (B, T, V)
            loss = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
            loss.backward()
            # Clip the gradient, and step.
            norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm))
            for optimizer in state.optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            losses.append(loss.detach())
            observer.on_step(losses[-1], schedule.n_chars_after(step + 1))
        bits = (dist.mean(torch.stack(losses)) / math.log(2)).tolist()  # waits for a GPU to finish

        # On a loss spike, return to the older snapshot.
        if anomaly := find_anomaly(bits, torch.stack(norms).tolist(), state.log.intervals):
            observer.on_event(state.roll_back(proven, f"steps {first + 1:,} to {first + len(bits):,}: {anomaly}"))
            proven = latest = state.snapshot()
            continue
        # Log.
        log = state.log
        log.n_steps, log.n_chars = first + len(bits), schedule.n_chars_after(first + len(bits))
        log.seconds += time.perf_counter() - started
        log.intervals.append(LogInterval(log.n_steps, log.n_chars, log.seconds, sum(bits) / len(bits), multiplier))
        observer.on_interval(log.intervals[-1])
        # Average the weights, and evaluate.
        state.update_average()
        if evaluate and any(first < due <= log.n_steps for due in eval_steps):
            log.evaluations.append(state.evaluate_best(evaluate))
            observer.on_evaluation(log.evaluations[-1])
        # Take a snapshot.
        state.count_good_interval()
        proven, latest = latest, state.snapshot()
        observer.on_snapshot(proven)
    observer.on_snapshot(latest)


def run_training(options: TrainOptions) -> ModelPaths:
    """The `train` command: set up or resume a run, train, compare, save. Returns the new model. Raises UserError."""
    device = choose_device(options.device)
    paths = model_to_save(options.model_path, options.tokenizer_path)
    require_home(paths.model, "name the model's file with --model-path")
    folder = run_folder(paths)
    page = watch_page(options.watch, paths)
    with contextlib.ExitStack() as stack:
        dist = stack.enter_context(dist_context(device.type))
        stack.enter_context(terminations_as_interrupt())
        console = stderr_console(quiet=not dist.is_main)
        console.print(describe_model(*(find_current_model(paths) or find_model())))
        reporter = JsonProgress() if dist.is_main and options.progress else JsonProgress(None)
        reporter.say("reading", 0.0)
        observers = [reporter, *thread_tuners(device)]
        if dist.is_main and options.tensorboard:
            observers.append(
                stack.enter_context(contextlib.closing(TensorBoardObserver(user_path(options.tensorboard))))
            )
        interrupted = dist.from_main(lambda: open_run(options, paths, folder, stack))
        run, snapshot = interrupted or (start_run(options, folder, device, dist, console), None)
        state = new_train_state(run, device, dist, snapshot)
        resume = resume_command(paths, options.unstored_flags())
        if page and dist.is_main:
            observers.append(stack.enter_context(Watch(page, folder, state, run, console.print, resume)))
        reporter.start(run.schedule, state.log.n_chars)
        checkpoints = CheckpointWriter(folder, run, state.snapshot(), console.print, resume)
        if dist.is_main:
            observers.append(stack.enter_context(checkpoints))
        run, saved = train_run(state, run, console, observers), paths
        if dist.is_main:
            saved = finalize(
                state, run, options.command, paths, console.print, checkpoints.finish, use_anyway=options.use_anyway
            )
        if dist.all_equal("done") and dist.local_rank == 0:
            shutil.rmtree(folder, ignore_errors=True)
        reporter.say("done", 1.0, bits=state.log.held_out_bits, model=str(saved.model), in_use=saved == paths)
    return saved


def train_without_saving(
    options: TrainOptions, folder: Path, reporter: JsonProgress, console: Console
) -> tuple[TinyGPT, SimpleTokenizer, dict[str, Any]]:
    """Train without checkpoints, for `adapt`: only the corpus is stored, in `folder`, and an interrupted run is lost.

    Returns the network, on the CPU, its tokenizer and its provenance. Raises UserError.
    """
    device, dist = choose_device(options.device), DistContext()
    run = start_run(options, folder, device, dist, console)
    state = new_train_state(run, device, dist)
    reporter.start(run.schedule)
    run = train_run(state, run, console, [reporter, *thread_tuners(device)])
    state.log.held_out_bits = state.best_bits
    facts = run.facts | provenance(run, state.log, device)
    return state.result().cpu(), run.tokenizer, facts


def start_run(options: TrainOptions, folder: Path, device: torch.device, dist: DistContext, console: Console) -> Run:
    """Return a new run; with a time budget, a trial determines its length. Raises UserError."""
    run = new_run(options, folder, device, dist, console.print)
    if minutes := run.flags["minutes"]:
        console.print("measuring the training speed ...")
        n_chars = chars_in_budget(60 * minutes, run.schedule.stages, _trial(run, device, dist), dist)
        schedule = Schedule.over(n_chars, run.schedule.stages, reestimate_after=REESTIMATE_AFTER)
        run = dataclasses.replace(run, schedule=schedule)
    console.print(summary(run, device))
    return run


def _trial(run: Run, device: torch.device, dist: DistContext) -> Callable[[int, Stage], float]:
    """Return a function that takes n steps of a stage, on a throwaway network, and returns their time."""
    state, loader = new_train_state(run, device, dist), BatchLoader(run.corpus.train, run.tokenizer, device)

    def seconds_of(n_steps: int, stage: Stage) -> float:
        n_done, seconds = state.log.n_steps, state.log.seconds
        train(state, Schedule((stage,), (n_done + n_steps,)), loader)
        return state.log.seconds - seconds

    return seconds_of


def train_run(state: TrainState, run: Run, console: Console, observers: list[Observer]) -> Run:
    """Take all steps of `run`, with progress on the terminal. Returns the run with its final schedule."""
    loader = BatchLoader(run.corpus.train, run.tokenizer, state.model.device, run.config.seed)
    held_out = ids_of(run.corpus.held_out, run.tokenizer, EVAL_CHARS)
    prompt = "def " if ".py" in run.flags["ext"] else ""
    evaluate = partial(evaluation, tokenizer=run.tokenizer, held_out=held_out, prompt=prompt)
    with TerminalProgress(console, run.schedule.n_chars, state.log.n_chars) as progress:
        observer = ObserverList([progress, *observers]) if state.dist.is_main else Observer()
        while True:
            train(state, run.schedule, loader, evaluate, run.schedule.eval_steps(len(held_out)), observer)
            if not run.schedule.reestimate_after:
                return run
            minutes = run.flags["minutes"]
            schedule = state.dist.from_main(partial(reestimate, run.schedule, 60 * minutes, state.log))
            observer.on_schedule(schedule)
            run = dataclasses.replace(run, schedule=schedule)
