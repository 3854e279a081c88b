"""Progress bars in the client (LSP's work-done progress)."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable
from concurrent.futures import Future

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

log = logging.getLogger(__name__)


class Progress:
    """A progress bar. Methods may be called from any thread; they do nothing if the client does not support progress.

    Nothing is shown until the client accepts the bar; then only the last report is shown, or nothing if the work
    has ended.
    """

    def __init__(
        self,
        server: LanguageServer,
        title: str,
        on_cancel: Callable[[], object] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """`on_cancel` is called on the event loop if the user cancels; without it, the bar has no cancel button.

        `loop` must be given if the bar is not created on the event loop.
        """
        self._server, self._title, self._on_cancel = server, title, on_cancel
        self._loop = loop or asyncio.get_running_loop()
        self._token = str(uuid.uuid4())
        self._last: tuple[str, int | None] = ("", None)
        self._is_shown = self._is_over = False
        self._asking: asyncio.Task[None] | None = None

    def report(self, message: str = "", percentage: int | None = None) -> None:
        """Update the bar; the first call shows it. Without a percentage (0 to 100) there, it never has one."""
        self._call(self._report, message, percentage)

    def end(self, message: str = "") -> None:
        """Remove the bar, however the work ended. A second call does nothing."""
        self._call(self._end, message)

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        if get_capability(self._server.client_capabilities, "window.work_done_progress"):
            with contextlib.suppress(RuntimeError):  # the loop is closed: the client has exited
                self._loop.call_soon_threadsafe(function, *arguments)

    async def _ask_and_begin(self) -> None:
        bars = self._server.work_done_progress
        try:
            await bars.create_async(self._token)
        except JsonRpcException as error:
            log.debug("the client shows no progress: %s", error)
            return
        if self._is_over:
            bars.tokens.pop(self._token, None)
            return
        self._is_shown = True
        message, percentage = self._last
        bars.tokens[self._token].add_done_callback(self._stopped)
        begin = types.WorkDoneProgressBegin(
            title=self._title, cancellable=self._on_cancel is not None, message=message, percentage=percentage
        )
        bars.begin(self._token, begin)

    def _stopped(self, token: "Future[None]") -> None:
        if self._on_cancel is not None and token.cancelled() and not self._is_over:
            self._on_cancel()

    def _report(self, message: str, percentage: int | None) -> None:
        self._last = (message, percentage)
        if self._asking is None:
            self._asking = asyncio.ensure_future(self._ask_and_begin())
        elif self._is_shown and not self._is_over:
            report = types.WorkDoneProgressReport(message=message, percentage=percentage)
            self._server.work_done_progress.report(self._token, report)

    def _end(self, message: str) -> None:
        if self._is_shown and not self._is_over:
            self._server.work_done_progress.end(self._token, types.WorkDoneProgressEnd(message=message))
            self._server.work_done_progress.tokens.pop(self._token, None)
        self._is_over = True
