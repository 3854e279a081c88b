"""EngineThread: the Engine in a thread of its own; the newest question wins, and the workspace is read in between."""

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tinycopilot.completion.truncation import CompleterSettings, Suggestion
from tinycopilot.files import LeftOut, read_written, source_files
from tinycopilot.places import ModelPaths
from tinycopilot.play.ghost import Question

if TYPE_CHECKING:
    from tinycopilot.completion.engine import Engine

CLOSING_LIMIT_S = 0.5
MAX_WORKSPACE_CHARS = 10_000_000
"""So much of a workspace is held."""
FIRST_CHARS = 250_000
"""When so much is read it is sorted, so that something is known soon; and again at four times as much, and so on."""
A_MOMENT_S = 0.01
"""So long a question may have to wait for what is done in between."""


@dataclass(frozen=True)
class Answer:
    """What was asked, what the answer is, and how long it took to find."""

    question: Question
    suggestion: Suggestion | None
    took_ms: float
    others: tuple[Suggestion, ...] = ()
    """If they were asked for."""


@dataclass(frozen=True)
class State:
    """What the engine is at, or why there is none."""

    message: str
    has_failed: bool = False


Tell = Callable[[Answer | State], None]
"""How it reports, from its own thread."""


@dataclass(frozen=True)
class Surroundings:
    """The document that questions are about, and the folder whose other files are known."""

    document: str = ""
    folder: Path | None = None
    suffixes: tuple[str, ...] = (".py",)

    def hold(self, engine: "Engine") -> Generator[None, None, int]:
        """Index the other files, in steps that take a moment each. Returns how many had no room."""
        n_without_room = 0
        if self.folder is None:
            return n_without_room
        ngrams, n_chars, next_chars = engine.ngrams, 0, FIRST_CHARS
        compaction = ngrams.begin_compaction()
        for name, text in read_written(source_files(self.folder, self.suffixes), self.folder, LeftOut()):
            if name == self.document:
                continue
            if n_chars + len(text) > MAX_WORKSPACE_CHARS:
                n_without_room += 1
            else:
                compaction.put(name, text, last_used_s=0)  # nothing is ever dropped here for lack of room
                n_chars += len(text)
            yield
            if n_chars >= next_chars:
                yield from _elsewhere(compaction.sort)
                ngrams.finish_compaction(compaction)
                compaction, next_chars = ngrams.begin_compaction(), 4 * n_chars
        yield from _elsewhere(compaction.sort)
        ngrams.finish_compaction(compaction)
        return n_without_room


def _elsewhere(work: Callable[[], None]) -> Iterator[None]:
    """Do it in a thread of its own, looked at now and then. It is waited for even where nobody asks on."""
    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(work)
        while not future.done():
            wait([future], A_MOMENT_S)
            yield
        future.result()  # what went wrong there goes wrong here


class EngineThread:
    """Answers the newest question; one that is superseded while it is computed is given up, and never answered."""

    def __init__(self, load: Callable[[], "Engine"], surroundings: Surroundings) -> None:
        """`load` is called in the thread."""
        self._load = load
        self._surroundings = surroundings
        self._question: Question | None = None
        self._is_closed = False
        self._news = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, tell: Tell) -> None:
        """Load the model, then answer; returns at once."""
        self._thread = threading.Thread(target=self._run, args=(tell,), name="completer", daemon=True)
        self._thread.start()

    def ask(self, question: Question | None) -> None:
        """Ask this instead of whatever was asked before; None: that is not wanted any more.

        It learns from questions that are one key apart, and so every key is to be one.
        """
        self._question = question
        self._news.set()

    def close(self) -> bool:
        """End the thread; False where it cannot be ended soon, since a model is still being loaded."""
        self._is_closed = True
        self.ask(None)
        if self._thread is not None:
            self._thread.join(CLOSING_LIMIT_S)
        return self._thread is None or not self._thread.is_alive()

    def _run(self, tell: Tell) -> None:
        try:
            tell(State("loading the model ..."))
            self._answer_all(self._load(), tell)
        except Exception as error:  # nobody waits for this thread: what it does not tell is never known
            tell(State(str(error) or type(error).__name__, has_failed=True))

    def _answer_all(self, engine: "Engine", tell: Tell) -> None:
        is_idle = False
        with contextlib.closing(self._chores(engine, tell)) as chores:
            while not self._is_closed:
                if is_idle or self._news.is_set():
                    self._news.wait()
                    self._news.clear()
                    if (question := self._question) is not None:
                        self._answer(engine, question, tell)
                else:
                    is_idle = next(chores, "done") == "done"

    def _chores(self, engine: "Engine", tell: Tell) -> Generator[None, None, None]:
        """What there is to do besides answering, a step at a time."""
        if self._surroundings.folder is not None:
            tell(State("reading the workspace ..."))
            n_without_room = yield from self._surroundings.hold(engine)
            if n_without_room:
                tell(State(f"ready; {n_without_room:,} files beyond {MAX_WORKSPACE_CHARS // 1_000_000} MB not read"))
                return
        tell(State("ready"))

    def _answer(self, engine: "Engine", question: Question, tell: Tell) -> None:
        from tinycopilot.completion.engine import Request, Silence, Why  # noqa: PLC0415 (brings Numba)

        started_s, document = time.perf_counter(), self._surroundings.document
        why = Why.INVOKED if question.wants_others else Why.TYPED
        request = Request(question.before, question.after, document, why)

        def cancelled() -> bool:
            return self._question is not question

        result = engine.complete(request, cancelled)
        if result.silence is Silence.CANCELLED:
            return
        took_ms = 1000 * (time.perf_counter() - started_s)
        tell(Answer(question, result.suggestion, took_ms, result.suggestions[1:]))
        if result.suggestion is not None:
            engine.complete(request.after_accepting(result.suggestion), cancelled)


def loader(paths: ModelPaths, settings: CompleterSettings) -> Callable[[], "Engine"]:
    """How to load a model; Numba is imported with it, which takes a moment."""

    def load() -> "Engine":
        from tinycopilot.completion.engine import Engine  # noqa: PLC0415 (see above)

        engine = Engine.load(paths, settings)
        engine.warm_up()
        return engine

    return load
