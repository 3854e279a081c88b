"""The one thread that the engine is used in. Work for it is sent there, one thing after the other."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from tinycopilot.completion.engine import Engine
    from tinycopilot.completion.ngram import NGramModel

T = TypeVar("T")


class CompleterThread:
    """Functions are called in it, each in its turn, with the engine that is in use by then. From any thread."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
        self._is_closed = False
        self._engine: Engine | None = None
        self.n_told = 0
        """How often the engine was told anything: an answer from before that does not count."""

    @property
    def engine(self) -> "Engine | None":
        """The engine in use; None until a model is loaded."""
        return self._engine

    def use(self, engine: "Engine") -> None:
        """Answer by this engine from now on, and no more by what another one has found. In this thread alone."""
        self._engine = engine
        self.n_told += 1

    @property
    def is_ready(self) -> bool:
        """Whether there is an engine to tell and to ask."""
        return self._engine is not None and not self._is_closed

    def run(self, function: Callable[[], T]) -> "Future[T]":
        """Call it in its turn. Raises RuntimeError when the thread is closed."""
        return self._executor.submit(function)

    def ask(self, function: "Callable[[Engine], T]") -> "Future[T]":
        """The same, with the engine: there must be one."""

        def in_its_turn() -> T:
            assert self._engine is not None
            return function(self._engine)

        return self.run(in_its_turn)

    def tell(self, function: "Callable[[Engine], object]") -> None:
        """The same, for what changes its answers, from the event loop; nothing, if it is not ready."""
        if self.is_ready:
            self.n_told += 1
            self.ask(function)

    def tell_if(self, changes: "Callable[[Engine], bool]") -> None:
        """The same, for what says itself whether it has changed anything: if not, answers from before count."""

        def count(engine: "Engine") -> None:
            if changes(engine):
                self.n_told += 1

        if self.is_ready:
            self.ask(count)

    def tell_and_wait(self, function: "Callable[[Engine], T]") -> T:
        """The same, from a thread that waits for what it says. Raises CancelledError or RuntimeError when closed."""
        said = self.ask(function).result()
        self.n_told += 1  # not before: a question that comes first would be answered as if it had come last
        return said

    def ask_memory(self, function: "Callable[[NGramModel], T]") -> T:
        """The same for its memory: the indexer's AskMemory."""
        return self.tell_and_wait(lambda engine: function(engine.ngrams))

    def close(self) -> None:
        """Do nothing more; what still waits is told that it was cancelled."""
        self._is_closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)
