"""Models: choose and load the model, and reload it when its files change or the settings name another one."""

import asyncio
import logging
import shutil
import time
import traceback
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinycopilot import UserError
from tinycopilot.completion.scheduler import Scheduler
from tinycopilot.extras import missing_library
from tinycopilot.paths import ModelPaths, Origin, describe_model, find_model, workspace_model
from tinycopilot.process import importing
from tinycopilot_server.index import Index
from tinycopilot_server.progress import Progress
from tinycopilot_server.session import Session
from tinycopilot_server.settings import Settings

if TYPE_CHECKING:
    from tinycopilot.completion.engine import Engine

COMPILING = "compiling, once on this machine"
CHECK_S = 2.0
"""Minimum time between two checks of the model's files. There is no timer: edits and saves trigger a check."""

Stamp = tuple[object, ...]

log = logging.getLogger(__name__)


def to_use(settings: Settings, folder: str | None) -> tuple[ModelPaths, Origin]:
    """Return the model in the settings, else the one adapted to the workspace, the user's own, or the bundled one.

    Raises UserError.
    """
    return find_model(settings.model_path, settings.tokenizer_path, workspace=folder)


def delete_own(folder: str) -> None:
    """Delete the model that was adapted to the workspace `folder`, if there is one."""
    shutil.rmtree(workspace_model(folder).model.parent, ignore_errors=True)


def stamp_of(path: Path) -> Stamp | None:
    """Return a value that changes when the file is replaced or modified; None if it does not exist."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


class Models:
    """The model in use. Use it on the event loop."""

    def __init__(self, session: Session, scheduler: Scheduler, index: Index) -> None:
        self._session, self._scheduler, self._index = session, scheduler, index
        self.has_started = False
        """Whether a model is loaded, or is being loaded."""
        self.description = ""
        """The last loaded model, and why it was chosen."""
        self.name = ""
        """Its file name and origin."""
        self._stamp: Stamp = ()
        """The state of the model's files before they were last read."""
        self._checked_s = -CHECK_S
        self._lock = asyncio.Lock()  # models are loaded in order, so that the last one named is used
        self._tasks = set[asyncio.Task[object]]()

    async def start(self) -> None:
        """Load the model and index the workspace, once, unless suggestions are disabled.

        Reports progress to the client. If there is no model, the server keeps running without suggestions.
        """
        session, loop = self._session, asyncio.get_running_loop()
        if not session.settings.enabled:
            session.send_status()
            return
        if self.has_started:
            return
        self.has_started = True
        new_bar = partial(Progress, session.client, "tinycopilot: indexing the workspace", loop=loop)
        self._index.indexer.new_bar = new_bar
        session.report("loading")
        progress = Progress(session.client, "tinycopilot: loading the model")
        progress.report()

        def report_compiling() -> None:
            progress.report(COMPILING)
            loop.call_soon_threadsafe(session.report, "loading", COMPILING)

        try:
            problem = await self._try_to_load(report_compiling)
            session.report("error" if problem else "ready", problem)
        finally:
            progress.end()

    async def reload(self) -> str:
        """Load the model files again, while the current model answers; return an error message, "" if none.

        After an error, the current model stays in use.
        """
        problem = await self._try_to_load()
        if problem:
            log.warning("keeping the current model: %s", problem)
        elif self._session.model_status.state == "error":
            self._session.report("ready")
        return problem

    async def reload_and_warn(self) -> str:
        """Reload the model, and show an error to the user."""
        problem = await self.reload()
        self._session.warn([problem] if problem else [])
        return problem

    def follow(self) -> None:
        """Reload the model if its files have changed, or others are to be used. Checks at most every CHECK_S."""
        now_s = time.monotonic()
        if self._session.model_status.state == "loading" or now_s - self._checked_s < CHECK_S:
            return
        self._checked_s, before, self._stamp = now_s, self._stamp, self._stamp_now()
        if self._stamp != before:
            self.soon(self.reload())

    def _stamp_now(self) -> Stamp:
        """Return a value that changes when other files are to be used, or one is replaced or modified."""
        try:
            paths, _ = to_use(self._session.settings, self._session.folders.main)
        except UserError as error:
            return (str(error),)
        return paths, stamp_of(paths.model), stamp_of(paths.tokenizer)

    def soon(self, work: Coroutine[Any, Any, object]) -> None:
        """Run one of these methods without waiting for it."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)  # the loop itself holds only a weak reference
        task.add_done_callback(self._tasks.discard)

    async def _try_to_load(self, on_compiling: Callable[[], None] = lambda: None) -> str:
        """Load a model; return an error message, "" if none."""
        try:
            async with self._lock:
                self._stamp = self._stamp_now()
                is_continued = await self.load(on_compiling)
        except UserError as error:
            return str(error)
        except Exception as error:
            log.exception("the model could not be loaded")
            problem = missing_library(traceback.format_exc()) or f"{error}; see the server's log"
            return f"the model could not be loaded: {problem}"
        self._index.configure(self._session.settings)  # they may have changed meanwhile
        if not is_continued:  # nothing is indexed yet
            self._index.hold_all_again()
            self._index.scan(None)
        return ""

    async def load(self, on_compiling: Callable[[], None] = lambda: None) -> bool:
        """Load a model and use it from now on; return whether the n-gram model was kept.

        The first one is loaded in the engine's thread, later ones in another thread, while the current one answers.
        `on_compiling` is called, in that thread, if the engine must be compiled first, which takes some seconds.
        Raises UserError; then the current model stays in use.
        """
        session, is_first = self._session, self._scheduler.engine is None
        work = partial(self._load, session.settings, session.folders.main, on_compiling, may_be_another=is_first)
        loading = asyncio.wrap_future(self._scheduler.submit(work)) if is_first else asyncio.to_thread(work)
        return await asyncio.wrap_future(self._index.take_over(await loading))

    def _load(
        self, settings: Settings, folder: str | None, on_compiling: Callable[[], None], *, may_be_another: bool
    ) -> "Engine":
        """Load in this thread. If `may_be_another`, an unreadable workspace model is replaced by the next in order."""
        with importing():
            from tinycopilot.completion.engine import Engine  # noqa: PLC0415 (brings Numba: not on the loop)
        paths, origin = to_use(settings, folder)
        try:
            engine = Engine.load(paths, settings.completer, self._index.max_chars)
        except UserError as error:
            if origin is not Origin.WORKSPACE or not may_be_another:
                raise
            log.warning("%s: the model adapted to this workspace is not used", error)
            return self._load(settings, None, on_compiling, may_be_another=False)
        self.description, self.name = describe_model(paths, origin), f"{paths.model.name} ({origin.value})"
        log.info("%s", self.description)
        if not engine.is_compiled:
            on_compiling()
        engine.warm_up()
        if not engine.is_compiled:
            log.warning(
                "compiled code cannot be cached, so each start takes some seconds longer; `tinycopilot doctor` says why"
            )
        return engine
