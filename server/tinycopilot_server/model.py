"""The model's life: it is loaded, loaded again when its files change or another is named, and how it is, is told."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from tinycopilot import UserError
from tinycopilot_server import loading, status
from tinycopilot_server.model_files import ModelFiles, to_use
from tinycopilot_server.progress import Progress
from tinycopilot_server.status import Status

if TYPE_CHECKING:
    from tinycopilot_server.app import TinyCopilotServer

COMPILING = "compiling, once on this machine"

log = logging.getLogger(__name__)


class Model:
    """The one in use. For the event loop."""

    def __init__(self, server: "TinyCopilotServer") -> None:
        self.status = Status("loading")
        self.has_started = False
        """Whether it is loaded, or being loaded."""
        self._server = server
        self._files = ModelFiles(lambda: to_use(server.settings, server.folders.main))
        self._lock = asyncio.Lock()  # one is loaded after the other: the one that was named last stays
        self._tasks = set[asyncio.Task[object]]()

    async def start(self) -> None:
        """Load it, and index the workspace; once, and not before there is to be any suggestion.

        The client is told how it goes; without a model the server lives on, and suggests nothing.
        """
        server, loop = self._server, asyncio.get_running_loop()
        if not server.settings.enabled:
            status.show(server)
            return
        if self.has_started:
            return
        self.has_started = True
        server.memory.indexer.new_bar = partial(Progress, server, "tinycopilot: indexing the workspace", loop=loop)
        status.tell(server, "loading")
        progress = Progress(server, "tinycopilot: loading the model")
        progress.begin()

        def tell_compiling() -> None:
            progress.report(COMPILING)
            loop.call_soon_threadsafe(status.tell, server, "loading", COMPILING)

        try:
            problem = await self._take_up(is_first=True, on_compiling=tell_compiling)
            status.tell(server, "error" if problem else "ready", problem)
        finally:
            progress.end()

    async def reload(self) -> str:
        """Take it up as its files are now, while the old one answers; returns what is wrong, or nothing.

        If it is wrong, the old one goes on.
        """
        problem = await self._take_up(is_first=False)
        if problem:
            log.warning("the model before goes on: %s", problem)
        elif self.status.state == "error":
            status.tell(self._server, "ready")
        return problem

    async def reload_and_warn(self) -> str:
        """The same, and show what is wrong."""
        problem = await self.reload()
        status.warn(self._server, [problem] if problem else [])
        return problem

    def follow(self) -> None:
        """If its files have changed on disk, load them. Called when something happens, and not by a clock."""
        if self.status.state != "loading" and self._files.have_changed():
            self.soon(self.reload())

    def soon(self, work: Coroutine[Any, Any, object]) -> None:
        """One of these, without waiting for it."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)  # the loop itself keeps none alive
        task.add_done_callback(self._tasks.discard)

    async def _take_up(self, *, is_first: bool, on_compiling: Callable[[], None] = lambda: None) -> str:
        """Returns what is wrong, or nothing."""
        server = self._server
        try:
            async with self._lock:
                self._files.note()
                takes_over = await loading.load(
                    server.completer_thread,
                    server.memory,
                    server.settings,
                    server.folders.main,
                    is_first=is_first,
                    on_compiling=on_compiling,
                )
        except UserError as error:
            return str(error)
        except Exception as error:
            log.exception("the model could not be loaded")
            return f"the model could not be loaded ({error}); the server's log says more"
        server.memory.configure(server.settings)  # which may have changed meanwhile
        if not takes_over:  # the memory knows nothing yet
            server.documents.show_all_again()
            server.memory.look(None)
        return ""
