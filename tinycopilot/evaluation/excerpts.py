"""Excerpts to replay: parts of given files, or those in a list; and the index of the rest of their workspaces."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinycopilot import UserError
from tinycopilot.completion.indexing import MAX_WORKSPACE_CHARS
from tinycopilot.completion.ngram import NGramModel
from tinycopilot.files.left_out import LeftOut
from tinycopilot.files.reading import read_source, read_written
from tinycopilot.files.walking import source_files

SHINGLE_CHARS = 50


@dataclass(frozen=True)
class Excerpt:
    """The part text[first:last] of a file to type; the text before it already exists."""

    name: str
    """Path of the file."""
    text: str
    first: int
    last: int
    workspace: Path = Path()
    """The folder whose other files are indexed."""


def from_paths(
    paths: Sequence[Path], suffixes: Sequence[str], n_chars: int, workspace: Path | None
) -> tuple[list[Excerpt], tuple[str, ...]]:
    """Return excerpts of about equal length from all files, at most `n_chars` in total; and lines about files left out.

    Excerpts are from the middle of files, with the text before them as context. The default workspace is the given
    folder, or the folder of the file. Raises UserError.
    """
    left_out = LeftOut()
    texts, folders = dict[str, str](), dict[str, Path]()
    for path in paths:
        found = texts_in(path, suffixes, left_out) if path.is_dir() else {str(path): read_source(path)}
        texts |= {name: text for name, text in found.items() if text}
        folders |= dict.fromkeys(found, workspace or (path if path.is_dir() else path.parent))
    if not texts:
        empty = [f"{path.name} is empty" for path in paths if not path.is_dir()]
        why = " and ".join(empty) or f"no text with {' '.join(suffixes)} there"
        raise UserError(f"nothing to replay: {why}{left_out.in_brackets()}; use other files, or another --ext")
    return from_middle(texts, n_chars, folders), left_out.lines()


def from_middle(texts: dict[str, str], n_chars: int, folders: Mapping[str, Path]) -> list[Excerpt]:
    """Return about equal parts, `n_chars` in total at most, from the middle of each text; `folders`: workspaces."""
    excerpts = []
    for (name, text), n in zip(texts.items(), shares(texts, n_chars), strict=True):
        first = (len(text) - n) // 2
        excerpts.append(Excerpt(name, text, first, first + n, folders.get(name, Path())))
    return excerpts


def texts_in(folder: Path, suffixes: Sequence[str], left_out: LeftOut) -> dict[str, str]:
    """Return path -> text of the hand-written files below `folder`."""
    found = read_written(source_files(folder, suffixes, left_out), folder, left_out)
    return {str(folder / name): text for name, text in found}


def shares(texts: dict[str, str], n_chars: int) -> list[int]:
    """Divide `n_chars` equally among the texts; shorter ones are taken whole. At least one character each."""
    shares = dict.fromkeys(texts, 0)
    left = n_chars
    for i, name in enumerate(sorted(texts, key=lambda name: len(texts[name]))):
        shares[name] = max(1, min(len(texts[name]), left // (len(texts) - i)))
        left -= shares[name]
    return list(shares.values())


def from_list(path: Path, folder: Path, workspace: Path | None) -> list[Excerpt]:
    """Return the excerpts in a JSON list with `file` (below `folder`), `first`, `last` and `sha256`.

    The default workspace is the file's topmost folder below `folder`, its package. Raises UserError if the list is
    invalid or empty, or a file differs from the listed one.
    """
    try:
        excerpts = [_listed(entry, folder, workspace) for entry in json.loads(path.read_text("utf-8"))]
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror}); check the path") from None
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise UserError(
            f"{path}: not a list of files with first, last and sha256 ({error}); see heldout.json"
        ) from None
    if not excerpts:
        raise UserError(f"{path}: the list is empty; see heldout.json for an example")
    return excerpts


def _listed(entry: dict[str, Any], folder: Path, workspace: Path | None) -> Excerpt:
    data = (folder / entry["file"]).read_bytes()
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise UserError(f"{folder / entry['file']}: differs from the listed file; get the version in the list")
    text, first, last = data.decode("utf-8"), int(entry["first"]), int(entry["last"])
    if not 0 <= first < last <= len(text):
        raise ValueError(f"{entry['file']} has no characters {first} to {last}")
    package = folder / Path(entry["file"]).parts[0]
    return Excerpt(str(folder / entry["file"]), text, first, last, workspace or package)


class WorkspaceIndex:
    """Indexes one workspace after another in an n-gram model."""

    def __init__(self, ngrams: NGramModel) -> None:
        self._ngrams = ngrams
        self._texts: dict[str, str] = {}
        self._shingles: dict[str, set[str]] = {}

    def load(self, texts: Mapping[str, str]) -> int:
        """Index `texts` (name -> text), at most MAX_WORKSPACE_CHARS, instead of the previous workspace.

        Returns how many texts were beyond the limit.
        """
        for name in self._texts:
            self._ngrams.drop(name)
        self._texts, n_chars = {}, 0
        for name, text in texts.items():
            if n_chars + len(text) <= MAX_WORKSPACE_CHARS:
                self._ngrams.hold(name, text)
                self._texts[name] = text
                n_chars += len(text)
        self._ngrams.compact()
        self._shingles = {name: shingles(text) for name, text in self._texts.items()}
        return len(texts) - len(self._texts)

    @contextlib.contextmanager
    def excluding_duplicates_of(self, excerpt: Excerpt) -> Iterator[None]:
        """Remove the file and its near-duplicates from the index within the context."""
        own = shingles(excerpt.text)
        near_duplicates = [
            name for name in self._texts if name == excerpt.name or are_near_duplicates(own, self._shingles[name])
        ]
        for name in near_duplicates:
            self._ngrams.drop(name)
        try:
            yield
        finally:
            self._ngrams.drop(excerpt.name)
            for name in near_duplicates:
                self._ngrams.hold(name, self._texts[name])


def in_workspaces(
    ngrams: NGramModel, excerpts: Sequence[Excerpt], suffixes: Sequence[str], say: Callable[[str], None]
) -> Iterator[Excerpt]:
    """Yield each excerpt while the rest of its workspace, without near-duplicates of its file, is indexed."""
    index, folder = WorkspaceIndex(ngrams), None
    for number, excerpt in enumerate(excerpts, start=1):
        say(f"{number} of {len(excerpts)}: {excerpt.name}, {excerpt.last - excerpt.first:,} characters")
        if excerpt.workspace != folder:
            folder = excerpt.workspace
            if n := index.load(texts_in(folder, suffixes, LeftOut())):
                say(f"{folder}: {n:,} files are not indexed: the limit is {MAX_WORKSPACE_CHARS // 1_000_000} MB")
        with index.excluding_duplicates_of(excerpt):
            yield excerpt


def shingles(text: str) -> set[str]:
    """Return the shingles of a text: SHINGLE_CHARS characters from each line start (Broder 1997 uses all positions)."""
    starts = [0, *(i + 1 for i, character in enumerate(text) if character == "\n")]
    return {piece for i in starts if len(piece := text[i : i + SHINGLE_CHARS]) == SHINGLE_CHARS}


def are_near_duplicates(some: set[str], others: set[str]) -> bool:
    """Whether two texts, given by their shingles, have at least half of the smaller set in common."""
    return bool(some and others) and 2 * len(some & others) >= min(len(some), len(others))
