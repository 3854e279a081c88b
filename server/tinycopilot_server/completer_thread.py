"""The one thread that the Completer is used in. What is to be done with it is sent there, one thing after the other."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from tinycopilot.completion.engine import Completer
    from tinycopilot.completion.ngram import NGramModel

T = TypeVar("T")


class CompleterThread:
    """Functions are called in it, each in its turn, with the Completer that is in use by then. From any thread."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="completer")
        self._is_closed = False
        self.completer: Completer | None = None
        """None until a model is loaded. It is replaced in this thread alone."""
        self.n_told = 0
        """How often the Completer was told anything: an answer from before that does not count."""

    @property
    def is_ready(self) -> bool:
        """Whether there is a Completer to tell and to ask."""
        return self.completer is not None and not self._is_closed

    def run(self, function: Callable[[], T]) -> "Future[T]":
        """Call it in its turn. Raises RuntimeError when the thread is closed."""
        return self._executor.submit(function)

    def ask(self, function: "Callable[[Completer], T]") -> "Future[T]":
        """The same, with the Completer: there must be one."""

        def in_its_turn() -> T:
            assert self.completer is not None
            return function(self.completer)

        return self.run(in_its_turn)

    def tell(self, function: "Callable[[Completer], object]") -> None:
        """The same, for what changes its answers, from the event loop; nothing, if it is not ready."""
        if self.is_ready:
            self.n_told += 1
            self.ask(function)

    def tell_if(self, changes: "Callable[[Completer], bool]") -> None:
        """The same, for what says itself whether it has changed anything: if not, answers from before count."""

        def count(completer: "Completer") -> None:
            if changes(completer):
                self.n_told += 1

        if self.is_ready:
            self.ask(count)

    def tell_and_wait(self, function: "Callable[[Completer], T]") -> T:
        """The same, from a thread that waits for what it says. Raises CancelledError or RuntimeError when closed."""
        said = self.ask(function).result()
        self.n_told += 1  # not before: a question that comes first would be answered as if it had come last
        return said

    def ask_memory(self, function: "Callable[[NGramModel], T]") -> T:
        """The same for its memory: the indexer's AskMemory."""
        return self.tell_and_wait(lambda completer: function(completer.workspace.memory))

    def close(self) -> None:
        """Do nothing more; what still waits is told that it was cancelled."""
        self._is_closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)
