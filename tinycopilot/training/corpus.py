"""Prepare a corpus: drop duplicate documents, hold some out, and store training and held-out text on disk.

Documents are streamed: only a digest of each is kept in memory, and the text of candidates for holding out. Imports no
PyTorch.
"""

import hashlib
import heapq
import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinycopilot import UserError
from tinycopilot.atomic import atomic_write
from tinycopilot.files.left_out import LeftOut, Reason
from tinycopilot.model.tokenizer import DOCUMENT_START
from tinycopilot.paths import bundled_path
from tinycopilot.training.sources import documents
from tinycopilot.training.text import Text, write_text

HELD_OUT_SHARE = 0.05
HELD_OUT_CHARS = 100_000
"""This share of a corpus is held out, up to this many characters."""

UNKNOWN_BITS = 16.0
"""Cost of a character outside the vocabulary, besides that of the unknown id: one of 65,536. Without it, a smaller
vocabulary would give fewer bits."""

TRAIN_NAME, HELD_OUT_NAME, FACTS_NAME = "train.bin", "held_out.bin", "corpus.json"


@dataclass(frozen=True)
class Corpus:
    """Training text and held-out text, on disk."""

    train: Text
    held_out: Text
    label: str
    """Name of the corpus in messages and in the model file, without paths."""
    digest: str
    """SHA-256 of the stored training text, then held-out text, in hexadecimal."""
    left_out: tuple[str, ...] = ()
    """Files that were left out: one line per reason."""


def prepare_corpus(
    names: Sequence[str], folder: Path, suffixes: Sequence[str] = (".py",), exclude: Collection[Path] = ()
) -> Corpus:
    """Read the sources `names` (sources.py), drop duplicates, split the documents, and store them in `folder`.

    `exclude`: files in folders that are not read. Raises UserError if there is no text, and OSError if `folder` cannot
    be written; then `folder` contains no complete corpus.
    """
    left_out, held_out = LeftOut(), list[str]()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # a copy of code that may be private
    (folder / FACTS_NAME).unlink(missing_ok=True)
    write_text(folder / TRAIN_NAME, _split(_each_once(names, suffixes, left_out, exclude), held_out))
    write_text(folder / HELD_OUT_NAME, held_out)
    _hold_out_tail(folder)
    texts = Text(folder / TRAIN_NAME), Text(folder / HELD_OUT_NAME)
    corpus = Corpus(*texts, corpus_label(names), _digest(*texts), left_out.all_lines())
    with atomic_write(folder / FACTS_NAME) as file:  # last: without it, a corpus is incomplete
        file.write(json.dumps({"label": corpus.label, "digest": corpus.digest}, indent=2).encode() + b"\n")
    return corpus


def open_corpus(folder: Path) -> Corpus:
    """Return the corpus that `prepare_corpus` stored in `folder`. Raises UserError if its digest differs."""
    path = folder / FACTS_NAME
    try:
        facts = json.loads(path.read_text("utf-8"))
        label, digest = str(facts["label"]), facts["digest"]
    except FileNotFoundError:
        raise UserError(f"{folder}: no prepared corpus here; prepare it again") from None
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        raise UserError(f"{path}: damaged, or cannot be read; prepare the corpus again") from None
    corpus = Corpus(Text(folder / TRAIN_NAME), Text(folder / HELD_OUT_NAME), label, digest)
    if _digest(corpus.train, corpus.held_out) != digest:
        raise UserError(f"{folder}: the corpus has changed; prepare it again")
    return corpus


def _digest(*texts: Text) -> str:
    digest = hashlib.sha256()
    for text in texts:
        with text.path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


def corpus_label(names: Sequence[str]) -> str:
    """Return the label of a corpus: the last part of each path."""
    return " + ".join(os.path.basename(os.path.normpath(name)) or name for name in names)  # noqa: PTH119


def _each_once(
    names: Sequence[str], suffixes: Sequence[str], left_out: LeftOut, exclude: Collection[Path]
) -> Iterator[tuple[bytes, str]]:
    """Yield the distinct documents of all names, with their digests."""
    seen = set[bytes]()
    for name in names:
        of_this_name = LeftOut()
        for document_name, text in documents(name, suffixes, of_this_name, exclude):
            digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
            if digest in seen:
                of_this_name.add(Reason.DUPLICATE, document_name)
            else:
                seen.add(digest)
                yield digest, text
        left_out.include(of_this_name)


def _split(documents: Iterable[tuple[bytes, str]], held_out: list[str]) -> Iterator[str]:
    """Yield the documents to train on; at the end, add those to hold out to `held_out`.

    They are chosen by their content, not by their names or a seed: candidates are those with the smallest digests
    (bottom-k sampling), up to 2 * HELD_OUT_CHARS. A corpus that has grown holds out nearly the same documents, so two
    models can be compared on text that neither was trained on.
    """
    candidates: list[tuple[int, str]] = []  # a heap of negative digests, the largest digest on top
    n_chars = candidate_chars = 0
    for digest, document in documents:
        n_chars += len(document)
        if len(document) > HELD_OUT_CHARS:
            yield document
            continue
        heapq.heappush(candidates, (-int.from_bytes(digest, "big"), document))
        candidate_chars += len(document)
        while candidate_chars - len(candidates[0][1]) >= 2 * HELD_OUT_CHARS:
            _, pushed_out = heapq.heappop(candidates)
            candidate_chars -= len(pushed_out)
            yield pushed_out
    chars_left = min(HELD_OUT_SHARE * n_chars, HELD_OUT_CHARS)
    for _, document in sorted(candidates, reverse=True):
        if len(document) <= chars_left:
            chars_left -= len(document)
            held_out.append(document)
        else:
            yield document


def _hold_out_tail(folder: Path) -> None:
    """Also hold out the end of the training text, from a line start, if the held-out documents are less than half.

    That happens with a single document, or a few long ones. The tail precedes them.
    """
    train, held_out = Text(folder / TRAIN_NAME), Text(folder / HELD_OUT_NAME)
    share = max(1, int(min(HELD_OUT_SHARE * (len(train) + len(held_out)), HELD_OUT_CHARS)))
    if 2 * len(held_out) >= share:
        return
    tail = train.read(len(train) - (share - len(held_out)))
    line_ends = (tail[:-1] == ord(DOCUMENT_START)).nonzero()[0]
    tail = tail[line_ends[0] :] if len(line_ends) else tail  # the line break before it serves as DOCUMENT_START
    held_out.path.write_bytes(np.concatenate([tail, held_out.read()]).astype("<u2").tobytes())
    os.truncate(train.path, (len(train) - len(tail)) * 2)


def reference_text() -> str:
    """Return bundled Python that no model was trained on, to compare models. Raises UserError if it is missing."""
    path = bundled_path("paras") / "reference.txt"
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); reinstall tinycopilot") from None
