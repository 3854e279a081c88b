"""What becomes of a trained network: saved as one pair of files, the one it replaces kept and compared with it."""

import contextlib
import errno
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinycopilot import UserError, places
from tinycopilot.model.gpt import TinyGPT, load_pair
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.places import ModelPaths
from tinycopilot.training.batches import join_documents
from tinycopilot.training.corpus import Corpus
from tinycopilot.training.trainer import bits_per_char


@dataclass(frozen=True)
class Replaced:
    """A model that the new one takes the place of: where it is, and its bits per character on the new held-out text."""

    paths: ModelPaths
    held_out_bits: float | None
    """None where it could not be loaded."""


def check_writable(paths: ModelPaths) -> None:
    """Before minutes of training: that both files can be written. Raises UserError."""
    for path in (paths.model, paths.tokenizer):
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        try:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "it is a folder")
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            problem = f"{path}: a model cannot be saved there ({error.strerror})"
            raise UserError(f"{problem}; give another --model_path") from None


def save_pair(
    paths: ModelPaths, model: TinyGPT, tokenizer: SimpleTokenizer, training: dict[str, Any]
) -> ModelPaths | None:
    """Save both files, keep what they replace; returns where that is kept, or None.

    Raises UserError where they cannot be written: then what was there is untouched, and the new pair is saved in the
    system's folder for temporary files if it can be, so that a training run is not lost to a full disk.
    """
    new = ModelPaths(*(path.with_name(f".{path.name}.new") for path in (paths.model, paths.tokenizer)))
    try:
        _write_pair(new, model, tokenizer, training)
        kept = places.keep_old(paths)
        new.tokenizer.replace(paths.tokenizer)
        new.model.replace(paths.model)
        return kept
    except OSError as error:
        problem = f"{paths.model}: the model could not be saved ({error.strerror}); what was there before is unchanged"
    finally:
        with contextlib.suppress(OSError):
            new.model.unlink(missing_ok=True)
            new.tokenizer.unlink(missing_ok=True)
    try:
        folder = Path(tempfile.mkdtemp(prefix="tinycopilot-"))
        _write_pair(ModelPaths(folder / places.MODEL_NAME, folder / places.TOKENIZER_NAME), model, tokenizer, training)
    except OSError:
        raise UserError(f"{problem}; make room on the disk, and train again") from None
    raise UserError(f"{problem}; the new one is in {folder}: make room, and move it")


def _write_pair(paths: ModelPaths, model: TinyGPT, tokenizer: SimpleTokenizer, training: dict[str, Any]) -> None:
    tokenizer.save(paths.tokenizer)
    model.save(paths.model, tokenizer, training)


def compare(paths: ModelPaths, corpus: Corpus) -> Replaced:
    """How another model does on the held-out text of the new one."""
    bits = None
    with contextlib.suppress(UserError):
        model, tokenizer = load_pair(paths.model, paths.tokenizer)
        bits = bits_per_char(model, join_documents(tokenizer, corpus.held_out))
    return Replaced(paths, bits)
