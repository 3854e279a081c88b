"""Save the two files of a model as a pair: the previous pair is kept, and nothing is lost if the disk is full."""

import contextlib
import errno
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinycopilot import UserError
from tinycopilot.atomic import replace_file
from tinycopilot.model.gpt import TinyGPT
from tinycopilot.model.storage import ModelFileError, load_data
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import MODEL_NAME, TOKENIZER_NAME, ModelPaths, back_up, user_model


def check_writable(paths: ModelPaths) -> None:
    """Raise UserError if the files cannot be written; called before training."""
    for path in (paths.model, paths.tokenizer):
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        try:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "is a folder")
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            problem = f"{path}: cannot save a model there ({error.strerror})"
            raise UserError(f"{problem}; use another --model-path") from None


def check_overwritable(paths: ModelPaths) -> None:
    """Raise UserError if a path that the user gave is an existing file that is not a model; called before training.

    `--model-path notes.txt` is a mistake. An empty file may be replaced.
    """
    if paths == user_model():
        return
    for path, kind in ((paths.model, "model"), (paths.tokenizer, "tokenizer")):
        if path.is_file() and path.stat().st_size:
            try:
                load_data(path, kind, {})
            except ModelFileError as error:
                what = str(error).rpartition("; ")[0] or str(error)
                raise UserError(f"{what}; not overwritten; use another name, or move the file") from None


def save_pair(
    paths: ModelPaths, model: TinyGPT, tokenizer: SimpleTokenizer, training: dict[str, Any]
) -> ModelPaths | None:
    """Save both files, and keep the pair that they replace; return its paths, or None.

    Raises UserError if they cannot be written: then the old pair is unchanged, and the new one is saved in the
    temporary folder if possible, so that a training run is not lost to a full disk.
    """
    try:
        return replace_pair(paths, model, tokenizer, training, before=lambda: back_up(paths))
    except OSError as error:
        problem = f"{paths.model}: cannot save the model ({error.strerror}); the old file is unchanged"
    try:
        folder = Path(tempfile.mkdtemp(prefix="tinycopilot-"))
        _write_pair(ModelPaths(folder / MODEL_NAME, folder / TOKENIZER_NAME), model, tokenizer, training)
    except OSError:
        raise UserError(f"{problem}; free some disk space, and save it with --resume") from None
    raise UserError(f"{problem}; the new model is in {folder}; free some space and move it")


def replace_pair(
    paths: ModelPaths,
    model: TinyGPT,
    tokenizer: SimpleTokenizer,
    training: dict[str, Any],
    before: Callable[[], ModelPaths | None] = lambda: None,
) -> ModelPaths | None:
    """Save both files, without keeping the old ones. Raises OSError; then the old pair is unchanged.

    `before` is called when both are written and only have to be moved; its value is returned. The tokenizer is moved
    first. The model stores the tokenizer's digest, so a reader between the two moves detects the mismatch, or, if the
    tokenizer is the same, sees the old model.
    """
    new = ModelPaths(*(path.with_name(f".{path.name}.new") for path in (paths.model, paths.tokenizer)))
    try:
        _write_pair(new, model, tokenizer, training)
        result = before()
        replace_file(new.tokenizer, paths.tokenizer)
        replace_file(new.model, paths.model)
        return result
    finally:
        with contextlib.suppress(OSError):
            new.model.unlink(missing_ok=True)
            new.tokenizer.unlink(missing_ok=True)


def _write_pair(paths: ModelPaths, model: TinyGPT, tokenizer: SimpleTokenizer, training: dict[str, Any]) -> None:
    tokenizer.save(paths.tokenizer)
    model.save(paths.model, tokenizer, training)
