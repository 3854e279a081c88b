"""The command `train`: begin or go on, learn, hand over."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.console import Console

from tinycopilot import places
from tinycopilot.places import ModelPaths
from tinycopilot.training.batches import Reader, ids_of
from tinycopilot.training.begin import Request, begin, go_on, new_learner
from tinycopilot.training.checkpoint import Checkpoints, Run, run_folder, tidied, way_on
from tinycopilot.training.device import choose_device
from tinycopilot.training.distributed import Team, team
from tinycopilot.training.learner import Learner
from tinycopilot.training.log import Look
from tinycopilot.training.measure import bits_per_char, write_sample
from tinycopilot.training.observer import Observer, Observers
from tinycopilot.training.outcome import hand_over
from tinycopilot.training.progress import TerminalProgress
from tinycopilot.training.tensorboard import TensorBoardObserver
from tinycopilot.training.trainer import train

LOOK_CHARS = 20_000
"""So much of the held-out text is measured at each look; all of it at the end."""


def run_training(request: Request) -> ModelPaths:
    """Train, or go on training; save, compare, and say so; returns where the model is. Raises UserError."""
    device = choose_device(request.device)
    with team(device.type) as crew, ended_as_interrupted():
        console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, quiet=not crew.leads)
        paths = places.to_save(request.model_path, request.tokenizer_path)
        in_use = places.to_load()  # what an editor or `generate` would take, were it not for this run
        folder = run_folder(paths)
        state = None
        if request.resume:
            run, state = crew.answer(lambda: go_on(request, paths, folder))
        else:
            with tidied(folder):
                run = begin(request, paths, folder, device, crew, console.print)
        learner = new_learner(run, device, state)
        checkpoints = Checkpoints(folder, run, learner.snapshot(), console.print)
        with stoppable(checkpoints, learner, paths, console, crew):
            learn(learner, run, device, crew, console, checkpoints, request.tensorboard)
            if crew.leads:
                hand_over(learner, run, request.command, paths, in_use, crew.world, console.print)
                checkpoints.finish()
    return paths


def learn(
    learner: Learner,
    run: Run,
    device: torch.device,
    crew: Team,
    console: Console,
    checkpoints: Checkpoints,
    tensorboard: str | None,
) -> None:
    """Take the run's steps, watched by the terminal and by whoever else was asked to."""
    reader = Reader(run.corpus.train, run.tokenizer, device, run.recipe.seed)
    sample = ids_of(run.corpus.held_out, run.tokenizer, LOOK_CHARS)
    prompt = "def " if ".py" in run.asked["ext"] else ""

    def look(learner: Learner) -> Look:
        log = learner.log
        bits = bits_per_char(learner.model, sample)
        return Look(log.n_steps, log.n_chars, log.seconds, bits, write_sample(learner.model, run.tokenizer, prompt))

    with contextlib.ExitStack() as stack:
        observers: list[Observer] = []
        if crew.leads:
            progress = TerminalProgress(console, run.plan.n_chars, learner.log.n_chars)
            observers = [stack.enter_context(progress), checkpoints]
            if tensorboard:
                observers.append(stack.enter_context(contextlib.closing(TensorBoardObserver(Path(tensorboard)))))
        train(learner, run.plan, reader, look, run.plan.looks(len(sample)), Observers(observers), crew)


@contextlib.contextmanager
def stoppable(
    checkpoints: Checkpoints, learner: Learner, paths: ModelPaths, console: Console, crew: Team
) -> Iterator[None]:
    """However the block is left before its end, the run is written down, and the user is told how to go on."""
    if crew.leads:
        checkpoints.write()  # from here on there is something to go on with, whatever kills this process
    try:
        yield
    except BaseException:
        if crew.leads and checkpoints.write():
            console.print(f"stopped after step {learner.log.n_steps:,}: nothing is lost; go on with: {way_on(paths)}")
        raise


@contextlib.contextmanager
def ended_as_interrupted() -> Iterator[None]:
    """A request to end (SIGTERM: a system that shuts down, torchrun) stops a run as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
