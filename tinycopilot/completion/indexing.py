"""Add files to an n-gram model while it is in use; decide which files belong to a project."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinycopilot.files.left_out import LeftOut
from tinycopilot.files.reading import read_written
from tinycopilot.files.walking import source_files

if TYPE_CHECKING:
    from tinycopilot.completion.ngram import NGramModel

FIRST_CHARS = 250_000
"""The index is handed over after this many characters, then after four times as many, and so on."""

MAX_WORKSPACE_CHARS = 12_000_000
"""Default limit on the indexed characters of a workspace."""

CallWithModel = Callable[["Callable[[NGramModel], Any]"], Any]
"""Calls a function with the n-gram model, in the thread that owns it, and returns the result.

Raises CancelledError or RuntimeError if that thread is closed.
"""


class IncrementalIndexing:
    """One pass over changed files. Sorting is done in the caller's thread, the hand-over in the model's."""

    def __init__(self, call: CallWithModel, pause: Callable[[], None] = lambda: None) -> None:
        """`pause` is called before each sort; it may wait, or raise to stop."""
        self._call, self._pause = call, pause
        self.n_chars = 0
        """Characters added so far."""
        self.max_chars, self._needs_compaction = call(lambda ngrams: (ngrams.max_chars, ngrams.needs_compaction))
        self._compaction = call(lambda ngrams: ngrams.begin_compaction())
        self._next_chars = FIRST_CHARS

    def put(self, name: str, text: str, last_used_s: float) -> None:
        """Add a file, or replace it. `last_used_s`: seconds since 1970."""
        self._compaction.put(name, text, last_used_s)
        self.n_chars += len(text)
        if self.n_chars >= self._next_chars:
            self._hand_over()
            self._compaction = self._call(lambda ngrams: ngrams.begin_compaction())
            self._next_chars = 4 * self.n_chars

    def drop(self, name: str) -> None:
        """Remove a file."""
        self._compaction.drop(name)

    def finish(self) -> None:
        """Sort and hand over the rest. Call once."""
        if self._compaction.changes or self._needs_compaction:
            self._hand_over(everything=self._needs_compaction)

    def _hand_over(self, *, everything: bool = False) -> None:
        self._pause()
        compaction = self._compaction
        compaction.sort(self.max_chars, everything=everything)
        self._call(lambda ngrams: ngrams.finish_compaction(compaction))


@dataclass(frozen=True)
class Project:
    """The current document, and the folder whose other files are indexed."""

    document: str = ""
    """Path of the document, relative to the folder if inside, so that it is not indexed twice; "" if none."""
    folder: Path | None = None
    suffixes: tuple[str, ...] = (".py",)

    @classmethod
    def of(cls, path: Path | None, folder: Path | None) -> "Project":
        """Return the project of a file, which need not exist, and a folder, which need not contain the file."""
        if path is None:
            return cls(folder=folder)
        path = path.resolve()
        suffixes = (path.suffix.lower(),) if path.suffix else (".py",)
        if folder is None or not path.is_relative_to(folder.resolve()):
            return cls(str(path), folder, suffixes)
        return cls(path.relative_to(folder.resolve()).as_posix(), folder, suffixes)

    def index(self, call: CallWithModel, pause: Callable[[], None] = lambda: None) -> int:
        """Index the other files, up to MAX_WORKSPACE_CHARS; return the number of files beyond the limit.

        `pause` is called before each file; it may wait, or raise to stop.
        """
        if self.folder is None:
            return 0
        indexing, n_skipped = IncrementalIndexing(call, pause), 0
        for name, text in read_written(source_files(self.folder, self.suffixes), self.folder, LeftOut()):
            if name == self.document:
                continue
            pause()
            if indexing.n_chars + len(text) > MAX_WORKSPACE_CHARS:
                n_skipped += 1
            else:
                indexing.put(name, text, last_used_s=0)  # within the limit, nothing is dropped
        indexing.finish()
        return n_skipped
