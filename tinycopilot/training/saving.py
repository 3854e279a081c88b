"""The two files of a trained model, written as one pair: what they replace is kept, and no full disk loses anything."""

import contextlib
import errno
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinycopilot import UserError
from tinycopilot.model.gpt import TinyGPT
from tinycopilot.model.storage import ModelFileError, load_data
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import MODEL_NAME, TOKENIZER_NAME, ModelPaths, back_up, user_model


def check_writable(paths: ModelPaths) -> None:
    """Before minutes of training: that both files can be written. Raises UserError."""
    for path in (paths.model, paths.tokenizer):
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        try:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "is a folder")
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            problem = f"{path}: cannot save a model there ({error.strerror})"
            raise UserError(f"{problem}; use another --model_path") from None


def check_replaceable(paths: ModelPaths) -> None:
    """Before minutes of training: that what a user's own path names, if it exists, is a model. Raises UserError.

    `--model_path notes.txt` is a slip, not a wish to have the notes renamed. An empty file may be replaced.
    """
    if paths == user_model():
        return
    for path, kind in ((paths.model, "model"), (paths.tokenizer, "tokenizer")):
        if path.is_file() and path.stat().st_size:
            try:
                load_data(path, kind, {}, shapes_only=True)
            except ModelFileError as error:
                what = str(error).rpartition("; ")[0] or str(error)
                raise UserError(f"{what}; not overwritten; use another --model_path, or move the file") from None


def save_pair(
    paths: ModelPaths, model: TinyGPT, tokenizer: SimpleTokenizer, training: dict[str, Any]
) -> ModelPaths | None:
    """Save both files, keep what they replace; returns where that is kept, or None.

    Raises UserError where they cannot be written: then what was there is untouched, and the new pair is saved in the
    system's folder for temporary files if it can be, so that a training run is not lost to a full disk.
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
    """Save both files, and keep nothing of what they replace. Raises OSError; then what was there is untouched.

    When they are written, and only have to be moved, `before` is called; what it says is returned. The tokenizer comes
    first, then the model, which names the tokenizer's digest: whoever reads both in between sees that they do not
    match, or, where the tokenizer is the one before, the old model.
    """
    new = ModelPaths(*(path.with_name(f".{path.name}.new") for path in (paths.model, paths.tokenizer)))
    try:
        _write_pair(new, model, tokenizer, training)
        said = before()
        new.tokenizer.replace(paths.tokenizer)
        new.model.replace(paths.model)
        return said
    finally:
        with contextlib.suppress(OSError):
            new.model.unlink(missing_ok=True)
            new.tokenizer.unlink(missing_ok=True)


def _write_pair(paths: ModelPaths, model: TinyGPT, tokenizer: SimpleTokenizer, training: dict[str, Any]) -> None:
    tokenizer.save(paths.tokenizer)
    model.save(paths.model, tokenizer, training)
