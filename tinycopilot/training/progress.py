"""What the terminal shows while a network learns: one live line, and a sample now and then."""

import math
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text
from torch import Tensor

REFRESH_S = 0.25
SMOOTHING = 0.1


class TerminalProgress:
    """An Observer: bits per character (of the training text, smoothed), characters per second, time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[bits]:.2f} bits/char  {task.fields[rate]:,.0f} chars/s"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("", total=None, bits=math.nan, rate=math.nan)
        self._bits = math.nan
        self._n_steps = self._n_chars = 0
        self._shown_at = self._shown_chars = 0.0

    def __enter__(self) -> "TerminalProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, n_steps: int) -> None:
        """Show an empty bar of `n_steps`."""
        self._bar.update(self._task, total=n_steps)
        self._shown_at = time.perf_counter()

    def step(self, loss: Tensor, n_chars: int) -> None:
        """Count one step; redraw a few times a second (and only then wait for a GPU's number)."""
        self._n_steps += 1
        self._n_chars += n_chars
        now = time.perf_counter()
        if now - self._shown_at < REFRESH_S and self._n_steps != self._bar.tasks[0].total:
            return
        bits = loss.item() / math.log(2)
        self._bits = bits if math.isnan(self._bits) else self._bits + SMOOTHING * (bits - self._bits)
        rate = (self._n_chars - self._shown_chars) / (now - self._shown_at)
        self._shown_at, self._shown_chars = now, self._n_chars
        self._bar.update(self._task, completed=self._n_steps, bits=self._bits, rate=rate)

    def look(self, step: int, held_out_bits: float, sample: str) -> None:
        """Print the held-out figure and the sample above the bar."""
        self._console.print(Text(f"step {step:,}: {held_out_bits:.3f} bits per character on held-out text", "bold"))
        self._console.print(Text("\n".join(f"    {line}" for line in sample.splitlines()), "dim"))
        self._shown_at, self._shown_chars = time.perf_counter(), self._n_chars  # a look is not training time
