"""What is saved of one workspace, for the next session: its index, and the weights learned from what was typed."""

import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tinycopilot.completion.indexing import CallWithModel
from tinycopilot.paths import mixture_weights_path
from tinycopilot_server.scanner import Scanner

if TYPE_CHECKING:
    from tinycopilot.completion.engine import Engine
    from tinycopilot.completion.persistence import Weights
    from tinycopilot.completion.segments import MergedSegment

SAVE_INDEX_S = 300.0
"""Minimum time between two writes of the index: the file takes about six bytes per character of code."""
OLD_S = 60 * 86_400.0
"""A saved index of any workspace is deleted if it was not written for this long."""
SAVE_WEIGHTS_S = 60.0
"""Minimum time between two writes of the learned weights; they are also written at the end."""

log = logging.getLogger(__name__)


class IndexFile:
    """The saved index of one workspace. Use it in the indexer's thread."""

    def __init__(self, path: Path, tokenizer_digest: str, was_open: Callable[[str], bool]) -> None:
        """`was_open`: whether a document of that name was ever open; then its indexed text may differ from the file."""
        self.path, self._digest, self._was_open = path, tokenizer_digest, was_open
        self._saved: weakref.ref[MergedSegment] | None = None  # the content of the file; it may be large
        self._saved_s = -SAVE_INDEX_S
        self._n_deleted = 0

    def load(self, call: CallWithModel, scanner: Scanner) -> int:
        """Load the saved index, and the stamps of its files; return the number of files, 0 if there is none."""
        from tinycopilot.completion import persistence  # noqa: PLC0415 (imports Numba, which is loaded by then)

        saved = persistence.load_index(self.path, call(lambda ngrams: ngrams.alphabet), self._digest)
        if saved is None:
            return 0
        if unwanted := {name for name in saved.stamps if not scanner.folders.wants(name)}:  # by the current settings
            saved = saved.without(unwanted)
        try:
            call(lambda ngrams: ngrams.adopt(saved.merged, saved.last_used_s))
        except ValueError:  # another segment was merged meanwhile
            return 0
        self._saved = weakref.ref(saved.merged)
        scanner.known = dict(saved.stamps)
        return len(saved.stamps)

    def save(self, call: CallWithModel, scanner: Scanner) -> None:
        """Write the merged segment if it is newer than the file and SAVE_INDEX_S have passed; delete old files.

        With a limit of 0, nothing is stored.
        """
        from tinycopilot.completion import persistence  # noqa: PLC0415 (see load)

        n_deleted = self._n_deleted
        found = call(lambda ngrams: (ngrams.merged(), ngrams.alphabet, ngrams.max_chars))
        (merged, last_used_s), alphabet, max_chars = found
        is_saved = self._saved is not None and self._saved() is merged
        if not max_chars or is_saved or time.monotonic() - self._saved_s < SAVE_INDEX_S:
            return
        self._saved, self._saved_s = weakref.ref(merged), time.monotonic()
        known, wants = scanner.known, scanner.folders.wants
        names = [name for name in last_used_s if name in known and wants(name) and not self._was_open(name)]
        stamps = {name: known[name] for name in names}
        persistence.save_index(self.path, persistence.SavedIndex(merged, last_used_s, stamps), alphabet, self._digest)
        if self._n_deleted != n_deleted:  # deleted meanwhile
            self.delete()
        _delete_old(self.path.parent)

    def delete(self) -> None:
        """Delete the file now; it is written again after the next scan. Thread-safe."""
        self._n_deleted += 1
        self._saved, self._saved_s = None, -SAVE_INDEX_S
        with contextlib.suppress(OSError):
            self.path.unlink()


def _delete_old(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if time.time() - path.stat().st_mtime > OLD_S:
                path.unlink()
                log.info("%s: deleted, because it has not been used for a long time", path)


class LearnedWeights:
    """The file of the mixture's weights learned in one workspace. Use it in the engine's thread."""

    def __init__(self, folder: str | None = None, tokenizer_digest: str = "") -> None:
        """`folder`: the workspace; without one, nothing is saved."""
        self.path = mixture_weights_path(folder, tokenizer_digest) if folder is not None else None
        self._digest = tokenizer_digest
        self.has_learned = False
        """Whether the weights have changed since they were loaded."""
        self.saved_s = -SAVE_WEIGHTS_S
        self._lock = threading.Lock()  # held while writing: a deleted file must not be written again

    @property
    def is_due(self) -> bool:
        """Whether it is time to write the weights."""
        return time.monotonic() - self.saved_s >= SAVE_WEIGHTS_S

    def restore(self, engine: "Engine") -> None:
        """Load the saved weights into the engine."""
        from tinycopilot.completion.persistence import load_weights  # noqa: PLC0415 (imports Numba, which is loaded by then)

        if self.path is not None:
            engine.restore(load_weights(self.path, self._digest))

    def save(self, weights: "Weights") -> None:
        """Write the weights. Thread-safe."""
        from tinycopilot.completion.persistence import save_weights  # noqa: PLC0415 (see restore)

        with self._lock:
            if self.path is not None:
                save_weights(self.path, weights, self._digest)

    def stop(self) -> None:
        """Save nothing from now on, so that the file can be deleted. Thread-safe."""
        with self._lock:
            self.path = None
