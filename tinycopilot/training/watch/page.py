"""The `train --watch` page."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tinycopilot.page.chart import short
from tinycopilot.page.render import Panel
from tinycopilot.page.render import render as render_page
from tinycopilot.page.words import figure, name_of, visible
from tinycopilot.training.checkpoint import Run
from tinycopilot.training.log import TrainLog
from tinycopilot.training.report.curves import CURVES_CSS, curves
from tinycopilot.training.schedule import Schedule
from tinycopilot.training.train_state import TrainState
from tinycopilot.training.watch.embedding_map import (
    KINDS,
    kind_of,
    on_plane,
    principal_directions,
    share_on_plane,
)
from tinycopilot.training.watch.watched_step import FixedInputs, WatchedStep, attended_text

RELOAD_S: Final = 10


PANELS: Final = (
    Panel(
        "loss",
        "Loss and learning rate",
        "Bits per character: 0 means certainty, and 6.6 a guess among 100 equally likely characters. If the loss on "
        "held-out text, which is never trained on, rises while the training loss falls, the network is overfitting.",
    ),
    Panel(
        "prompts",
        "Completions of fixed prompts",
        "At each of these steps, the network completed the same prompts greedily, that is, always with the most likely "
        "character. At first it repeats one character; then come frequent words, then lines that look like the corpus.",
    ),
    Panel(
        "attention",
        "Attention heads",
        "Each picture shows the attention weights of one head on a short text: a row for each position, a column for "
        "each position that it attends to. An untrained head attends to all of them; some learn to attend to the "
        "previous character, to an earlier occurrence of the same name, or to the open bracket.",
    ),
    Panel(
        "embeddings",
        "Embedding map",
        "Each character has a vector, its embedding, which is random at first. Training moves characters that are used "
        "in similar ways closer together. The plane shows the two directions in which the newest vectors differ most.",
    ),
)


def render(
    steps: Sequence[WatchedStep], inputs: FixedInputs, run: Run, state: TrainState, schedule: Schedule, *,
    share: float, resume: str = "",
) -> str:  # fmt: skip
    """Return the page as HTML; all text from outside is escaped. `share`: share of training time spent on the page.

    `resume`: the command that resumes the run if it was stopped; empty while it is active.
    """
    is_running = not resume
    text = attended_text(state.model, inputs)
    return render_page(
        Path(__file__).parent,
        styles=[CURVES_CSS],
        panels=PANELS,
        corpus=run.corpus.label,
        status=_status(state.log, schedule, resume),
        figures=_figures(state.log, share),
        is_running=is_running,
        reload_s=RELOAD_S,
        curves=curves(state.log),
        prompts=inputs.prompts,
        steps=[{"name": _name(step), "completions": step.completions} for step in steps],
        data={
            "is_running": is_running,
            "reload_s": RELOAD_S,
            "text": [name_of(c) if c.isspace() else visible(c) for c in text],
            "steps": [{"step": step.step, "name": _name(step), "attention": step.attention} for step in steps],
            "map": _map(steps, run.tokenizer.alphabet),
        },
    )


def _status(log: TrainLog, schedule: Schedule, resume: str) -> str:
    at = f"step {log.n_steps:,} of {schedule.n_steps:,}"
    if log.n_steps >= schedule.n_steps:
        return f"Training ended after {log.n_steps:,} steps."
    share = log.n_steps / schedule.n_steps
    now = time.strftime("%H:%M:%S")
    if not resume:
        return f"Training: {at} ({share:.0%}). This page is from {now}."
    return f"Training was stopped at {at} ({share:.0%}). Resume it with: {resume}"


def _figures(log: TrainLog, share: float) -> list[tuple[str, str]]:
    last = log.evaluations[-1].bits if log.evaluations else math.nan
    bits = log.held_out_bits if math.isfinite(log.held_out_bits) else last
    return [
        ("bits per character, held-out text", figure(bits, ".3f")),
        ("bits per character, training text", figure(log.intervals[-1].bits if log.intervals else None, ".3f")),
        ("characters read", short(log.n_chars)),
        ("characters per second", short(log.chars_per_second)),
        ("of training time spent on this page", f"{share:.1%}"),
    ]


def _name(step: WatchedStep) -> str:
    """Return the step in words."""
    bits = f", loss {step.bits:.2f} bits" if math.isfinite(step.bits) else ""
    return f"step {step.step:,}{bits}"


def _map(steps: Sequence[WatchedStep], alphabet: str) -> dict[str, Any]:
    """Return the data of the embedding map: coordinates of the characters at each step, times 100, and the shares."""
    characters = alphabet[: len(steps[-1].embedding)]
    kinds = [kind_of(character) for character in characters]
    directions = principal_directions(steps[-1].embedding, kinds)
    return {
        "characters": [name_of(character) for character in characters],
        "kinds": [KINDS.index(kind) for kind in kinds],
        "names": KINDS,
        "places": [(on_plane(step.embedding, directions) * 100).round().astype(int).tolist() for step in steps],
        "same_kind": [step.same_kind for step in steps],
        "share": share_on_plane(steps[-1].embedding, directions),
    }
