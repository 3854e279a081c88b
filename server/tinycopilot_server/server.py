"""The server: pygls's server with the components that the handlers use."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from typing import Any

import cattrs
from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException, JsonRpcParseError
from pygls.lsp.server import LanguageServer
from pygls.protocol import default_converter

from tinycopilot import __version__
from tinycopilot.completion.scheduler import Scheduler
from tinycopilot.paths import statistics_path
from tinycopilot_server import lifetime
from tinycopilot_server.completion import Completer, Folding
from tinycopilot_server.index import Index
from tinycopilot_server.models import Models
from tinycopilot_server.protocol import Protocol
from tinycopilot_server.session import Session
from tinycopilot_server.settings import SECTION
from tinycopilot_server.statistics import Statistics
from tinycopilot_server.training import Training

END_LIMIT_S = 10.0
"""Time limit for saving learned weights after the client's process has ended."""

log = logging.getLogger(__name__)


def _converter() -> cattrs.Converter:
    """pygls's converter, which maps unknown trigger kinds (0, from clients of drafts of 3.18) to automatic."""
    converter, kinds = default_converter(), types.InlineCompletionTriggerKind
    converter.register_structure_hook(
        kinds, lambda value, _: kinds.Invoked if value == kinds.Invoked.value else kinds.Automatic
    )
    return converter


NOTEBOOKS = types.NotebookDocumentSyncOptions(
    [types.NotebookDocumentFilterWithNotebook(types.NotebookDocumentFilterScheme(one)) for one in ("file", "untitled")]
)
"""Notebooks on disk, and new ones without a file; all cells. Not old versions in diff views (scheme `git`)."""


class TinyCopilotServer(LanguageServer):
    """Creates and closes the components. Each gets only those that it uses."""

    def __init__(self) -> None:
        super().__init__(
            name="tinycopilot", version=__version__, protocol_cls=Protocol, converter_factory=_converter, max_workers=2,
            notebook_document_sync=NOTEBOOKS,
        )  # fmt: skip
        self.session = Session(self)
        self.scheduler = Scheduler()
        self.index = Index(self.session, self.scheduler)
        self.models = Models(self.session, self.scheduler, self.index)
        self.completer = Completer(self.session, self.scheduler, self.index)
        self.training = Training(self.session, self.index, self.models)
        self.statistics = Statistics(statistics_path(), self.session.documents.text_of)
        self.folding = Folding()

    @property
    def encoding(self) -> str:
        """The client's position encoding."""
        return types.PositionEncodingKind(self.workspace.position_encoding).value

    @property
    def exit_code(self) -> int:
        """The process's exit code, as LSP defines it; pygls does not return it."""
        return int(not self.protocol._shutdown)

    def apply_settings(self, received: object) -> None:
        """Apply the client's settings; each change takes effect at once."""
        session, old = self.session, self.session.settings
        new = session.take_settings(received)
        if new == old:
            return
        if (new.languages, new.exclude) != (old.languages, old.exclude):
            self.index.choose(new)
        self.index.configure(new)
        self.statistics.is_on = new.statistics
        if new.max_workspace_chars > old.max_workspace_chars:
            self.index.hold_all_again()
        if self.models.has_started and (new.model_path, new.tokenizer_path) != (old.model_path, old.tokenizer_path):
            self.models.soon(self.models.reload_and_warn())
        if session.is_initialized and (new.enabled, new.exclude) != (old.enabled, old.exclude):
            session.send_status()
        if session.is_initialized and new.enabled and not old.enabled:
            self.models.soon(self.models.start())

    async def pull_settings(self) -> None:
        """Ask the client for its settings, if it can send them, and apply them."""
        if not get_capability(self.client_capabilities, "workspace.configuration"):
            return
        try:
            params = types.ConfigurationParams([types.ConfigurationItem(section=SECTION)])
            for settings in await self.workspace_configuration_async(params):
                self.apply_settings(settings)
        except JsonRpcException as error:
            log.warning("the client refused to send its settings: %s", error)

    def update_folders(self) -> None:
        """Take the workspace's folders as the client has them now."""
        uris = [folder.uri for folder in self.workspace.folders.values()]
        self.session.folders.set_roots(uris if uris or self.session.has_folders else [self.workspace.root_uri or ""])
        self.index.change_folders()

    def stop(self) -> None:
        """Stop computing and training, and save what was learned and counted. A second call does nothing."""
        self.scheduler.cancel()
        self.index.close()
        self.scheduler.close()
        self.training.close()
        self.statistics.check_kept()
        self.statistics.save()  # last, since it may wait for a lock

    def _end(self, exit_code: int) -> None:
        """Save and exit at once: a thread is blocked reading from the client, and cannot be interrupted."""
        self.stop()
        os._exit(exit_code)

    def stop_at_sigterm(self) -> None:
        """On SIGTERM, from the editor or a system shutdown, save and exit."""
        if sys.platform != "win32":  # Windows has no SIGTERM
            # Not the loop's own handler, which would replace the watchdog's pipe.
            loop = asyncio.get_running_loop()
            signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(self._end, 128 + signal.SIGTERM))

    def stop_with_client(self, pid: int | None) -> None:
        """When the client's process has ended, save and exit, even if the pipe is still open."""
        loop = asyncio.get_running_loop()

        def on_end() -> None:
            log.info("the client's process has ended")
            with contextlib.suppress(RuntimeError):  # the loop has already ended
                loop.call_soon_threadsafe(self._end, self.exit_code)
            time.sleep(END_LIMIT_S)
            os._exit(self.exit_code)  # the loop is busy, or stuck

        lifetime.watch_client(pid, on_end)

    def shutdown(self) -> None:
        """Stop; pygls calls this at the end, for any reason."""
        self.stop()
        super().shutdown()

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log an error instead of showing it: the response contains it, and the user can do nothing about it."""
        log.error("%s", error)
        if source is JsonRpcException and isinstance(self.protocol, Protocol):  # pygls could not read a message
            self.protocol.refuse(None, JsonRpcParseError(f"invalid JSON: {error}"))
