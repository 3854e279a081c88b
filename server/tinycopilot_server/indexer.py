"""Indexer: update the n-gram model from the workspace's files in a background thread; save it for the next session."""

import contextlib
import logging
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tinycopilot.completion.indexing import CallWithModel, IncrementalIndexing
from tinycopilot_server.progress import Progress
from tinycopilot_server.scanner import Found, Scanner, place_of
from tinycopilot_server.session import Folders

if TYPE_CHECKING:
    from tinycopilot.completion.segments import MergedSegment

NICENESS = 10
SAVE_INDEX_S = 300.0
"""Minimum time between two writes of the index: the file takes about six bytes per character of code."""
OLD_S = 60 * 86_400.0
"""A saved index of any workspace is deleted if it was not written for this long."""

log = logging.getLogger(__name__)

T = TypeVar("T")


class Indexer:
    """Scans the folders on request. Files are read and sorted in its thread, and handed over to the engine's."""

    def __init__(
        self,
        call: CallWithModel,
        folders: Folders,
        is_open: Callable[[str], bool],
        pause: Callable[[], None],
    ) -> None:
        """`is_open`: see `Scanner`. `pause` waits while a request is being answered; it may raise CancelledError."""
        self.scanner = Scanner(folders, is_open)
        self.new_bar: Callable[[], Progress | None] = lambda: None
        """Creates the progress bar of a full scan; returns None for no bar."""
        self.file: IndexFile | None = None
        """The saved index; None: the index is not saved."""
        self.left_out: tuple[str, ...] = ()
        """Files that the last full scan left out: one line for each reason."""
        self._has_scanned = False
        self._call, self._wait = call, pause
        self._thread = ThreadPoolExecutor(1, "indexer", initializer=_lower_priority)
        self._waiting = deque[Collection[str] | None]()  # the arguments of `scan`
        self._is_closed = False

    def scan(self, uris: Collection[str] | None = ()) -> None:
        """Schedule a scan of these files and folders, even if they seem unchanged; None: of all changes.

        With nothing to scan, the n-gram model is compacted if necessary. Thread-safe; returns at once.
        """
        self._waiting.append(uris)
        self.submit(self._scan_waiting)

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Run `work` in the indexer's thread; after `close` the future is cancelled."""
        if not self._is_closed:
            return self._thread.submit(work)
        nothing: Future[T] = Future()
        nothing.cancel()
        return nothing

    def forget(self) -> None:
        """Start over with an empty n-gram model. Call it in the indexer's thread."""
        self.scanner.known.clear()
        self._has_scanned = False

    def close(self) -> None:
        """Stop before the next file."""
        self._is_closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _pause(self) -> None:
        """Wait while a request is being answered. Raises CancelledError when the indexer is closed."""
        self._wait()
        if self._is_closed:
            raise CancelledError

    def _scan_waiting(self) -> None:
        """Scan what is waiting, all at once; nothing if an earlier call has done that."""
        waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            if waiting:
                self._scan({place_of(uri) for uris in waiting for uri in uris or ()}, is_full=None in waiting)
        except (CancelledError, Exception):
            if not self._is_closed:
                log.exception("the workspace could not be scanned")

    def _scan(self, places: set[str], *, is_full: bool) -> None:
        since_s, found, n_loaded = time.perf_counter(), Found(), 0
        if not self._has_scanned and self.file is not None:
            self._has_scanned = True
            n_loaded = self.file.load(self._call, self.scanner)
        self.scanner.doubt(places)
        within, is_full = None if is_full else places, is_full and bool(self.scanner.folders.roots)
        bar = self.new_bar() if is_full else None
        try:
            self._index_changes(within, found, bar)
        finally:
            if bar is not None:
                bar.end()
        left_out = found.left_out
        if found.n_skipped:
            left_out = (*left_out, f"skipped: {found.n_skipped:,} files beyond maxWorkspaceChars")
        if is_full:
            self.left_out = left_out
        seconds = time.perf_counter() - since_s
        facts = [f"indexed {found.n_files:,} files, {found.n_chars:,} characters, in {seconds:.1f} s"]
        if n_loaded:
            facts.append(f"{n_loaded:,} files from the saved index")
        log.log(logging.INFO if is_full else logging.DEBUG, "; ".join((*facts, *left_out)))
        self._pause()
        if self.file is not None:
            self.file.save(self._call, self.scanner)

    def _index_changes(self, within: set[str] | None, found: Found, bar: Progress | None) -> None:
        indexing, percentage = IncrementalIndexing(self._call, self._pause), None
        for change in self.scanner.changes(within, found, indexing.max_chars, self._pause):
            if change.text is None:
                indexing.drop(change.name)
            else:
                indexing.put(change.name, change.text, change.changed_s)
            now = 100 * found.n_visited // max(1, found.n_total)
            if bar is not None and percentage != now:
                bar.report(f"{found.n_files:,} files", now)
                percentage = now
        indexing.finish()


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


def _lower_priority() -> None:
    """Lower this thread's priority, on Linux."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
