"""The index during a replay: the rest of the workspace, without the file and its near-duplicates."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from tinycopilot.completion.indexing import MAX_WORKSPACE_CHARS
from tinycopilot.completion.ngram import NGramModel
from tinycopilot.evaluation.excerpts import Excerpt, texts_in
from tinycopilot.files.left_out import LeftOut

SHINGLE_CHARS = 50


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
