"""Questions to the engine: the newest one wins, and those for the same place share one computation."""

import asyncio
import threading
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from tinycopilot.completion.truncation import Suggestion
from tinycopilot_server.completer_thread import CompleterThread
from tinycopilot_server.memory import Memory

if TYPE_CHECKING:
    from tinycopilot.completion.engine import Engine, Request

LONG_CHARS = 50_000
"""To sort so many takes longer than a frame: it is done as soon as the document is opened, and not in this thread."""


@dataclass
class Job:
    """One question under way, and how many requests wait for its answer."""

    key: tuple[Hashable, int]
    """What it is about, and how often the engine had been told anything by then."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    n_waiting: int = 0
    answer: "asyncio.Future[Suggestion | None] | None" = None
    request: "Request | None" = None
    """When it is answered."""


class Questions:
    """Asked on the event loop, which is always free; answered in the engine's thread."""

    def __init__(self, thread: CompleterThread, memory: Memory) -> None:
        self._thread, self._memory = thread, memory
        self._job: Job | None = None
        self._preparing: dict[str, asyncio.Future[None]] = {}

    async def suggest(
        self, key: Hashable, name: str | None, before: str, after: str, as_if: tuple[str, str] | None = None
    ) -> Suggestion | None:
        """The suggestion for one place in one version of a document, which `key` names; None while there is no model.

        `name` is the document's for the memory; None: it is not held there. `as_if` are the texts on both sides of the
        cursor that it is asked about if they are not those that stand there; `key` names them, too. Requests for the
        same key share one computation, as long as the engine is told nothing. Another key cancels it, and is
        answered next; it is cancelled, too, when all requests that wait for it are.
        """
        if not self._thread.is_ready:
            return None
        if name in self._preparing:
            await asyncio.shield(self._preparing[name])
        now, job = (key, self._thread.n_told), self._job
        if job is None or job.key != now or job.cancelled.is_set():
            self.cancel()
            job = self._job = Job(now)
            compute = partial(self._compute, job, name, before, after, as_if)
            job.answer = asyncio.wrap_future(self._thread.ask(compute))
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
        if job is None or job.key != (key, self._thread.n_told) or job.cancelled.is_set():
            return []
        return await asyncio.wrap_future(self._thread.ask(partial(_others, job)))

    def prepare(self, name: str, text: str) -> None:
        """A document was opened: if it is long, questions about it wait until it is sorted, elsewhere."""
        engine = self._thread.engine
        if engine is None or len(text) < LONG_CHARS:
            return

        async def prepare() -> None:
            try:
                offer = await asyncio.to_thread(engine.prepare, name, text)
                self._thread.tell(lambda _: offer())
            finally:
                self._preparing.pop(name, None)

        self._preparing[name] = asyncio.ensure_future(prepare())

    def cancel(self) -> None:
        """Compute no more for the last one."""
        if self._job is not None:
            self._job.cancelled.set()

    def _compute(
        self,
        job: Job,
        name: str | None,
        before: str,
        after: str,
        as_if: tuple[str, str] | None,
        engine: "Engine",
    ) -> Suggestion | None:
        """In the thread."""
        from tinycopilot.completion.engine import Request, Silence  # noqa: PLC0415 (brings Numba: not on the loop)

        with self._memory.indexer.giving_way():
            request = Request(before, after, name, selected=as_if)
            result = engine.complete(request, job.cancelled.is_set)
            self._memory.after_request(engine, has_learned=result.has_learned)
            if result.silence is Silence.CANCELLED:
                return None
            job.request = request
            if result.suggestion is not None and as_if is None and self._thread.is_ready:
                self._thread.ask(partial(self._work_ahead, job, request.after_accepting(result.suggestion)))
            return result.suggestion

    def _work_ahead(self, job: Job, request: "Request", engine: "Engine") -> None:
        """In the thread, until there is another question; not if the memory was told anything since: to drop it?"""
        _, n_told = job.key
        if n_told == self._thread.n_told and not job.cancelled.is_set():
            engine.complete(request, job.cancelled.is_set)


def _others(job: Job, engine: "Engine") -> list[Suggestion]:
    """In the thread."""
    from tinycopilot.completion.engine import Why  # noqa: PLC0415 (see Questions._compute)

    if job.request is None or job.request.selected is not None or job.cancelled.is_set():
        return []
    return list(engine.complete(replace(job.request, why=Why.INVOKED), job.cancelled.is_set).suggestions[1:])
