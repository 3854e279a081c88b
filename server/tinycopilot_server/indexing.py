"""Indexing: the memory is kept in line with the workspace's folders, in a thread that gives way to whoever types."""

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

from tinycopilot_server.folders import Folders, Found, place_of
from tinycopilot_server.kept_memory import KeptMemory

if TYPE_CHECKING:
    from tinycopilot.completion.ngram import NGramModel
    from tinycopilot.completion.segments import Compaction

FIRST_CHARS = 250_000
"""When so much is read it is sorted, so that something is known soon; and again at four times as much, and so on."""
NICENESS = 10

log = logging.getLogger(__name__)

T = TypeVar("T")


class AskMemory(Protocol):
    """Calls a function of the memory in the memory's own thread, and waits for what it says."""

    def __call__(self, function: "Callable[[NGramModel], T]", /) -> T:
        """Raises CancelledError or RuntimeError when it is closed."""


class Bar(Protocol):
    """Shows how it goes: progress.py's."""

    def begin(self, message: str = "", percentage: int | None = None) -> None:
        """Show it, at so many in a hundred."""

    def report(self, message: str = "", percentage: int | None = None) -> None:
        """So far it has come."""

    def end(self, message: str = "") -> None:
        """It is over."""


class NoBar:
    """Shows nothing."""

    def begin(self, message: str = "", percentage: int | None = None) -> None:
        """Nothing."""

    report = begin

    def end(self, message: str = "") -> None:
        """Nothing."""


class Closed(Exception):  # noqa: N818 (it is no error)
    """Nobody wants it any more."""


class Indexer:
    """Looks through the folders when it is told to; what it finds is sorted here, and handed over in a moment."""

    def __init__(self, ask: AskMemory, folders: Folders, is_open: Callable[[str], bool]) -> None:
        """`is_open`: whether the editor has a document of that name, for then its text counts, and not the disk's."""
        self.folders = folders
        self.new_bar: Callable[[], Bar] = NoBar
        """Makes what shows how a look at everything goes."""
        self.kept: KeptMemory | None = None
        """What an earlier session has left; None: nothing is kept."""
        self._has_looked = False
        self._ask = ask
        self._is_open = is_open
        self._thread = ThreadPoolExecutor(1, "indexer", initializer=_be_nice)
        self._lock = threading.Lock()
        self._waiting: set[str] | None = set()  # what is to be looked at; None: everything
        self._is_asked = False
        self._way_is_free = threading.Event()
        self._way_is_free.set()
        self._is_closed = False

    def look(self, uris: Iterable[str] | None = ()) -> None:
        """Look soon: at these files and folders, whatever seems to have changed; None: at all that has changed.

        With nothing to look at, it sees to it that the memory is tidy. From any thread; returns at once.
        """
        with self._lock:
            self._waiting = None if uris is None or self._waiting is None else self._waiting | set(uris)
            if self._is_asked or self._is_closed:
                return
            self._is_asked = True
        self._thread.submit(self._look_now)

    def do(self, work: Callable[[], T]) -> "Future[T]":
        """Do something else in that thread; when it is closed, nothing any more."""
        if not self._is_closed:
            return self._thread.submit(work)
        nothing: Future[T] = Future()
        nothing.cancel()
        return nothing

    @contextlib.contextmanager
    def giving_way(self) -> Iterator[None]:
        """Meanwhile nothing is done here that holds Python's lock."""
        self._way_is_free.clear()
        try:
            yield
        finally:
            self._way_is_free.set()

    def forget(self) -> None:
        """The memory begins anew: so does this. For its thread."""
        self.folders.forget()
        self._has_looked = False

    def close(self) -> None:
        """Stop at the next file."""
        self._is_closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _pause(self) -> None:
        while not self._way_is_free.wait(0.1) and not self._is_closed:
            pass
        if self._is_closed:
            raise Closed

    def _look_now(self) -> None:
        """In the thread."""
        with self._lock:
            uris, self._waiting, self._is_asked = self._waiting, set(), False
        try:
            self._bring_in_line(None if uris is None else set(map(place_of, uris)))
        except Closed:
            pass
        except (CancelledError, RuntimeError):
            if not self._is_closed:
                log.exception("the workspace's files could not be looked at")
        except Exception:
            log.exception("the workspace's files could not be looked at")

    def _bring_in_line(self, within: set[str] | None) -> None:
        since, found = time.perf_counter(), Found()
        n_remembered = self._recall()
        bar = self.new_bar() if within is None and self.folders.roots else NoBar()
        try:
            self._take_changes(within, found, bar)
        finally:
            bar.end()
        self._say(within, found, n_remembered, time.perf_counter() - since)
        self._pause()
        if (kept := self.kept) is not None:
            kept.keep(self._ask, self.folders)

    def _recall(self) -> int:
        """Before the first look: how many files are known from an earlier session."""
        kept = self.kept
        if self._has_looked or kept is None:
            return 0
        self._has_looked = True
        return kept.recall(self._ask, self.folders)

    def _take_changes(self, within: set[str] | None, found: Found, bar: Bar) -> None:
        max_chars, needs_compaction = self._ask(lambda memory: (memory.max_chars, memory.needs_compaction))
        compaction, next_chars = self._ask(lambda memory: memory.begin_compaction()), FIRST_CHARS
        percentage = None
        for change in self.folders.changes(
            within, found, self._is_open, lambda: found.n_chars > max_chars, self._pause
        ):
            if change.text is None:
                compaction.drop(change.name)
            else:
                compaction.put(change.name, change.text, change.changed_s)
            if found.n_chars >= next_chars:
                self._settle(compaction, max_chars)
                compaction, next_chars = self._ask(lambda memory: memory.begin_compaction()), 4 * found.n_chars
            now = 100 * found.n_looked_at // max(1, found.n_to_look_at)
            if percentage != now:
                (bar.begin if percentage is None else bar.report)(f"{found.n_files:,} files", now)
                percentage = now
        if compaction.changes or needs_compaction:
            self._settle(compaction, max_chars, everything=needs_compaction)

    def _settle(self, compaction: "Compaction", max_chars: float, *, everything: bool = False) -> None:
        self._pause()
        compaction.sort(max_chars, everything=everything)
        self._ask(lambda memory: memory.finish_compaction(compaction))

    def _say(self, within: set[str] | None, found: Found, n_remembered: int, seconds: float) -> None:
        left_out = [f"{n_remembered:,} files were known from before"] if n_remembered else []
        left_out += found.left_out
        if found.n_passed_over:
            left_out.append(f"left out: {found.n_passed_over:,} files more than fit (maxWorkspaceChars)")
        line = f"indexed {found.n_files:,} files, {found.n_chars:,} characters, in {seconds:.1f} s"
        is_news = within is None and self.folders.roots
        log.log(logging.INFO if is_news else logging.DEBUG, "; ".join([line, *left_out]))


def _be_nice() -> None:
    """On Linux a thread can have a priority of its own."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
