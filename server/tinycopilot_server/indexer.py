"""Indexer: update the n-gram model from the workspace's files, in a background thread that pauses during requests."""

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TypeVar

from tinycopilot.completion.indexing import CallWithModel, IncrementalIndexing
from tinycopilot_server.progress import Progress
from tinycopilot_server.saved import IndexFile
from tinycopilot_server.scanner import Found, Scanner, place_of

NICENESS = 10

log = logging.getLogger(__name__)

T = TypeVar("T")


class Indexer:
    """Scans the folders on request. Files are read and sorted in its thread, and handed over to the engine's."""

    def __init__(
        self,
        call: CallWithModel,
        scanner: Scanner,
        pause: Callable[[], None],
    ) -> None:
        """`pause` waits while a request is being answered; it may raise CancelledError."""
        self.scanner = scanner
        self.new_bar: Callable[[], Progress | None] = lambda: None
        """Creates the progress bar of a full scan; returns None for no bar."""
        self.file: IndexFile | None = None
        """The saved index; None: the index is not saved."""
        self.left_out: tuple[str, ...] = ()
        """Files that the last full scan left out: one line for each reason."""
        self._has_scanned = False
        self._call, self._wait = call, pause
        self._thread = ThreadPoolExecutor(1, "indexer", initializer=_lower_priority)
        self._lock = threading.Lock()
        self._waiting = set[str]()  # URIs to scan
        self._is_full_waiting = False  # whether to scan everything
        self._is_submitted = False
        self._is_closed = False

    def scan(self, uris: Iterable[str] | None = ()) -> None:
        """Schedule a scan of these files and folders, even if they seem unchanged; None: of all changes.

        With nothing to scan, the n-gram model is compacted if necessary. Thread-safe; returns at once.
        """
        with self._lock:
            self._is_full_waiting |= uris is None
            self._waiting.update(uris or ())
            if self._is_submitted or self._is_closed:
                return
            self._is_submitted = True
        self._thread.submit(self._scan_waiting)

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Run `work` in the indexer's thread; after `close` the future is cancelled."""
        if not self._is_closed:
            return self._thread.submit(work)
        nothing: Future[T] = Future()
        nothing.cancel()
        return nothing

    def forget(self) -> None:
        """Start over with an empty n-gram model. Call it in the indexer's thread."""
        self.scanner.forget()
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
        with self._lock:
            uris, is_full = self._waiting, self._is_full_waiting
            self._waiting, self._is_full_waiting, self._is_submitted = set(), False, False
        try:
            self._scan(set(map(place_of, uris)), is_full=is_full)
        except (CancelledError, Exception) as error:
            if not (self._is_closed and isinstance(error, CancelledError | RuntimeError)):
                log.exception("the workspace could not be scanned")

    def _scan(self, places: set[str], *, is_full: bool) -> None:
        since_s, found, n_loaded = time.perf_counter(), Found(), 0
        file = self.file  # the event loop may remove it
        if not self._has_scanned and file is not None:
            self._has_scanned = True
            n_loaded = file.load(self._call, self.scanner)
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
        if file is not None:
            file.save(self._call, self.scanner)

    def _index_changes(self, within: set[str] | None, found: Found, bar: Progress | None) -> None:
        indexing, percentage = IncrementalIndexing(self._call, self._pause), None

        def is_enough() -> bool:
            return indexing.n_chars + found.n_unchanged_bytes > indexing.max_chars

        for change in self.scanner.changes(within, found, is_enough, self._pause):
            if change.text is None:
                indexing.drop(change.name)
            else:
                indexing.put(change.name, change.text, change.changed_s)
            now = 100 * found.n_visited // max(1, found.n_total)
            if bar is not None and percentage != now:
                bar.report(f"{found.n_files:,} files", now)
                percentage = now
        indexing.finish()


def _lower_priority() -> None:
    """Lower this thread's priority, on Linux."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
