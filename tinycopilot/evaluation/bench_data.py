"""Data for `bench`: the standard library as the workspace; and, for typing, code that no model was trained on."""

import importlib.util
from pathlib import Path

from tinycopilot import UserError
from tinycopilot.completion.network import Network
from tinycopilot.completion.ngram import NGramModel
from tinycopilot.evaluation.excerpts import texts_in
from tinycopilot.files.left_out import LeftOut
from tinycopilot.model.storage import require_file
from tinycopilot.model.storage.weights import read_weights
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.model.widen import widened
from tinycopilot.paths import ModelPaths
from tinycopilot.training.sources import documents
from tinycopilot.training.train_config import SIZES

TYPED_PACKAGE = "prompt_toolkit"
"""A dependency of tinycopilot, written by hand, and not in any training text."""
MIN_CHARS = 6_000
"""Minimum length of a file to type."""


def load_widened(paths: ModelPaths, size: str | None) -> tuple[Network, SimpleTokenizer]:
    """Return model and tokenizer; with a `size`, widened to it, except for its window. Raises UserError."""
    require_file(paths.model, "model")
    tokenizer = SimpleTokenizer.load(paths.tokenizer)
    config, weights = read_weights(paths.model, tokenizer)
    if size is not None:
        wanted = SIZES[size]
        config, weights = widened(config, weights, wanted.n_layers, wanted.n_heads, wanted.d_model)
    return Network(config, weights), tokenizer


def index_stdlib(ngrams: NGramModel, most_chars: int) -> None:
    """Index the standard library, as training reads it, up to `most_chars`."""
    compaction, n_chars = ngrams.begin_compaction(), 0
    for name, text in documents("stdlib", (".py",), LeftOut()):
        if n_chars + len(text) <= most_chars:
            compaction.put(name, text, last_used_s=0)
            n_chars += len(text)
    compaction.sort()
    ngrams.finish_compaction(compaction)


def load_typing_texts(folder: Path | None) -> dict[str, str]:
    """Return path -> text of the files of a folder, or of TYPED_PACKAGE, that are long enough. Raises UserError."""
    if folder is None:
        spec = importlib.util.find_spec(TYPED_PACKAGE)
        if spec is None or spec.origin is None:
            raise UserError(f"{TYPED_PACKAGE} is not installed; give a folder of code")
        folder = Path(spec.origin).parent
    if not folder.is_dir():
        raise UserError(f"{folder}: not a folder; give a folder of code")
    left_out = LeftOut()
    texts = {name: text for name, text in texts_in(folder, [".py"], left_out).items() if len(text) >= MIN_CHARS}
    if not texts:
        nothing = f"no Python file of {MIN_CHARS:,} characters there{left_out.in_brackets()}"
        raise UserError(f"{folder}: {nothing}; give another folder")
    return texts
