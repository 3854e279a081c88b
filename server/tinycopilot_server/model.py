"""The model's life: it is loaded, loaded again when its files change or another is named, and how it is, is told."""

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from tinycopilot import UserError
from tinycopilot_server import loading, status
from tinycopilot_server.model_files import ModelFiles, to_use
from tinycopilot_server.progress import Progress
from tinycopilot_server.status import Status

if TYPE_CHECKING:
    from tinycopilot_server.app import TinyCopilotServer

log = logging.getLogger(__name__)


class Model:
    """The one in use. For the event loop."""

    def __init__(self, server: "TinyCopilotServer") -> None:
        self.status = Status("loading")
        self.has_started = False
        """Whether it is loaded, or being loaded."""
        self._server = server
        self._files = ModelFiles(lambda: to_use(server.settings, server.indexer.folders.main))
        self._lock = asyncio.Lock()  # one is loaded after the other: the one that was named last stays
        self._task: asyncio.Task[object] | None = None

    async def start(self) -> None:
        """Load it, and then index the workspace; once, and not before there is to be any suggestion."""
        server = self._server
        if not server.settings.enabled:
            status.show(server)
        elif not self.has_started:
            self.has_started = True
            server.indexer.new_bar = partial(
                Progress, server, "tinycopilot: indexing the workspace", loop=asyncio.get_running_loop()
            )
            await self.load()
            server.memory.look(None)

    def start_soon(self) -> None:
        """The same, without waiting for it."""
        self._task = asyncio.ensure_future(self.start())

    async def load(self) -> None:
        """Tell the client how it goes; without a model the server lives on, and suggests nothing."""
        server = self._server
        status.tell(server, "loading")
        progress = Progress(server, "tinycopilot: loading the model")
        progress.begin()
        try:
            await self._take_up(is_first=True)
        except UserError as error:
            status.tell(server, "error", str(error))
        except Exception as error:
            log.exception("the model could not be loaded")
            status.tell(server, "error", f"the model could not be loaded ({error}); the server's log says more")
        else:
            server.memory.configure(server.settings)  # which may have changed meanwhile
            server.documents.prepare_all()
            status.tell(server, "ready")
        finally:
            progress.end()

    async def reload(self) -> str:
        """Take it up as its files are now, while the old one answers; returns what is wrong, or nothing.

        If it is wrong, the old one goes on.
        """
        server = self._server
        try:
            takes_over = await self._take_up(is_first=False)
        except UserError as error:
            log.warning("the model before goes on: %s", error)
            return str(error)
        except Exception as error:
            log.exception("the model could not be loaded again; the one before goes on")
            return f"{error}; the server's log says more"
        log.info("loaded again: %s", to_use(server.settings, server.indexer.folders.main).model)
        if not takes_over:  # another alphabet: the memory knows nothing yet
            server.documents.show_all_again()
            server.memory.look(None)
        if self.status.state == "error":
            status.tell(server, "ready")
        return ""

    async def _take_up(self, *, is_first: bool) -> bool:
        """Returns whether it knows what the one before knew."""
        server = self._server
        async with self._lock:
            self._files.note()
            folder = server.indexer.folders.main
            return await loading.load(
                server.completer_thread, server.memory, server.settings, folder, is_first=is_first
            )

    def follow(self) -> None:
        """If its files have changed on disk, load them. Called when something happens, and not by a clock."""
        if self.status.state != "loading" and self._files.have_changed():
            self._task = asyncio.ensure_future(self.reload())

    def reload_soon(self) -> None:
        """The user has named another one: what is wrong with that is shown."""

        async def reload() -> None:
            problem = await self.reload()
            status.warn(self._server, [problem] if problem else [])

        self._task = asyncio.ensure_future(reload())
