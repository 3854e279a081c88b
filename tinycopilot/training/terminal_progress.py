"""Progress on the terminal: a progress bar, and the results and sample of each evaluation."""

import math
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text
from torch import Tensor

from tinycopilot.training.log import Evaluation, LogInterval
from tinycopilot.training.observer import Observer
from tinycopilot.training.schedule import Schedule

REFRESH_S = 0.25
SMOOTHING = 0.1


def stderr_console(*, quiet: bool = False) -> Console:
    """Return a console for messages, on standard error."""
    return Console(stderr=True, highlight=False, soft_wrap=True, markup=False, quiet=quiet)


class TerminalProgress(Observer):
    """Progress bar with smoothed training loss (bits per character), characters per second, and time left."""

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
        """Count the step; redraw a few times per second, and only then wait for the loss of a GPU."""
        self._n_chars += n_chars
        now = time.perf_counter()
        if now - self._shown_at < REFRESH_S and self._n_chars < (self._bar.tasks[0].total or 0):
            return
        bits = loss.item() / math.log(2)
        self._bits = bits if math.isnan(self._bits) else self._bits + SMOOTHING * (bits - self._bits)
        rate = (self._n_chars - self._shown_chars) / (now - self._shown_at)
        self._shown_at, self._shown_chars = now, self._n_chars
        self._bar.update(self._task, completed=self._n_chars, bits=self._bits, rate=rate)

    def on_interval(self, interval: LogInterval) -> None:
        """Correct the count after a rollback."""
        self._shown_chars -= self._n_chars - interval.chars
        self._n_chars = interval.chars

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
