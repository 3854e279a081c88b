"""The server object: pygls's, with documents of our own, a model, and an answer to every request."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from typing import Any, BinaryIO, cast

import cattrs
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol import default_converter

from tinycopilot import UserError, __version__, places
from tinycopilot_server import client_process
from tinycopilot_server.completer_thread import CompleterThread
from tinycopilot_server.debounce import Debounce
from tinycopilot_server.folders import Folders
from tinycopilot_server.indexing import Indexer
from tinycopilot_server.log import begin as begin_log
from tinycopilot_server.memory import Memory
from tinycopilot_server.model import Model
from tinycopilot_server.open_documents import OpenDocuments
from tinycopilot_server.protocol import Framed, Heard, Protocol
from tinycopilot_server.questions import Questions
from tinycopilot_server.settings import Settings
from tinycopilot_server.statistics import Statistics
from tinycopilot_server.status import DISABLED, PAUSED, Status
from tinycopilot_server.training import Training

LOOPBACK = "127.0.0.1"
END_LIMIT_S = 10.0
"""After the client's process has ended: so long it may take to keep what was learned."""

log = logging.getLogger(__name__)


def _converter() -> cattrs.Converter:
    """pygls's, but an unknown kind of trigger (clients before 3.18 was final send 0) is an automatic one."""
    converter = default_converter()
    known = {kind.value: kind for kind in types.InlineCompletionTriggerKind}
    converter.register_structure_hook(
        types.InlineCompletionTriggerKind,
        lambda value, _: known.get(value, types.InlineCompletionTriggerKind.Automatic),
    )
    return converter


class TinyCopilotServer(LanguageServer):
    """What the handlers share: a keystroke's way from the open documents to the model, and what the user has set."""

    def __init__(self) -> None:
        super().__init__(
            name="tinycopilot", version=__version__, protocol_cls=Protocol, converter_factory=_converter, max_workers=2
        )
        self.documents = OpenDocuments(self)
        self.completer_thread = CompleterThread()
        self.folders = Folders()
        indexer = Indexer(self.completer_thread.ask_memory, self.folders, self.documents.is_open)
        self.memory = Memory(self.completer_thread, indexer, self.documents.opened.__contains__)
        self.questions = Questions(self.completer_thread, self.memory)
        self.model = Model(self)
        self.training = Training(self)
        self.statistics = Statistics(places.user_statistics())
        self.debounce = Debounce()
        self.settings = Settings()
        self.initial_settings: object = None
        """What the client sent when it began."""
        self.told_problems: list[str] = []
        """What is wrong with the settings, as the user knows."""
        self.knows_folders = False
        """Whether the client says which folders are open; if not, it has one root."""
        self.watches_files = False
        """Whether the client says what changes on disk."""
        self.is_paused = False
        """Whether the user wants no suggestions for now."""
        self.is_asked = False
        """Whether the client has ever asked for a suggestion."""
        self.ahead: asyncio.Future[Any] | None = None
        """The question that will be asked next, as far as one can tell."""
        self.is_initialized = False
        """Whether the client has said `initialized`, and so may be told something."""

    @property
    def status(self) -> Status:
        """How it is, all in all."""
        if self.model.status.state != "error" and not self.settings.enabled:
            return DISABLED
        return PAUSED if self.is_paused and self.model.status.state != "error" else self.model.status

    @property
    def is_silent(self) -> bool:
        """Whether the user wants no suggestions at all."""
        return self.is_paused or not self.settings.enabled

    @property
    def encoding(self) -> str:
        """The client's position encoding."""
        return types.PositionEncodingKind(self.workspace.position_encoding).value

    @property
    def exit_code(self) -> int:
        """What the process ends with, as LSP has it; pygls swallows it."""
        return int(not self.protocol._shutdown)

    def update_folders(self) -> None:
        """Take the workspace's folders as the client has them now."""
        uris = [folder.uri for folder in self.workspace.folders.values()]
        self.folders.set_roots(uris if uris or self.knows_folders else [self.workspace.root_uri or ""])
        self.memory.change_folders()

    def count_what_is_due(self) -> None:
        """Between two keys."""
        self.statistics.judge(self.documents.text_of)
        self.statistics.save_now_and_then()

    def stop(self) -> None:
        """Stop computing and training; what was learned and counted is kept. A second time does nothing."""
        self.questions.cancel()
        self.statistics.judge(self.documents.text_of, at_once=True)
        self.statistics.save()
        self.memory.close()
        self.completer_thread.close()
        self.training.close()

    def stop_at_sigterm(self) -> None:
        """An editor that is in a hurry, or a system that shuts down: what was learned and counted is kept."""

        def end() -> None:
            self.stop()
            os._exit(128 + signal.SIGTERM)  # a thread waits for the client's next word, and cannot be interrupted

        if sys.platform != "win32":  # which has no such thing
            # Not the loop's own handler, which would take the place of the watchdog's pipe.
            loop = asyncio.get_running_loop()
            signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(end))

    def stop_with_client(self, pid: int | None) -> None:
        """End when the client's process has ended, whatever keeps the pipe open; what was learned is kept."""
        loop = asyncio.get_running_loop()

        def end() -> None:
            self.stop()
            os._exit(self.exit_code)  # a thread waits for the client's next word, and cannot be interrupted

        def on_end() -> None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(end)
            time.sleep(END_LIMIT_S)
            os._exit(self.exit_code)  # the loop is busy, or stuck

        client_process.watch(pid, on_end)

    def shutdown(self) -> None:
        """Whatever the reason."""
        self.stop()
        super().shutdown()

    def report_server_error(self, error: Exception, source: Any) -> None:
        """To the log, not into the user's face: a request is answered with its error, and no more can be done."""
        log.error("%s", error)
        if source is JsonRpcException and isinstance(self.protocol, Protocol):  # pygls could not read a message
            self.protocol.refuse_unreadable(error)


def serve(*, tcp_port: int | None = None) -> int:
    """Run until the client says exit, over stdio or a port of loopback. Raises UserError where there is neither.

    Returns the exit code: 1 if the client has not said `shutdown` before.
    """
    from tinycopilot_server import commands, handlers, watchdog  # noqa: PLC0415 (they need the server's class)

    if tcp_port is None and (sys.stdin is None or sys.stdout is None):
        raise UserError("standard input or output is closed: no client can speak there; let an editor start it")
    begin_log()
    watchdog.start(watches_input=tcp_port is None)
    server = TinyCopilotServer()
    handlers.register(server)
    commands.register(server)
    if tcp_port is None:
        server.start_io(cast(BinaryIO, Framed(sys.stdin.buffer)), cast(BinaryIO, Heard(sys.stdout.buffer)))
        logging.shutdown()
        os._exit(server.exit_code)  # all is saved; a thread that still computes is not waited for
    try:
        server.start_tcp(LOOPBACK, tcp_port)
        return server.exit_code
    except OSError as error:
        raise UserError(f"port {tcp_port} cannot be used ({error.strerror}); give another with --tcp") from None
