"""Scheduler: the engine's thread, in which the latest request cancels earlier ones.

Other work runs in the order of submission.

Used by the language server, the HTTP endpoint and the terminal UI.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from tinycopilot.completion.request import Request, Result

if TYPE_CHECKING:
    from tinycopilot.completion.engine import Engine
    from tinycopilot.completion.ngram import NGramModel

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass
class Job:
    """A pending request."""

    request: Request
    generation: int
    """The scheduler's generation at the request: after a later change the result may be outdated."""
    cancelled: threading.Event
    result: "Future[Result]"
    n_waiting: int = 0
    """Number of calls of `wait` that have not returned."""

    async def wait(self) -> Result:
        """Wait for the result, on an event loop. When every waiter is cancelled, so is the job."""
        self.n_waiting += 1
        try:
            return await asyncio.shield(asyncio.wrap_future(self.result))
        finally:
            self.n_waiting -= 1
            if self.n_waiting == 0 and not self.result.done():
                self.cancelled.set()


AfterAnswer = Callable[["Engine", Result, float], object]
"""Called in the engine's thread with the engine, the result, and the latency in milliseconds."""


class Scheduler:
    """Runs functions in the engine's thread. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._executor = ThreadPoolExecutor(1, "engine", initializer=self._note_thread)
        self.engine: Engine | None = None
        """The engine in use; None until a model is loaded."""
        self.is_closed = False
        """Whether `close` was called."""
        self.generation = 0
        """Number of changes so far that made earlier results outdated."""
        self.answering = threading.Lock()
        """Held in the engine's thread while a request is being answered: `pause` waits for it."""
        self._latest: Job | None = None
        self._lock = threading.RLock()

    @property
    def is_ready(self) -> bool:
        """Whether there is an engine, and the scheduler is not closed."""
        return self.engine is not None and not self.is_closed

    def _advance(self) -> None:
        with self._lock:
            self.generation += 1

    def use(self, engine: "Engine") -> None:
        """Replace the engine. Call it in the engine's thread."""
        self.engine = engine
        self._advance()

    def submit(self, function: Callable[[], T]) -> "Future[T]":
        """Call `function` in the engine's thread, after earlier submissions. Raises RuntimeError if closed."""
        return self._executor.submit(function)

    def ask(self, function: "Callable[[Engine], T]") -> "Future[T]":
        """Call `function` with the engine in use at that time. Raises RuntimeError if closed."""

        def run() -> T:
            assert self.engine is not None
            return function(self.engine)

        return self.submit(run)

    def change(self, function: "Callable[[Engine], object]") -> None:
        """Let `function` change the engine; earlier results are outdated at once. Without an engine, do nothing."""
        if self.is_ready:
            self._advance()
            self.ask(function).add_done_callback(_log_error)

    def change_if(self, function: "Callable[[Engine], bool]") -> None:
        """Let `function` change the engine and return whether it did: only then are earlier results outdated."""
        if self.is_ready:
            self.ask(lambda engine: self._advance() if function(engine) else None).add_done_callback(_log_error)

    def change_and_wait(self, function: "Callable[[Engine], T]") -> T:
        """Let `function` change the engine, and return its result. Not for the engine's thread.

        Raises CancelledError or RuntimeError if closed.
        """
        result = self.ask(function).result()
        self._advance()  # only now: a request that ran before the change must not count as current
        return result

    def change_ngrams(self, function: "Callable[[NGramModel], T]") -> T:
        """Like `change_and_wait`, with the engine's n-gram model (a `CallWithModel` of indexing.py)."""
        return self.change_and_wait(lambda engine: function(engine.ngrams))

    def complete(self, request: Request, then: AfterAnswer = lambda *_: None) -> Job:
        """Cancel the latest request, and answer this one next; then call `then`, even if it was cancelled.

        A superseded request still reaches the engine, which learns from the keystroke. Raises RuntimeError if closed.
        """
        with self._lock:  # so that the latest job is also the last one submitted
            self.cancel()
            cancelled = threading.Event()
            result = self.submit(partial(self._answer, request, cancelled.is_set, then))
            self._latest = Job(request, self.generation, cancelled, result)
            return self._latest

    def _answer(self, request: Request, is_cancelled: Callable[[], bool], then: AfterAnswer) -> Result:
        engine, since_s = self.engine, time.perf_counter()
        assert engine is not None
        with self.answering:
            result = engine.complete(request, is_cancelled)
            then(engine, result, 1000 * (time.perf_counter() - since_s))
        return result

    def cancel(self) -> None:
        """Stop computing for the latest request."""
        with self._lock:
            if self._latest is not None:
                self._latest.cancelled.set()

    def pause(self) -> None:
        """Wait while a request is being answered. Raises CancelledError if closed. Not for the engine's thread."""
        while not self.is_closed:
            if self.answering.acquire(timeout=0.1):
                self.answering.release()
                return
        raise CancelledError

    def close(self) -> None:
        """Cancel all waiting work. Running work continues: see `cancel` and `join`."""
        self.is_closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)

    def join(self, limit_s: float) -> bool:
        """Wait until the thread has ended after `close`, at most `limit_s`; return whether it has."""
        if self._thread is not None:
            self._thread.join(limit_s)
        return self._thread is None or not self._thread.is_alive()

    def _note_thread(self) -> None:
        self._thread = threading.current_thread()


def _log_error(work: "Future[Any]") -> None:
    """Log the error of work whose result nobody waits for."""
    if not work.cancelled() and (error := work.exception()) is not None:
        log.error("a change of the engine failed", exc_info=error)
