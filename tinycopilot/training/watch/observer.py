"""Watch: record the network's outputs at intervals during training, and update the page.

The recorded steps are limited in number and size, and stored in the run's folder in case it is resumed.
"""

import base64
import contextlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from tinycopilot.atomic import atomic_write
from tinycopilot.page_file import check_page
from tinycopilot.paths import ModelPaths, real_path
from tinycopilot.training.checkpoint import Run
from tinycopilot.training.log import Evaluation, LogInterval
from tinycopilot.training.observers import Observer
from tinycopilot.training.schedule import Schedule
from tinycopilot.training.train_state import TrainState
from tinycopilot.training.watch.page import render
from tinycopilot.training.watch.watched_step import WatchedStep, fixed_inputs, watch_step

MAX_SHARE: Final = 0.015
"""Maximum share of training time spent on updates between evaluations. Each evaluation also updates the page."""
MAX_STEPS: Final = 24
MAX_BYTES: Final = 1_200_000
"""Maximum size of all recorded steps in the page."""
HISTORY_NAME: Final = "watch.json"


def watch_page(file: str | None, paths: ModelPaths) -> Path | None:
    """Return the page that `--watch` names: empty means next to the model, None means no page.

    Raises UserError if it cannot be written; called before any work is done.
    """
    if file is None:
        return None
    page = real_path(file) if file else paths.model.with_name(f"{paths.model.stem}.watch.html")
    if file or page.parent.exists():  # otherwise it is the folder of the user's first model, which is created later
        check_page(page, "--watch")
    return page


class Watch(Observer):
    """Writes the page at the start, at each evaluation, in between as often as MAX_SHARE allows, and on exit.

    The page reloads itself while training runs; the one that is written on exit does not.
    """

    def __init__(
        self, path: Path, folder: Path, state: TrainState, run: Run, say: Callable[[str], None], resume: str
    ) -> None:
        """`folder`: the run folder, whose stored history is continued. `resume`: the command that resumes the run."""
        self._path, self._folder, self._state, self._run, self._say = path, folder, state, run, say
        self._resume, self._schedule = resume, run.schedule
        self._inputs = fixed_inputs(run.corpus.held_out, is_python=".py" in run.flags["ext"])
        self._steps = load_history(folder, state.log.n_steps)
        self._first_s = state.log.seconds
        self._spent_s = self._cost_s = 0.0
        self._has_failed = False

    def __enter__(self) -> Self:
        self._look()
        if not self._has_failed:
            self._say(f"watch the training in a browser: {self._path.absolute().as_uri()}")
        return self

    def __exit__(self, *_: object) -> None:
        self._write(is_running=False)

    def on_schedule(self, schedule: Schedule) -> None:
        """Show progress against the new length."""
        self._schedule = schedule

    def on_interval(self, interval: LogInterval) -> None:  # noqa: ARG002
        """Record a step, if MAX_SHARE allows."""
        if self._spent_s + self._cost_s <= MAX_SHARE * (self._state.log.seconds - self._first_s):
            self._look()

    def on_evaluation(self, evaluation: Evaluation) -> None:  # noqa: ARG002
        """Record a step."""
        self._look()

    def _look(self) -> None:
        started = time.perf_counter()
        new = watch_step(self._state.model, self._run.tokenizer, self._inputs, self._state.log)
        # After a rollback, or at an evaluation right after an interval, a newer record of this step replaces the older.
        self._steps = thinned([step for step in self._steps if step.step < new.step] + [new])
        save_history(self._folder, self._steps)
        self._write(is_running=True)
        self._cost_s = time.perf_counter() - started
        self._spent_s += self._cost_s

    def _write(self, *, is_running: bool) -> None:
        """Write the page. If that fails, report it once and continue training."""
        seconds = self._state.log.seconds - self._first_s
        html = render(
            self._steps, self._inputs, self._run, self._state, self._schedule,
            share=self._spent_s / seconds if seconds else 0.0, resume="" if is_running else self._resume,
        )  # fmt: skip
        try:
            with atomic_write(self._path, is_private=False) as file:
                file.write(html.encode())
        except OSError as error:
            if not self._has_failed:
                self._say(f"{self._path}: cannot write the page ({error.strerror}); training continues without it")
            self._has_failed = True


def thinned(steps: Sequence[WatchedStep]) -> list[WatchedStep]:
    """Return at most MAX_STEPS and MAX_BYTES of `steps`, always the first and the newest.

    The others are about equally far apart on a logarithmic scale of characters read: most happens at the beginning.
    """
    kept = list(steps)
    while len(kept) > 2 and (len(kept) > MAX_STEPS or sum(step.n_bytes for step in kept) > MAX_BYTES):
        places = [math.log(max(1, step.chars)) for step in kept]
        gaps = [places[i + 1] - places[i - 1] for i in range(1, len(kept) - 1)]
        del kept[1 + gaps.index(min(gaps))]
    return kept


def save_history(folder: Path, steps: Sequence[WatchedStep]) -> None:
    """Store the steps in the folder of a run. On OSError nothing is stored: a resumed run's page then starts again."""
    with contextlib.suppress(OSError), atomic_write(folder / HISTORY_NAME) as file:
        file.write(json.dumps([_to_data(step) for step in steps]).encode())


def load_history(folder: Path, n_steps: int) -> list[WatchedStep]:
    """Return the stored steps up to `n_steps`, where the run resumes; empty if the file is missing or invalid."""
    try:
        steps = [_from_data(data) for data in json.loads((folder / HISTORY_NAME).read_bytes())]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return []
    return [step for step in steps if step.step <= n_steps]


def _to_data(step: WatchedStep) -> dict[str, Any]:
    embedding = base64.b64encode(step.embedding.astype("<f2").tobytes()).decode("ascii")
    return asdict(step) | {"embedding": embedding, "width": step.embedding.shape[1]}


def _from_data(data: dict[str, Any]) -> WatchedStep:
    flat = np.frombuffer(base64.b64decode(data["embedding"]), "<f2").astype(np.float16)
    attention = {"table": dict(data["attention"]["table"]), "data": str(data["attention"]["data"])}
    return WatchedStep(
        int(data["step"]), int(data["chars"]), float(data["bits"]), tuple(map(str, data["completions"])), attention,
        flat.reshape(-1, int(data["width"])), {str(kind): float(share) for kind, share in data["same_kind"].items()},
    )  # fmt: skip
