"""Loss spikes: detection, and rollback to a snapshot."""

import math
from collections.abc import Sequence
from typing import Any

from tinycopilot import UserError
from tinycopilot.training.log import INTERVAL_STEPS, LogInterval
from tinycopilot.training.observers import Observer
from tinycopilot.training.train_state import TrainState

SPIKE_BITS = 1.5
"""An interval whose mean loss is this much worse than the worst of the RECENT_INTERVALS before it is a spike."""
RECENT_INTERVALS = 10
MAX_ATTEMPTS = 5


class DivergedError(UserError):
    """A run whose loss spikes again after MAX_ATTEMPTS rollbacks."""


def find_anomaly(bits: Sequence[float], norms: Sequence[float], before: Sequence[LogInterval]) -> str:
    """Return what is wrong with the losses and gradient norms of an interval; empty if nothing is."""
    if not all(map(math.isfinite, bits)):
        return "a loss that is not a number"
    if not all(map(math.isfinite, norms)):
        return "a gradient that is not a number"
    mean = sum(bits) / len(bits)
    usual = max((interval.bits for interval in before[-RECENT_INTERVALS:]), default=math.inf)
    if mean > usual + SPIKE_BITS:
        return f"loss spike from {usual:.2f} to {mean:.2f} bits per character"
    return ""


def roll_back(state: TrainState, proven: dict[str, Any], anomaly: str, observer: Observer) -> None:
    """Restore `proven`, to skip the batches of the spike (Chowdhery et al. 2022, PaLM) and halve the learning rate.

    Raises DivergedError after MAX_ATTEMPTS.
    """
    n_attempts, n_skipped = state.n_attempts + 1, state.n_skipped + 2 * INTERVAL_STEPS
    if n_attempts > MAX_ATTEMPTS:
        raise DivergedError(f"{anomaly}, after {MAX_ATTEMPTS} rollbacks; try another --seed")
    state.restore(proven)
    state.n_attempts, state.n_skipped, state.n_sound = n_attempts, n_skipped, 0
    event = f"{anomaly}; back to step {state.log.n_steps:,}, with other batches and half the learning rate"
    state.log.events.append(event)
    observer.on_event(event)
