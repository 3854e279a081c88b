"""EngineWorker: the Engine in its own thread, for the terminal UI; a second thread indexes the workspace."""

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tinycopilot.completion.indexing import MAX_WORKSPACE_CHARS, Project
from tinycopilot.completion.request import CompleterSettings, Request, Result, Silence, Suggestion
from tinycopilot.completion.scheduler import Scheduler
from tinycopilot.paths import ModelPaths

if TYPE_CHECKING:
    from tinycopilot.completion.engine import Engine

CLOSE_LIMIT_S = 0.5


@dataclass(frozen=True)
class SuggestionResponse:
    """A request, its suggestions (several only if alternatives were requested), and the latency."""

    request: Request
    suggestions: tuple[Suggestion, ...]
    took_ms: float


@dataclass(frozen=True)
class Status:
    """Status of the engine, or the error that stopped it."""

    message: str
    has_failed: bool = False


Notify = Callable[[SuggestionResponse | Status], None]
"""Receives responses and status, in the engine's thread or the indexing thread."""


class EngineWorker:
    """Answers the latest request; earlier ones are cancelled, without a response."""

    def __init__(self, load: Callable[[], "Engine"], project: Project) -> None:
        """`load` is called in the engine's thread."""
        self._load, self._project = load, project
        self._scheduler = Scheduler()
        self._indexer = threading.Thread(target=self._index, name="indexer", daemon=True)
        self._notify: Notify = lambda _: None

    def start(self, tell: Notify) -> None:
        """Start loading the model, and return at once; requests are answered afterwards."""
        self._notify = tell
        self._scheduler.submit(self._start).add_done_callback(self._report)

    def _start(self) -> None:
        self._notify(Status("loading the model ..."))
        self._scheduler.use(self._load())
        self._indexer.start()

    def _report(self, work: "Future[None] | Future[Result]") -> None:
        """Report an error in the engine's thread, and stop answering."""
        if not work.cancelled() and (error := work.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._scheduler.close()
        self._notify(Status(str(error) or type(error).__name__, has_failed=True))

    def request_suggestion(self, request: Request) -> None:
        """Replace the latest request. After an error, do nothing.

        The engine learns from requests that are one keystroke apart, so each keystroke should be a request.
        """

        def then(_engine: "Engine", result: Result, took_ms: float) -> None:
            if result.silence is not Silence.CANCELLED:
                self._notify(SuggestionResponse(request, result.suggestions, took_ms))

        with contextlib.suppress(RuntimeError):  # closed, perhaps by an error just now
            job = self._scheduler.complete(replace(request, document=self._project.document), then)
            job.result.add_done_callback(self._report)

    def close(self) -> bool:
        """End both threads; return False if one still runs after CLOSE_LIMIT_S, for example while a model is loaded."""
        end_s = time.monotonic() + CLOSE_LIMIT_S
        self._scheduler.cancel()
        self._scheduler.close()
        has_ended = self._scheduler.join(CLOSE_LIMIT_S)
        if self._indexer.is_alive():
            self._indexer.join(max(0, end_s - time.monotonic()))
        return has_ended and not self._indexer.is_alive()

    def _index(self) -> None:
        """Index the workspace. Runs in the indexing thread."""
        ready = "ready"
        try:
            if self._project.folder is not None:
                self._notify(Status("reading the workspace ..."))
                if n := self._project.index(self._scheduler.change_ngrams, self._scheduler.pause):
                    ready = f"ready; {n:,} files beyond {MAX_WORKSPACE_CHARS // 1_000_000} MB not read"
            self._notify(Status(ready))
        except (CancelledError, Exception) as error:
            if not self._scheduler.is_closed:
                self._fail(error)


def load_engine(paths: ModelPaths, settings: CompleterSettings) -> "Engine":
    """Load a model. This imports Numba, which is slow."""
    from tinycopilot.completion.engine import Engine  # noqa: PLC0415 (see above)

    engine = Engine.load(paths, settings)
    engine.warm_up()
    return engine
