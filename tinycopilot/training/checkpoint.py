"""What becomes of a trained network: saved as one pair of files, the one it replaces kept and compared with it."""

import contextlib
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
    """The model that was there before: where it is kept, and its bits per character on the new one's held-out text."""

    kept: ModelPaths
    held_out_bits: float | None
    """None where it could not be loaded."""


def check_writable(paths: ModelPaths) -> None:
    """Before minutes of training: that both files can be written. Raises UserError."""
    for path in (paths.model, paths.tokenizer):
        try:
            if path.is_dir():
                raise IsADirectoryError(0, "it is a folder")
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise UserError(
                f"{path}: a model cannot be saved there ({error.strerror}); give another --model_path"
            ) from None


def save_pair(
    paths: ModelPaths, model: TinyGPT, tokenizer: SimpleTokenizer, training: dict[str, Any]
) -> ModelPaths | None:
    """Save both files, keep what they replace; returns where that is kept, or None.

    Raises UserError where they cannot be written: then what was there is untouched, and the new pair is saved in the
    system's folder for temporary files if it can be, so that a training run is not lost to a full disk.
    """
    kept = None
    try:
        kept = places.keep_old(paths)
        tokenizer.save(paths.tokenizer)
        model.save(paths.model, tokenizer, training)
    except OSError as error:
        _put_back(paths, kept)
        problem = f"{paths.model}: the model could not be saved ({error.strerror}); what was there before is unchanged"
        with contextlib.suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix="tinycopilot-"))
            rescued = ModelPaths(folder / places.MODEL_NAME, folder / places.TOKENIZER_NAME)
            tokenizer.save(rescued.tokenizer)
            model.save(rescued.model, tokenizer, training)
            raise UserError(f"{problem}; the new one is in {folder}: make room, and move it") from None
        raise UserError(f"{problem}; make room on the disk, and train again") from None
    return kept


def _put_back(paths: ModelPaths, kept: ModelPaths | None) -> None:
    """After a save that failed half-way: the old pair under its own names again, and no numbers."""
    if kept is None:
        paths.tokenizer.unlink(missing_ok=True)
        return
    for now, then in ((paths.model, kept.model), (paths.tokenizer, kept.tokenizer)):
        if then.exists():
            now.unlink(missing_ok=True)  # (renaming one link of a file to another of the same file would do nothing)
            then.rename(now)


def compare(kept: ModelPaths, corpus: Corpus) -> Replaced:
    """How the model that was replaced does on the held-out text of the new one."""
    bits = None
    with contextlib.suppress(UserError):
        model, tokenizer = load_pair(kept.model, kept.tokenizer)
        bits = bits_per_char(model, join_documents(tokenizer, corpus.held_out))
    return Replaced(kept, bits)
