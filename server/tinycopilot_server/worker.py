"""One thread that owns the Completer; the newest question wins. No other file of the server touches a Completer."""

import asyncio
import logging
import threading
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tinycopilot import places
from tinycopilot.completion.stopping import Suggestion
from tinycopilot_server.settings import Settings

if TYPE_CHECKING:
    from tinycopilot.completion.completer import Completer

log = logging.getLogger(__name__)


@dataclass
class Job:
    """One question under way, and how many requests wait for its answer."""

    key: Hashable
    cancelled: threading.Event = field(default_factory=threading.Event)
    n_waiting: int = 0
    answer: "asyncio.Future[Suggestion | None] | None" = None


class Worker:
    """Answers from the event loop's side; computes in a thread of its own, so that the loop is always free."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="completer")
        self._completer: Completer | None = None
        self._job: Job | None = None

    async def load(self, settings: Settings) -> None:
        """Load model and tokenizer, in the thread. Raises UserError."""
        loop = asyncio.get_running_loop()
        self._completer = await loop.run_in_executor(self._thread, self._load, settings)

    def _load(self, settings: Settings) -> "Completer":
        from tinycopilot.completion.completer import Completer  # noqa: PLC0415 (brings PyTorch: a second, not on the loop)

        paths = places.to_load(settings.model_path, settings.tokenizer_path, trust_working_folder=False)
        completer = Completer.load(paths, settings.completer)
        completer.warm_up()
        return completer

    async def suggest(self, key: Hashable, before: str, after: str) -> Suggestion | None:
        """The suggestion for one place in one version of a document, which `key` names; None while there is no model.

        Requests for the same key share one computation. Another key cancels it, and is answered next; so does the
        cancellation of all requests that wait.
        """
        if self._completer is None:
            return None
        job = self._job
        if job is None or job.key != key or job.cancelled.is_set():
            if job is not None:
                job.cancelled.set()
            job = self._job = Job(key)
            job.answer = asyncio.get_running_loop().run_in_executor(
                self._thread, self._compute, self._completer, job, before, after
            )
        assert job.answer is not None
        job.n_waiting += 1
        try:
            return await asyncio.shield(job.answer)
        finally:
            job.n_waiting -= 1
            if job.n_waiting == 0 and not job.answer.done():
                job.cancelled.set()

    @staticmethod
    def _compute(completer: "Completer", job: Job, before: str, after: str) -> Suggestion | None:
        """In the thread."""
        from tinycopilot.completion.decode import Cancelled  # noqa: PLC0415 (see _load)

        try:
            return completer.suggest(before, after, job.cancelled.is_set)
        except Cancelled:
            log.debug("superseded or cancelled: %s", job.key)
            return None

    def close(self) -> None:
        """Stop computing; what still waits is told that it was cancelled."""
        if self._job is not None:
            self._job.cancelled.set()
        self._thread.shutdown(wait=False, cancel_futures=True)
