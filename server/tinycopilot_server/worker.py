"""One thread that owns the Completer; the newest question wins. No other file of the server touches a Completer."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NoAnswer
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from tinycopilot import UserError, places
from tinycopilot.completion.stopping import Suggestion
from tinycopilot_server import model_files
from tinycopilot_server.indexing import Indexer
from tinycopilot_server.kept_memory import KeptMemory
from tinycopilot_server.learned import Learned
from tinycopilot_server.settings import Settings

if TYPE_CHECKING:
    from tinycopilot.completion.completer import Completer
    from tinycopilot.completion.memory import WorkspaceMemory

LONG_CHARS = 50_000
"""To sort so many takes longer than a frame: it is done as soon as the document is opened, and not in this thread."""
CLOSE_S = 2.0
N_OTHERS = 2
"""So many suggestions besides the best one are found for who asks to see them."""

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass
class Job:
    """One question under way, and how many requests wait for its answer."""

    key: tuple[Hashable, int]
    """What it is about, and how often the memory had been told anything by then."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    n_waiting: int = 0
    answer: "asyncio.Future[Suggestion | None] | None" = None


class Worker:
    """Answers from the event loop's side; computes in a thread of its own, so that the loop is always free."""

    def __init__(
        self,
        is_open: Callable[[str], bool] = lambda _name: False,
        was_open: Callable[[str], bool] = lambda _name: False,
    ) -> None:
        """`is_open`: whether the editor has a document of that name; `was_open`: whether it has ever had one."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="completer")
        self.indexer = Indexer(self._ask_memory, is_open)
        self._was_open = was_open
        self._completer: Completer | None = None
        self._job: Job | None = None
        self._n_told = 0  # how often the memory was told anything: an answer from before that does not count
        self._preparing: dict[str, asyncio.Future[None]] = {}
        self._remembers = True  # whether there is to be a memory of more than the document at hand
        self._is_forgotten = False  # the user wants nothing of this workspace to be remembered
        self._learned = Learned()
        self._is_closed = False

    async def load(self, settings: Settings, folder: str | None = None) -> None:
        """Load model and tokenizer, in the thread, and what was learned in the workspace `folder`. Raises UserError."""
        loop = asyncio.get_running_loop()
        self._remembers = self._max_chars(settings) > 0
        completer, self._learned = await loop.run_in_executor(
            self._thread, partial(self._load, settings, folder, is_first=True)
        )
        self._keep_memory(completer)
        self._completer = completer

    def _max_chars(self, settings: Settings) -> int:
        """So much of the workspace may be known: nothing of one that is to be forgotten, whatever is set later."""
        return 0 if self._is_forgotten else settings.max_workspace_chars

    async def reload(self, settings: Settings, folder: str | None = None) -> bool:
        """Load them again, in another thread, and let the new model take over between two questions.

        Returns whether it took over all that is known of the workspace: if its alphabet is another one, the memory
        begins anew, and is to be shown everything again. Raises UserError, and then the old one goes on.
        """
        loop = asyncio.get_running_loop()
        new = await loop.run_in_executor(None, partial(self._load, settings, folder, is_first=False))
        # By way of the indexer's thread: what it has begun with one memory it does not finish with another.
        return await asyncio.wrap_future(self.indexer.do(partial(self._replace, *new)))

    def _replace(self, completer: "Completer", learned: Learned) -> bool:
        """In the indexer's thread."""
        takes_over = self._thread.submit(self._take_over, completer, learned).result()
        if not takes_over:
            self.indexer.forget()
            self._keep_memory(completer)
        return takes_over

    def _keep_memory(self, completer: "Completer") -> None:
        """What is indexed is kept between sessions, for this workspace and this alphabet."""
        folders, digest = self.indexer.folders.roots, completer.tokenizer.digest
        path = places.user_memory(folders, digest)
        may_be_kept = folders and not self._is_forgotten
        self.indexer.kept = KeptMemory(path, digest, self._was_open) if may_be_kept else None

    def _take_over(self, completer: "Completer", learned: Learned) -> bool:
        """In the thread."""
        old = self._completer
        takes_over = old is not None and completer.take_over(old)
        if takes_over:
            learned.is_saved = self._learned.is_saved
        elif old is not None and not self._learned.is_saved:
            self.indexer.do(_saving(self._learned, old))
        self._completer, self._learned = completer, learned
        self._n_told += 1  # answers of the old one do not count any more
        return takes_over

    def _load(self, settings: Settings, folder: str | None, *, is_first: bool) -> "tuple[Completer, Learned]":
        """The Completer, and what the workspace has taught it.

        The workspace's own model is no more than a help: if it is not sound, at first another one is taken.
        """
        from tinycopilot.completion.completer import Completer  # noqa: PLC0415 (brings PyTorch: not on the loop)

        paths, others = model_files.to_use(settings, folder), model_files.to_use(settings, None)
        try:
            completer = Completer.load(paths, settings.completer, self._max_chars(settings))
        except UserError as error:
            if paths == others or not is_first:
                raise
            log.warning("%s: the workspace's own model is not used", error)
            completer = Completer.load(others, settings.completer, self._max_chars(settings))
        completer.warm_up()
        learned = Learned(places.user_weights(folder, completer.tokenizer.digest) if folder is not None else None)
        if self._remembers:
            learned.recall(completer.workspace, completer.tokenizer.digest)
        return completer, learned

    def configure(self, settings: Settings) -> None:
        """Complete and remember by these settings from now on, but for the model's paths, which `load` takes."""
        wants_to_remember = self._max_chars(settings) > 0
        began, self._remembers = wants_to_remember and not self._remembers, wants_to_remember
        self._tell(lambda completer: self._configure(completer, settings, began_to_remember=began))

    def _configure(self, completer: "Completer", settings: Settings, *, began_to_remember: bool) -> None:
        """In the thread."""
        completer.configure(settings.completer)
        memory, max_chars = completer.workspace.memory, self._max_chars(settings)
        is_more = max_chars > memory.max_chars
        memory.limit(max_chars)
        if began_to_remember:
            self._learned.recall(completer.workspace, completer.tokenizer.digest)
        if is_more:
            self.indexer.do(self.indexer.folders.forget)
            self.indexer.look(None)

    async def suggest(
        self, key: Hashable, name: str | None, before: str, after: str, as_if: tuple[str, str] | None = None
    ) -> Suggestion | None:
        """The suggestion for one place in one version of a document, which `key` names; None while there is no model.

        `name` is the document's for the memory; None: it is not held there. `as_if` are the texts on both sides of the
        cursor that it is asked about if they are not those that stand there; `key` names them, too. Requests for the
        same key share one computation, as long as the memory is told nothing. Another key cancels it, and is answered
        next; so does the cancellation of all requests that wait.
        """
        if self._completer is None:
            return None
        if name in self._preparing:
            await asyncio.shield(self._preparing[name])
        now, job = (key, self._n_told), self._job
        if job is None or job.key != now or job.cancelled.is_set():
            if job is not None:
                job.cancelled.set()
            job = self._job = Job(now)
            job.answer = asyncio.get_running_loop().run_in_executor(
                self._thread, self._compute, self._completer, job, name, before, after, as_if
            )
        assert job.answer is not None
        job.n_waiting += 1
        try:
            return await asyncio.shield(job.answer)
        finally:
            job.n_waiting -= 1
            if job.n_waiting == 0 and not job.answer.done():
                job.cancelled.set()

    async def others(self, key: Hashable) -> list[Suggestion]:
        """More suggestions for that place, if the last question was about it."""
        job = self._job
        if self._completer is None or job is None or job.key != (key, self._n_told) or job.cancelled.is_set():
            return []
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._others, self._completer, job)

    def _others(self, completer: "Completer", job: Job) -> list[Suggestion]:
        """In the thread."""
        from tinycopilot.completion.decode import Cancelled  # noqa: PLC0415 (see _load)

        with contextlib.suppress(Cancelled):
            if not job.cancelled.is_set():
                return completer.alternatives(N_OTHERS, job.cancelled.is_set)
        return []

    def _compute(
        self,
        completer: "Completer",
        job: Job,
        name: str | None,
        before: str,
        after: str,
        as_if: tuple[str, str] | None,
    ) -> Suggestion | None:
        """In the thread."""
        from tinycopilot.completion.completer import Place  # noqa: PLC0415 (see _load)
        from tinycopilot.completion.decode import Cancelled  # noqa: PLC0415

        with self.indexer.giving_way():
            if name is not None and self._remembers and completer.learn_from_key(before, after, name):
                self._learned.is_saved = False
            try:
                if as_if is not None:
                    return completer.suggest_as_if(Place(name, before, after), as_if, job.cancelled.is_set)
                suggestion = completer.suggest(before, after, job.cancelled.is_set, document=name)
                if suggestion is not None and not self._is_closed:
                    self._thread.submit(self._work_ahead, completer, job)
                return suggestion
            except Cancelled:
                return None
            finally:
                self._see_to_the_rest(completer)

    def _work_ahead(self, completer: "Completer", job: Job) -> None:
        """In the thread, until there is another question; not if the memory was told anything since: to drop it?"""
        from tinycopilot.completion.decode import Cancelled  # noqa: PLC0415 (see _load)

        _, n_told = job.key
        if n_told == self._n_told and not job.cancelled.is_set():
            with contextlib.suppress(Cancelled):
                completer.work_ahead(job.cancelled.is_set)

    def _see_to_the_rest(self, completer: "Completer") -> None:
        """What others do in their threads, now and then."""
        if completer.workspace.memory.is_untidy:
            self.indexer.look()
        if self._learned.is_due:
            self.indexer.do(_saving(self._learned, completer))

    def hold(self, name: str, text: str) -> None:
        """An open document is this now."""
        if self._remembers:
            self._tell(lambda completer: completer.hold(name, text))

    def drop(self, name: str) -> None:
        """A document is not open any more, or must not be held."""
        self._tell(lambda completer: completer.workspace.memory.drop(name))

    def forget_file(self, name: str) -> None:
        """Nothing of it is held any more, nor kept on disk."""
        self.drop(name)
        if (kept := self.indexer.kept) is not None:
            self.indexer.do(kept.forget)

    def forget_workspace(self) -> None:
        """All that is known or was learned is given up, here and on disk; nothing is remembered from now on."""
        self._is_forgotten, self._remembers = True, False
        # By way of the indexer's thread: what it has begun with one memory it does not finish with another.
        self.indexer.do(self._forget_all)

    def _forget_all(self) -> None:
        """In the indexer's thread."""
        if self._completer is not None:
            self._thread.submit(_forget, self._completer).result()
            self._n_told += 1  # what was found before does not count any more
        if self.indexer.kept is not None:
            self.indexer.kept.forget()
            self.indexer.kept = None
        self._thread.submit(self._learned.forget).result()
        log.info("the workspace is forgotten")

    def look(self, uris: Iterable[str] | None) -> None:
        """Look at these files and folders, or, if it is None, at all that has changed on disk."""
        if self._completer is not None and self._remembers:
            self.indexer.look(uris)

    def prepare(self, name: str, text: str) -> None:
        """A document was opened: if it is long, questions about it wait until it is sorted, elsewhere."""
        if self._completer is None or len(text) < LONG_CHARS:
            return
        completer, loop = self._completer, asyncio.get_running_loop()

        async def prepare() -> None:
            try:
                offer = await loop.run_in_executor(None, completer.prepare, name, text)
                self._tell(lambda _: offer())
            finally:
                self._preparing.pop(name, None)

        self._preparing[name] = asyncio.ensure_future(prepare())

    def _tell(self, function: "Callable[[Completer], None]") -> None:
        if self._completer is not None and not self._is_closed:
            self._n_told += 1
            self._thread.submit(function, self._completer)

    def _ask_memory(self, function: "Callable[[WorkspaceMemory], T]") -> T:
        """For the indexer's thread."""
        assert self._completer is not None
        self._n_told += 1
        return self._thread.submit(function, self._completer.workspace.memory).result()

    def close(self) -> None:
        """Stop computing, and keep what was learned; what still waits is told that it was cancelled."""
        if self._job is not None:
            self._job.cancelled.set()
        self.indexer.close()
        if (completer := self._completer) is not None and not self._is_closed:
            with contextlib.suppress(NoAnswer):
                self._thread.submit(lambda: self._learned.is_saved or _saving(self._learned, completer)()).result(
                    CLOSE_S
                )
        self._is_closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)


def _forget(completer: "Completer") -> None:
    completer.forget()
    completer.workspace.memory.limit(0)


def _saving(learned: Learned, completer: "Completer") -> Callable[[], None]:
    return learned.saving(completer.workspace, completer.tokenizer.digest)
