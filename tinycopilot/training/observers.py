"""Observers of a run: a progress bar, progress as JSON for programs, and TensorBoard."""

import json
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text
from torch import Tensor

from tinycopilot import UserError
from tinycopilot.training.log import Evaluation, LogInterval
from tinycopilot.training.schedule import Schedule

REFRESH_S = 0.25
"""Minimum time between updates of the progress bar."""
SMOOTHING = 0.1
EVERY_S = 1.0
"""Minimum time between lines of JsonProgress, except where a stage starts or ends."""
INSTALL = "pip install tensorboard"


class Observer:
    """Callbacks of the training loop. The default does nothing."""

    def on_schedule(self, schedule: Schedule) -> None:
        """The length of the run was estimated again."""

    def on_step(self, loss: Tensor, n_chars: int) -> None:
        """A step was taken; `loss` is in nats per character, and `n_chars` counts the characters read so far."""

    def on_interval(self, interval: LogInterval) -> None:
        """A log interval ended, without an anomaly."""

    def on_evaluation(self, evaluation: Evaluation) -> None:
        """The network was evaluated on held-out text."""

    def on_event(self, line: str) -> None:
        """A rollback, or another event that the user should know about."""

    def on_snapshot(self, snapshot: dict[str, Any]) -> None:
        """The run can be resumed from `snapshot`."""


class ObserverList(Observer):
    """Several observers as one."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers
        for name in vars(Observer):
            if name.startswith("on_"):
                setattr(self, name, partial(self._call, name))

    def _call(self, name: str, *arguments: Any) -> None:
        for observer in self._observers:
            getattr(observer, name)(*arguments)


def stderr_console(*, quiet: bool = False) -> Console:
    """Return a console for messages, on standard error."""
    return Console(stderr=True, highlight=False, soft_wrap=True, markup=False, quiet=quiet)


class TerminalProgress(Observer):
    """A progress bar, with smoothed training loss (bits per character), characters per second, and time left.

    Above it, the results and sample of each evaluation.
    """

    def __init__(self, console: Console, n_chars: int, n_chars_done: int = 0) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[bits]:.2f} bits/char  {task.fields[rate]:,.0f} chars/s"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("", total=n_chars, completed=n_chars_done, bits=math.nan, rate=math.nan)
        self._bits, self._has_sample = math.nan, False
        self._n_chars = self._shown_chars = n_chars_done
        self._shown_at = time.perf_counter()

    def __enter__(self) -> "TerminalProgress":
        self._bar.start()
        self._shown_at = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def on_schedule(self, schedule: Schedule) -> None:
        """Set the new total."""
        self._bar.update(self._task, total=schedule.n_chars)

    def on_step(self, loss: Tensor, n_chars: int) -> None:
        """Redraw a few times per second, and only then wait for the loss of a GPU."""
        self._n_chars = n_chars
        now = time.perf_counter()
        if now - self._shown_at < REFRESH_S and n_chars < (self._bar.tasks[0].total or 0):
            return
        bits = loss.item() / math.log(2)
        self._bits = bits if math.isnan(self._bits) else self._bits + SMOOTHING * (bits - self._bits)
        rate = max(0, n_chars - self._shown_chars) / (now - self._shown_at)  # after a rollback, there are fewer
        self._shown_at, self._shown_chars = now, n_chars
        self._bar.update(self._task, completed=n_chars, bits=self._bits, rate=rate)

    def on_evaluation(self, evaluation: Evaluation) -> None:
        """Print held-out bits and sample above the bar."""
        line = f"step {evaluation.step:,}: {evaluation.bits:.3f} bits per character on held-out text"
        self._console.print(Text(line, "bold"))
        if not self._has_sample:
            self._has_sample = True
            self._console.print(Text("Generated sample (resembles code more and more as training continues):", "dim"))
        self._console.print(Text("\n".join(f"    {line}" for line in evaluation.sample.splitlines()), "dim"))
        self._shown_at, self._shown_chars = time.perf_counter(), self._n_chars  # an evaluation is not training time

    def on_event(self, line: str) -> None:
        """Print it above the bar."""
        self._console.print(Text(line, "bold yellow"))


class JsonProgress(Observer):
    """Prints one JSON object per line (`--progress json`): the `stage`, and its finished `share`, 0 to 1.

    Stages are reading, training, measuring and done. While training also `bits`, the loss per character, and
    `minutes_left`; null until known.
    """

    def __init__(self, write: Callable[[str], None] | None = lambda line: print(line, flush=True)) -> None:  # noqa: T201
        """`write` prints a line; None: nothing is printed."""
        self._write = write
        self._printed_s = -math.inf
        self._n_total = self._n_first = 0
        self._started_s = 0.0
        self._bits: float | None = None

    def say(self, stage: str, share: float, **more: Any) -> None:
        """Print one line; NaN is null."""
        if self._write is None:
            return
        known = {
            name: None if isinstance(value, float) and math.isnan(value) else value for name, value in more.items()
        }
        self._write(json.dumps({"stage": stage, "share": round(share, 4), **known}))
        self._printed_s = time.monotonic()

    def say_if_due(self, stage: str, share: float, **more: Any) -> None:
        """Print a line if the last one is at least EVERY_S old."""
        if time.monotonic() - self._printed_s >= EVERY_S:
            self.say(stage, share, **more)

    def start(self, schedule: Schedule, n_chars_done: int = 0) -> None:
        """Training starts; a resumed run has read `n_chars_done` before."""
        self._n_total, self._n_first, self._started_s = schedule.n_chars, n_chars_done, time.monotonic()
        self.say("training", n_chars_done / schedule.n_chars, bits=None, minutes_left=None)

    def on_schedule(self, schedule: Schedule) -> None:
        """Set the new total."""
        self._n_total = schedule.n_chars

    def on_step(self, loss: Tensor, n_chars: int) -> None:  # noqa: ARG002
        """Print a line if it is due. The loss is not read, which would wait for a GPU."""
        n_read, seconds = n_chars - self._n_first, time.monotonic() - self._started_s
        left = round(max(0, self._n_total - n_chars) * seconds / n_read / 60, 2) if n_read > 0 else None
        self.say_if_due("training", min(1.0, n_chars / self._n_total), bits=self._bits, minutes_left=left)

    def on_interval(self, interval: LogInterval) -> None:
        """Keep the loss for the next lines."""
        self._bits = round(interval.bits, 4)


class TensorBoardObserver(Observer):
    """Writes log intervals and evaluations to TensorBoard event files in `folder`, by step, while the run is active.

    Raises UserError if the `tensorboard` package is missing, or if the folder cannot be written.
    """

    def __init__(self, folder: Path | str) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  optional, and slow to import
        except ImportError as error:
            raise UserError(f"TensorBoard is not available ({error}); install it: {INSTALL}") from None
        try:
            self._writer = SummaryWriter(str(folder))
        except OSError as error:
            raise UserError(f"{folder}: cannot write event files there ({error.strerror})") from None
        self._previous: LogInterval | None = None

    def on_interval(self, interval: LogInterval) -> None:
        """Write training loss, learning rate and, from the second interval on, throughput."""
        self._writer.add_scalar("bits per character/train", interval.bits, interval.step)
        self._writer.add_scalar("learning rate (share of its peak)", interval.lr_multiplier, interval.step)
        previous, self._previous = self._previous, interval
        if previous and interval.seconds > previous.seconds:
            speed = (interval.chars - previous.chars) / (interval.seconds - previous.seconds)
            self._writer.add_scalar("characters per second", speed, interval.step)

    def on_evaluation(self, evaluation: Evaluation) -> None:
        """Write held-out bits and the sample, as a Markdown code block, and flush."""
        self._writer.add_scalar("bits per character/held-out", evaluation.bits, evaluation.step)
        lines = evaluation.sample.encode("utf-8", "replace").decode("utf-8").split("\n")
        self._writer.add_text("sample", "\n".join("    " + line for line in lines), evaluation.step)
        self._writer.flush()

    def close(self) -> None:
        """Flush and close the file."""
        self._writer.close()
