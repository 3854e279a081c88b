"""The Python API: `train` a model, `load` an engine with it, and ask for completions.

Everything else may change between versions. Importing this module doesn't import PyTorch.
"""

from collections.abc import Sequence
from pathlib import Path

from tinycopilot.completion.engine import Engine, Request, Result, Silence, Why
from tinycopilot.completion.request import CompleterSettings, Suggestion
from tinycopilot.extras import require_torch
from tinycopilot.paths import model_to_load, user_path

__all__ = ["CompleterSettings", "Engine", "Request", "Result", "Silence", "Suggestion", "Why", "load", "train"]


def load(model_path: str | None = None, settings: CompleterSettings | None = None) -> Engine:
    """Return an engine with the model at `model_path`; by default your own, else the bundled one. Not thread-safe.

    The tokenizer is read from the file next to the model. Raises UserError if the model is missing or damaged.
    """
    return Engine.load(model_to_load(model_path, None), settings or CompleterSettings())


def train(
    corpus: Sequence[str | Path],
    model_path: str | Path,
    *,
    minutes: float | None = None,
    epochs: float | None = None,
    size: str = "nano",
    device: str = "auto",
) -> Path:
    """Train a model on these files and folders, save it, and return its path. Progress goes to standard error.

    The path is `model_path`, or a file next to it if the existing model is better on the held-out text.
    `minutes` or `epochs` limits the training. Raises UserError, also if PyTorch is not installed.
    """
    require_torch("training")
    from tinycopilot.training.setup import TrainOptions  # noqa: PLC0415
    from tinycopilot.training.train import run_training  # noqa: PLC0415 (imports PyTorch)

    options = TrainOptions(
        corpus=[str(path) for path in corpus], model_path=str(user_path(str(model_path))), minutes=minutes,
        epochs=epochs, size=size, device=device,
    )  # fmt: skip
    return run_training(options).model
