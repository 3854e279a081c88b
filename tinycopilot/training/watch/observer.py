"""Watch: decide when to record the network's outputs during training, and update the page."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from tinycopilot.atomic import atomic_write
from tinycopilot.page_file import check_page
from tinycopilot.paths import ModelPaths, real_path
from tinycopilot.training.checkpoint import Run
from tinycopilot.training.log import Evaluation, LogInterval
from tinycopilot.training.observers import Observer
from tinycopilot.training.schedule import Schedule
from tinycopilot.training.train_state import TrainState
from tinycopilot.training.watch.history import load_history, save_history, thinned
from tinycopilot.training.watch.inputs import fixed_inputs
from tinycopilot.training.watch.page import render
from tinycopilot.training.watch.watched_step import watch_step

MAX_SHARE: Final = 0.015
"""Maximum share of training time spent on updates between evaluations. Each evaluation also updates the page."""


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
