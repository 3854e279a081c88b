"""Documents -> two files of characters on disk, one to learn from and one to measure on, which is never learned from.

Documents pass through one at a time: what is kept of each is eight bytes, and of some that may be held out the text.
"""

import contextlib
import hashlib
import heapq
import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinycopilot import UserError
from tinycopilot.files import LeftOut, Reason
from tinycopilot.model.tokenizer import DOCUMENT_START
from tinycopilot.training.sources import documents
from tinycopilot.training.text import Text, TextWriter

HELD_OUT_SHARE = 0.05
HELD_OUT_CHARS = 100_000
"""Of a corpus this share is held out, or this many characters where that is less."""

TRAIN_NAME, HELD_OUT_NAME, FACTS_NAME = "train.bin", "held_out.bin", "corpus.json"


class CorpusError(UserError):
    """A corpus that cannot be trained on."""


@dataclass(frozen=True)
class Corpus:
    """Text to learn from, and text to measure on, as they lie on disk."""

    train: Text
    held_out: Text
    label: str
    """How it is named to the user: no path of theirs."""
    digest: str
    """SHA-256 over what is stored, the text to learn from first, in hexadecimal."""
    n_documents: int
    left_out: tuple[str, ...] = ()
    """What was left out and why, a line for each reason."""

    @property
    def train_chars(self) -> int:
        """How many characters there are to learn from."""
        return len(self.train)

    @property
    def held_out_chars(self) -> int:
        """How many characters there are to measure on."""
        return len(self.held_out)


def prepare_corpus(
    names: Sequence[str], folder: Path, suffixes: Sequence[str] = (".py",), without: Collection[Path] = ()
) -> Corpus:
    """Read what `names` stand for (see sources.py) once, each text once, split it for good, and store it in `folder`.

    Of folders, the files `without` are left out.

    Raises UserError, one line, where there is nothing to learn from, and OSError where `folder` cannot be written,
    such as on a full disk; nothing half written stays behind.
    """
    left_out = LeftOut()
    with _empty_folder(folder):
        digest = hashlib.sha256()
        with TextWriter(folder / TRAIN_NAME, digest) as train:
            split = _Split(train)
            for text_digest, document in _each_once(names, suffixes, left_out, without):
                split.add(text_digest, document)
            held_out_documents = split.finish()
        with TextWriter(folder / HELD_OUT_NAME, digest) as held_out:
            for document in held_out_documents:
                held_out.add(document)
        _hold_out_tail(folder)
        return _finish(folder, corpus_label(names), digest.hexdigest(), split.n_documents, left_out.all_lines())


def write_corpus(train: Iterable[str], held_out: Iterable[str], folder: Path, label: str = "text") -> Corpus:
    """Store these documents, split as they are given. Raises OSError."""
    with _empty_folder(folder):
        digest = hashlib.sha256()
        n_documents = 0
        for name, texts in ((TRAIN_NAME, train), (HELD_OUT_NAME, held_out)):
            with TextWriter(folder / name, digest) as writer:
                for text in texts:
                    writer.add(text)
                    n_documents += 1
        return _finish(folder, label, digest.hexdigest(), n_documents, ())


def open_corpus(folder: Path) -> Corpus:
    """What `prepare_corpus` stored in `folder`, read once to see that it is still that. Raises CorpusError if not."""
    path = folder / FACTS_NAME
    try:
        facts = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise CorpusError(f"{folder}: there is no prepared corpus here; prepare it again") from None
    except (OSError, ValueError, RecursionError):
        raise CorpusError(f"{path}: cannot be read; prepare the corpus again") from None
    kinds = {"label": str, "digest": str, "n_documents": int, "train_chars": int, "held_out_chars": int}
    if not isinstance(facts, dict) or any(type(facts.get(name)) is not kind for name, kind in kinds.items()):
        raise CorpusError(f"{path}: damaged; prepare the corpus again")
    corpus = _texts(folder, facts["label"], facts["digest"], facts["n_documents"])
    for text, n_chars in ((corpus.train, facts["train_chars"]), (corpus.held_out, facts["held_out_chars"])):
        if len(text) != n_chars:
            raise CorpusError(f"{text.path}: {len(text):,} characters, not {n_chars:,}; prepare the corpus again")
    digest = hashlib.sha256()
    for text in (corpus.train, corpus.held_out):
        text.feed(digest)
    if digest.hexdigest() != corpus.digest:
        raise CorpusError(f"{folder}: its text was changed; prepare the corpus again")
    return corpus


def corpus_label(names: Sequence[str]) -> str:
    """How a corpus is named to the user and in a model's file: no path of theirs, the last part of it alone."""
    return " + ".join(os.path.basename(os.path.normpath(name)) or name for name in names)  # noqa: PTH119


def _each_once(
    names: Sequence[str], suffixes: Sequence[str], left_out: LeftOut, without: Collection[Path]
) -> Iterator[tuple[bytes, str]]:
    """The documents of all names, each with its text's digest, without those whose text was there before."""
    seen = _Seen()
    for name in names:
        of_this_name = LeftOut()
        for document_name, text in documents(name, suffixes, of_this_name, without):
            digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
            if seen.add(digest):
                yield digest, text
            else:
                of_this_name.add(Reason.DUPLICATE, document_name)
        left_out.include(of_this_name)


class _Seen:
    """Which texts there were, in 8 bytes each: a Python set of integers takes ten times as much.

    Two of a million different texts agree in 64 bits of their digests once in 40 million corpora.
    """

    N_NEW = 1 << 15

    def __init__(self) -> None:
        self._old = np.empty(0, np.uint64)  # sorted
        self._new: set[int] = set()

    def add(self, digest: bytes) -> bool:
        """Whether the text with this digest is new."""
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
    """Which documents are held out: decided by what stands in them, not by where they are found or by a seed.

    Those with the smallest digests are candidates (bottom-k sampling), as many as make 2 * HELD_OUT_CHARS. A corpus
    that has grown still holds out nearly the same, and so two models can be compared on what neither has learned.
    """

    def __init__(self, train: TextWriter) -> None:
        self.n_documents = 0
        self._train = train
        self._n_chars = 0
        self._candidates: list[tuple[int, str]] = []  # a heap, with the largest digest on top: digests are negative
        self._candidate_chars = 0

    def add(self, digest: bytes, document: str) -> None:
        """Write the document to the text to learn from, unless it is a candidate."""
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
        """The documents held out: in the order of digests each that still fits. The others are learned from."""
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
    """Where the documents held out are less than half of what there should be, as in a corpus of one, or of a few that
    are long, hold out the end of the text that is learned from as well, from a line's start on.

    It comes before them, and so the digest of both files stays what it is.
    """
    train, held_out = Text(folder / TRAIN_NAME), Text(folder / HELD_OUT_NAME)
    share = max(1, int(min(HELD_OUT_SHARE * (len(train) + len(held_out)), HELD_OUT_CHARS)))
    if 2 * len(held_out) >= share:
        return
    tail = train.read(len(train) - (share - len(held_out)))
    line_ends = (tail[:-1] == ord(DOCUMENT_START)).nonzero()[0]
    tail = tail[line_ends[0] :] if len(line_ends) else tail  # the line's end before it serves as a DOCUMENT_START
    held_out.path.write_bytes(np.concatenate([tail, held_out.read()]).astype("<u2").tobytes())
    os.truncate(train.path, (len(train) - len(tail)) * 2)


@contextlib.contextmanager
def _empty_folder(folder: Path) -> Iterator[None]:
    """`folder` without an older corpus in it; if what is done with it fails, without the new one too."""

    def remove() -> None:
        for name in (FACTS_NAME, TRAIN_NAME, HELD_OUT_NAME):
            (folder / name).unlink(missing_ok=True)

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # a copy of what may be private
    remove()
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            remove()
        raise


def _finish(folder: Path, label: str, digest: str, n_documents: int, left_out: tuple[str, ...]) -> Corpus:
    """Write down what there is: last, and in one step, so that a corpus without its facts is an unfinished one."""
    corpus = _texts(folder, label, digest, n_documents, left_out)
    facts: dict[str, Any] = {
        "label": label,
        "digest": digest,
        "n_documents": n_documents,
        "train_chars": corpus.train_chars,
        "held_out_chars": corpus.held_out_chars,
    }
    temporary = folder / f".{FACTS_NAME}.{os.getpid()}.part"
    try:
        temporary.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
        temporary.replace(folder / FACTS_NAME)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return corpus


def _texts(folder: Path, label: str, digest: str, n_documents: int, left_out: tuple[str, ...] = ()) -> Corpus:
    return Corpus(Text(folder / TRAIN_NAME), Text(folder / HELD_OUT_NAME), label, digest, n_documents, left_out)
