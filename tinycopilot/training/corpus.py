"""Files, folders and the standard library -> documents; and which of them are held out to measure on."""

import hashlib
import os
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinycopilot import UserError
from tinycopilot.files import NotTextError, read_source, source_files
from tinycopilot.places import user_path

BLOCK_SEPARATOR = "# %% "
"""A .txt file holds blocks, each a document, under a line that starts so and goes on with the block's name."""

HELD_OUT_SHARE = 0.05
HELD_OUT_CHARS = 200_000
"""Of a corpus this share is held out, or about this many characters where that is less."""


class CorpusError(UserError):
    """A corpus that cannot be trained on."""


@dataclass(frozen=True)
class Corpus:
    """Documents to learn from, and documents to measure on, which are never learned from."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    """Why a file below a folder was left out: one line each."""

    @property
    def digest(self) -> str:
        """SHA-256 of all documents, those to learn from first, each behind a NUL, in hexadecimal."""
        whole = hashlib.sha256()
        for document in (*self.train, *self.held_out):
            whole.update(b"\0" + document.encode("utf-8"))
        return whole.hexdigest()

    @property
    def train_chars(self) -> int:
        """How many characters there are to learn from."""
        return sum(map(len, self.train))

    @property
    def held_out_chars(self) -> int:
        """How many characters there are to measure on."""
        return sum(map(len, self.held_out))


def load_corpus(names: Sequence[str]) -> Corpus:
    """The documents of `names`, each a file, a folder or the word `stdlib`, each document once, and split for good.

    Raises CorpusError or NotTextError, one line, where there is nothing to learn from.
    """
    documents: list[str] = []
    skipped: list[str] = []
    for name in names:
        found = list(_documents(name, skipped))
        if not any(text.strip() for text in found):
            raise CorpusError(
                f"{name}: nothing to learn from; name a text file that is not empty, or a folder with Python files"
            )
        documents += found
    train, held_out = _split([text for text in dict.fromkeys(documents) if text.strip()])
    return Corpus(tuple(train), tuple(held_out), tuple(skipped))


def split_blocks(text: str) -> list[str]:
    """The blocks of a .txt corpus; what stands above the first separator is a note to the reader, not text to learn.

    A text without separators is one document.
    """
    blocks: list[list[str]] = []
    for line in text.splitlines(keepends=True):
        if line.startswith(BLOCK_SEPARATOR):
            blocks.append([])
        elif blocks:
            blocks[-1].append(line)
    return ["".join(lines).strip("\n") + "\n" for lines in blocks] if blocks else [text]


def _documents(name: str, skipped: list[str]) -> Iterator[str]:
    """The texts of one corpus, as it was named on the command line."""
    path = user_path(name)
    if name == "stdlib" and not path.exists():
        yield from _read_all(_standard_library(), skipped)
    elif path.is_dir():
        yield from _read_all(source_files(path), skipped)
    else:
        text = read_source(path)
        yield from split_blocks(text) if path.suffix == ".txt" else [text]


def _read_all(paths: Iterator[Path], skipped: list[str]) -> Iterator[str]:
    """In a folder, a file that is not text is left out and said so; by its own name, it is an error."""
    for path in paths:
        try:
            yield read_source(path)
        except NotTextError as error:
            skipped.append(str(error))


def _standard_library() -> Iterator[Path]:
    """The running Python's own library, without its tests and its tables of character sets."""
    root = Path(sysconfig.get_paths()["stdlib"])
    left_out = {"test", "tests", "idle_test", "lib2to3", "idlelib", "encodings", "site-packages", "ensurepip"}
    for path in source_files(root):
        if not left_out & set(path.relative_to(root).parts):
            yield path


def _split(documents: list[str]) -> tuple[list[str], list[str]]:
    """Hold out whole documents; of a corpus that has none of a fitting size, the end of one.

    Which they are is decided by what stands in them, not by where they are found or by a seed: a corpus that has grown
    a little still holds out nearly the same, and so two models can be compared on what neither has learned.
    """
    wanted = min(HELD_OUT_SHARE * sum(map(len, documents)), HELD_OUT_CHARS)
    train: list[str] = []
    held_out: list[str] = []
    for text in sorted(documents, key=_text_digest):
        fits = 0 < len(text) <= 2 * wanted
        wanted -= len(text) if fits else 0
        (held_out if fits else train).append(text)
    if not held_out:
        *train, last = train
        share = max(1, int(HELD_OUT_SHARE * len(last)))
        line_start = last.find("\n", len(last) - share - 1, len(last) - 1) + 1
        cut = line_start or len(last) - share
        train, held_out = [*train, last[:cut]], [last[cut:]]
    return train, held_out


def _text_digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def corpus_label(names: Sequence[str]) -> str:
    """How a corpus is named to the user and in a model's file: no path of theirs, the last part of it alone."""
    return " + ".join(os.path.basename(os.path.normpath(name)) or name for name in names)  # noqa: PTH119
