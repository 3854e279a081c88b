"""The whole training loop, in view at once."""

import math
import sys
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tinycopilot import UserError
from tinycopilot.training.batches import BatchLoader
from tinycopilot.training.distributed import DistContext
from tinycopilot.training.log import Evaluation, LogInterval
from tinycopilot.training.observer import Observer
from tinycopilot.training.optim import lr_multiplier, set_rates
from tinycopilot.training.schedule import Schedule
from tinycopilot.training.train_state import TrainState

INTERVAL_STEPS = 20
"""After so many steps the losses are looked at, and there is a new state to which the run can go back."""
SPIKE_BITS = 1.5
"""A block whose mean is so much worse than the worst of the RECENT_BLOCKS before it has gone wrong."""
RECENT_INTERVALS = 10
MAX_ATTEMPTS = 5


class DivergedError(UserError):
    """A run that cannot go on."""


def train(
    state: TrainState,
    schedule: Schedule,
    loader: BatchLoader,
    evaluate: Callable[[TrainState], Evaluation] | None = None,
    eval_steps: Collection[int] = (),
    observer: Observer = Observer(),  # noqa: B008 (it holds nothing)
    dist: DistContext = DistContext(),  # noqa: B008 (it is frozen)
    until: int = sys.maxsize,
) -> None:
    """Take the steps of `schedule`, as far as `until`, that `state` has not taken yet; its `result` is then its best.

    `look` measures the network on held-out text, at the end of each block into which one of `look_steps` falls. With
    one thread, a run that went on from a snapshot ends with the very weights of one that never stopped. A small corpus,
    read often, is learned by heart in the end, which makes all other text less likely again: hence the best look rather
    than the last. Raises UserError where the losses are no numbers, or leap, time and again.
    """
    model, optimizers, config = state.model, state.optimizers, state.config
    forward = dist.wrap_model(torch.compile(model) if model.device.type == "cuda" else model)  # type: ignore[arg-type]
    autocast = torch.autocast(model.device.type, torch.bfloat16, enabled=config.bfloat16)
    proven = latest = state.snapshot()  # from `proven` on, a whole block went well

    n_steps = min(until, schedule.n_steps)
    while state.log.n_steps < n_steps:
        first, losses, norms = state.log.n_steps, list[Tensor](), list[Tensor]()
        started = time.perf_counter()
        for step in range(first, min(first + INTERVAL_STEPS, n_steps)):
            stage, first_window, share = schedule.at(step)
            first_window += state.n_skipped * stage.batch  # past the text that was on the table when it went wrong
            multiplier = lr_multiplier(step, share, config.decay_share) * 0.5**state.n_attempts
            set_rates(optimizers, step, multiplier)
            inputs, targets = loader.batch(
                stage.batch, stage.window, first_window, dist.rank, dist.world_size
            )  # (B, T) each
            with autocast:
                logits = forward(inputs)  # (B, T, V)
            loss = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
            loss.backward()
            norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm))
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            losses.append(loss.detach())
            observer.on_step(losses[-1], stage.batch * stage.window)
        bits = (dist.mean(torch.stack(losses)) / math.log(2)).tolist()  # waits for a GPU to finish

        if trouble := find_anomaly(bits, torch.stack(norms).tolist(), state.log.intervals):
            roll_back(state, proven, f"steps {first + 1:,} to {first + len(bits):,}: {trouble}", observer)
            proven = latest = state.snapshot()
            continue
        log = state.log
        log.n_steps, log.n_chars = first + len(bits), schedule.n_chars_after(first + len(bits))
        log.seconds += time.perf_counter() - started
        log.intervals.append(LogInterval(log.n_steps, log.n_chars, log.seconds, sum(bits) / len(bits), multiplier))
        observer.on_interval(log.intervals[-1])
        state.update_average()
        if evaluate and any(first < due <= log.n_steps for due in eval_steps):
            log.evaluations.append(state.evaluate_best(evaluate))
            observer.on_evaluation(log.evaluations[-1])
        state.count_good_interval()
        proven, latest = latest, state.snapshot()
        observer.on_snapshot(proven)
    observer.on_snapshot(latest)


def find_anomaly(bits: Sequence[float], norms: Sequence[float], before: Sequence[LogInterval]) -> str:
    """What is wrong with a block's losses and gradients, or nothing: the empty string."""
    if not all(map(math.isfinite, bits)):
        return "a loss that is not a number"
    if not all(map(math.isfinite, norms)):
        return "a gradient that is not a number"
    mean, usual = (
        sum(bits) / len(bits),
        max((interval.bits for interval in before[-RECENT_INTERVALS:]), default=math.inf),
    )
    if mean > usual + SPIKE_BITS:
        return f"the loss leapt from {usual:.2f} to {mean:.2f} bits per character"
    return ""


def roll_back(state: TrainState, proven: dict[str, Any], trouble: str, observer: Observer) -> None:
    """Go back to `proven`, to go on from there past the text that did it (as PaLM's training did), at half the rate."""
    n_attempts, n_skipped = state.n_attempts + 1, state.n_skipped + 2 * INTERVAL_STEPS
    if n_attempts > MAX_ATTEMPTS:
        raise DivergedError(f"{trouble}, after {MAX_ATTEMPTS} attempts to go on past it; try another --seed")
    state.restore(proven)
    state.n_attempts, state.n_skipped, state.n_sound = n_attempts, n_skipped, 0
    state.log.events.append(f"{trouble}; back to step {state.log.n_steps:,}, past this text, at half the rate")
    observer.on_event(state.log.events[-1])
