"""Scenarios of `bench`: its model, the code that it indexes and types, and where it requests a completion.

The standard library is the workspace; the typed code is code that no model was trained on.
"""

import importlib.util
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
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
JUMP_CHARS = 1_500
"""Minimum offset of a cursor jump, in files that are long enough."""
LINES_ABOVE = 20
"""Distance of an edit above the cursor."""
LONG_CHARS = 300_000
"""Length of the long document."""


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


@dataclass(frozen=True)
class Step:
    """A document before and after the cursor."""

    document: str
    before: str
    after: str
    is_timed: bool = True
    """False for a step that only prepares the next one."""


def typing_on(name: str, text: str, first: int, n_keys: int) -> Iterator[Step]:
    """Yield each key of typing a part of `text`, with nothing after the cursor."""
    for at in range(first, min(first + n_keys, len(text))):
        yield Step(name, text[:at], "", is_timed=at > first)


def random_places(documents: Iterable[tuple[str, str]], dice: random.Random) -> Iterator[Step]:
    """Yield a key at a random position of each document, (name, text): the first key there, or after a cursor jump."""
    for name, text in documents:
        if (at := line_end(text, dice)) is not None:
            yield Step(name, text[:at], text[at:])


def edits_above(name: str, text: str, n_keys: int, dice: random.Random) -> Iterator[Step]:
    """Yield pairs: a key, then a key at the same position after an edit LINES_ABOVE lines above."""
    for i in range(n_keys):
        if (at := line_end(text, dice)) is None:
            return
        lines = text[:at].split("\n")
        above = max(0, len(lines) - 1 - LINES_ABOVE)
        yield Step(name, text[:at], text[at:], is_timed=False)
        lines[above] += f"  # note {i}"
        yield Step(name, "\n".join(lines), text[at:])


def line_end(text: str, dice: random.Random) -> int | None:
    """Return a random line end after the first JUMP_CHARS, if possible; None if `text` has none."""
    ends = [i for i in range(1, len(text)) if text[i] == "\n" and not text[i - 1].isspace()]
    far = [end for end in ends if end >= JUMP_CHARS]
    return dice.choice(far or ends) if ends else None


def long_text(texts: Sequence[str]) -> str:
    """Return the concatenation of `texts`, up to LONG_CHARS."""
    return "".join(texts)[:LONG_CHARS]
