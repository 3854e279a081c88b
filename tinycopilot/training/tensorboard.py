"""TensorBoard event files, with the curves and samples of the report, written while the run is active."""

from pathlib import Path

from tinycopilot import UserError
from tinycopilot.training.log import Evaluation, LogInterval
from tinycopilot.training.observer import Observer

INSTALL = "pip install tensorboard"


class TensorBoardObserver(Observer):
    """Writes log intervals and evaluations to event files in `folder`, by step.

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
        """Write held-out bits and the sample, and flush."""
        self._writer.add_scalar("bits per character/held-out", evaluation.bits, evaluation.step)
        self._writer.add_text("sample", _as_code(evaluation.sample), evaluation.step)
        self._writer.flush()

    def close(self) -> None:
        """Flush and close the file."""
        self._writer.close()


def _as_code(text: str) -> str:
    """Return `text` as a Markdown code block; characters that UTF-8 cannot encode become question marks."""
    lines = text.encode("utf-8", "replace").decode("utf-8").split("\n")
    return "\n".join("    " + line for line in lines)
