"""Event files for TensorBoard, for those who ask for them: the same figures as the report's, while the run goes on."""

from pathlib import Path

from tinycopilot import UserError
from tinycopilot.training.log import Evaluation, LogInterval
from tinycopilot.training.observer import Observer

INSTALL = 'pip install "tinycopilot[tensorboard]"'


class TensorBoardObserver(Observer):
    """Writes blocks and looks to event files in `folder`; the horizontal axis is the step.

    Raises UserError where the package `tensorboard` is missing, or where the folder cannot be written.
    """

    def __init__(self, folder: Path | str) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  an extra, and slow to import
        except ImportError as error:
            raise UserError(f"TensorBoard is not available ({error}); install it: {INSTALL}") from None
        try:
            self._writer = SummaryWriter(str(folder))
        except OSError as error:
            raise UserError(f"{folder}: cannot write event files there ({error.strerror})") from None
        self._before: LogInterval | None = None

    def on_interval(self, interval: LogInterval) -> None:
        """Write training bits, rate and, from the second block on, throughput (the first one has no beginning)."""
        self._writer.add_scalar("bits per character/train", interval.bits, interval.step)
        self._writer.add_scalar("learning rate (share of its peak)", interval.lr_multiplier, interval.step)
        before, self._before = self._before, interval
        if before and interval.seconds > before.seconds:
            speed = (interval.chars - before.chars) / (interval.seconds - before.seconds)
            self._writer.add_scalar("characters per second", speed, interval.step)

    def on_evaluation(self, evaluation: Evaluation) -> None:
        """Write held-out bits and the sample, which is shown as code, and let readers see all up to here."""
        self._writer.add_scalar("bits per character/held-out", evaluation.bits, evaluation.step)
        self._writer.add_text("sample", _as_code(evaluation.sample), evaluation.step)
        self._writer.flush()

    def close(self) -> None:
        """Write what is left. Further blocks or looks would begin another file."""
        self._writer.close()


def _as_code(text: str) -> str:
    """Markdown that shows `text` as it is; what UTF-8 cannot hold becomes a question mark."""
    lines = text.encode("utf-8", "replace").decode("utf-8").split("\n")
    return "\n".join("    " + line for line in lines)
