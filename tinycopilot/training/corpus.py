"""Prepare a corpus: drop duplicate documents, hold some out, and store training and held-out text on disk.

Documents are streamed: only eight bytes of each are kept in memory, and the text of candidates for holding out.
"""

import contextlib
import hashlib
import heapq
import json
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinycopilot import UserError
from tinycopilot.atomic import atomic_write
from tinycopilot.files.left_out import LeftOut, Reason
from tinycopilot.model.tokenizer import DOCUMENT_START
from tinycopilot.training.sources import documents
from tinycopilot.training.text import Text, TextWriter

HELD_OUT_SHARE = 0.05
HELD_OUT_CHARS = 100_000
"""This share of a corpus is held out, up to this many characters."""

TRAIN_NAME, HELD_OUT_NAME, FACTS_NAME = "train.bin", "held_out.bin", "corpus.json"


class CorpusError(UserError):
    """A corpus that cannot be trained on."""


@dataclass(frozen=True)
class Corpus:
    """Training text and held-out text, on disk."""

    train: Text
    held_out: Text
    label: str
    """Name of the corpus in messages and in the model file, without paths."""
    digest: str
    """SHA-256 of the stored training text, then held-out text, in hexadecimal."""
    n_documents: int
    left_out: tuple[str, ...] = ()
    """Files that were left out: one line per reason."""


def prepare_corpus(
    names: Sequence[str], folder: Path, suffixes: Sequence[str] = (".py",), exclude: Collection[Path] = ()
) -> Corpus:
    """Read the sources `names` (sources.py), drop duplicates, split the documents, and store them in `folder`.

    `exclude`: files in folders that are not read. Raises UserError if there is no text, and OSError if `folder` cannot
    be written; then nothing is left behind.
    """
    left_out = LeftOut()
    with _empty_folder(folder):
        digest = hashlib.sha256()
        with TextWriter(folder / TRAIN_NAME, digest) as train:
            split = _Split(train)
            for text_digest, document in _each_once(names, suffixes, left_out, exclude):
                split.add(text_digest, document)
            held_out_documents = split.finish()
        with TextWriter(folder / HELD_OUT_NAME, digest) as held_out:
            for document in held_out_documents:
                held_out.add(document)
        _hold_out_tail(folder)
        texts = Text(folder / TRAIN_NAME), Text(folder / HELD_OUT_NAME)
        corpus = Corpus(*texts, corpus_label(names), digest.hexdigest(), split.n_documents, left_out.all_lines())
        facts = {
            "label": corpus.label, "digest": corpus.digest, "n_documents": corpus.n_documents,
            "train_chars": len(corpus.train), "held_out_chars": len(corpus.held_out),
        }  # fmt: skip
        with atomic_write(folder / FACTS_NAME) as file:  # last: without it, a corpus is incomplete
            file.write(json.dumps(facts, indent=2).encode() + b"\n")
        return corpus


def open_corpus(folder: Path) -> Corpus:
    """Return the corpus that `prepare_corpus` stored in `folder`. Raises CorpusError if its digest differs."""
    path = folder / FACTS_NAME
    try:
        facts = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise CorpusError(f"{folder}: no prepared corpus here; prepare it again") from None
    except (OSError, ValueError, RecursionError):
        raise CorpusError(f"{path}: cannot be read; prepare the corpus again") from None
    kinds = {"label": str, "digest": str, "n_documents": int, "train_chars": int, "held_out_chars": int}
    if not isinstance(facts, dict) or any(type(facts.get(name)) is not kind for name, kind in kinds.items()):
        raise CorpusError(f"{path}: damaged; prepare the corpus again")
    texts, digest = (Text(folder / TRAIN_NAME), Text(folder / HELD_OUT_NAME)), hashlib.sha256()
    corpus = Corpus(*texts, facts["label"], facts["digest"], facts["n_documents"])
    for text, n_chars in zip(texts, (facts["train_chars"], facts["held_out_chars"]), strict=True):
        if len(text) != n_chars:
            raise CorpusError(f"{text.path}: {len(text):,} characters, not {n_chars:,}; prepare the corpus again")
        text.feed(digest)
    if digest.hexdigest() != corpus.digest:
        raise CorpusError(f"{folder}: the corpus has changed; prepare it again")
    return corpus


def corpus_label(names: Sequence[str]) -> str:
    """Return the label of a corpus: the last part of each path."""
    return " + ".join(os.path.basename(os.path.normpath(name)) or name for name in names)  # noqa: PTH119


def _each_once(
    names: Sequence[str], suffixes: Sequence[str], left_out: LeftOut, exclude: Collection[Path]
) -> Iterator[tuple[bytes, str]]:
    """Yield the distinct documents of all names, with their digests."""
    seen = _Seen()
    for name in names:
        of_this_name = LeftOut()
        for document_name, text in documents(name, suffixes, of_this_name, exclude):
            digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
            if seen.add(digest):
                yield digest, text
            else:
                of_this_name.add(Reason.DUPLICATE, document_name)
        left_out.include(of_this_name)


class _Seen:
    """The set of texts seen so far, 8 bytes each; a Python set of integers takes ten times as much.

    Among a million different texts, the probability of a collision of 64 bits is 1 in 40 million.
    """

    N_NEW = 1 << 15

    def __init__(self) -> None:
        self._old = np.empty(0, np.uint64)  # sorted
        self._new: set[int] = set()

    def add(self, digest: bytes) -> bool:
        """Add a text by its digest; return whether it is new."""
        key = int.from_bytes(digest[:8], "little")
        i = int(self._old.searchsorted(np.uint64(key)))
        if key in self._new or (i < len(self._old) and int(self._old[i]) == key):
            return False
        self._new.add(key)
        if len(self._new) == self.N_NEW:
            self._old = np.sort(np.concatenate([self._old, np.fromiter(self._new, np.uint64, self.N_NEW)]))
            self._new.clear()
        return True


class _Split:
    """Chooses the documents to hold out by their content, not by their names or a seed.

    Those with the smallest digests are candidates (bottom-k sampling), up to 2 * HELD_OUT_CHARS. A corpus that has
    grown holds out nearly the same documents, so two models can be compared on text that neither was trained on.
    """

    def __init__(self, train: TextWriter) -> None:
        self.n_documents = 0
        self._train = train
        self._n_chars = 0
        self._candidates: list[tuple[int, str]] = []  # a heap of negative digests, the largest digest on top
        self._candidate_chars = 0

    def add(self, digest: bytes, document: str) -> None:
        """Write the document to the training text, unless it is a candidate."""
        self.n_documents += 1
        self._n_chars += len(document)
        if len(document) > HELD_OUT_CHARS:
            self._train.add(document)
            return
        heapq.heappush(self._candidates, (-int.from_bytes(digest, "big"), document))
        self._candidate_chars += len(document)
        while self._candidate_chars - len(self._candidates[0][1]) >= 2 * HELD_OUT_CHARS:
            _, pushed_out = heapq.heappop(self._candidates)
            self._candidate_chars -= len(pushed_out)
            self._train.add(pushed_out)

    def finish(self) -> list[str]:
        """Return the held-out documents: by digest, each that still fits. Write the others to the training text."""
        chars_left = min(HELD_OUT_SHARE * self._n_chars, HELD_OUT_CHARS)
        held_out = []
        for _, document in sorted(self._candidates, reverse=True):
            if len(document) <= chars_left:
                chars_left -= len(document)
                held_out.append(document)
            else:
                self._train.add(document)
        return held_out


def _hold_out_tail(folder: Path) -> None:
    """Also hold out the end of the training text, from a line start, if the held-out documents are less than half.

    That happens with a single document, or a few long ones. The tail precedes them, so the digest is unchanged.
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


@contextlib.contextmanager
def _empty_folder(folder: Path) -> Iterator[None]:
    """Remove an older corpus from `folder`; if the block raises, the new one too."""

    def remove() -> None:
        for name in (FACTS_NAME, TRAIN_NAME, HELD_OUT_NAME):
            (folder / name).unlink(missing_ok=True)

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # a copy of code that may be private
    remove()
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            remove()
        raise
