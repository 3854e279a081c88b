"""The server object: pygls's, with documents of our own, a worker, and an answer to every request."""

import logging
import sys
from typing import Any, BinaryIO, cast

import cattrs
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol import default_converter

from tinycopilot import UserError, __version__
from tinycopilot_server import status
from tinycopilot_server.documents import Document
from tinycopilot_server.protocol import Framed, Protocol
from tinycopilot_server.settings import Settings
from tinycopilot_server.status import PAUSED, Status
from tinycopilot_server.worker import Worker

LOOPBACK = "127.0.0.1"

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
    """What the handlers share: the open documents, the settings, the worker."""

    def __init__(self) -> None:
        super().__init__(
            name="tinycopilot", version=__version__, protocol_cls=Protocol, converter_factory=_converter, max_workers=2
        )
        self.documents: dict[str, Document] = {}
        """By URI."""
        self.settings = Settings()
        self.worker = Worker(self.is_open)
        self.watches_files = False
        """Whether the client says what changes on disk."""
        self.is_paused = False
        """Whether the user wants no suggestions for now."""
        self.model_status = Status("loading")

    @property
    def status(self) -> Status:
        """How it is, all in all."""
        return PAUSED if self.is_paused and self.model_status.state != "error" else self.model_status

    @property
    def encoding(self) -> str:
        """The client's position encoding."""
        return types.PositionEncodingKind(self.workspace.position_encoding).value

    def is_open(self, name: str) -> bool:
        """Whether a document of this name is open; from any thread."""
        return any(document.name == name for document in list(self.documents.values()))

    def update_folders(self) -> None:
        """Take the workspace's folders as the client has them now."""
        uris = [folder.uri for folder in self.workspace.folders.values()] or [self.workspace.root_uri or ""]
        self.worker.indexer.folders.set_roots(uris)

    def take_in(self, document: Document, text: str) -> None:
        """A document was opened: what is done about it before anybody asks."""
        if document.is_secret(text):
            log.info("%s is a secret: it is not completed", document.name)
        elif why := document.why_not_held(text):
            log.info("%s is not held: %s", document.name, why)
        elif self.worker.indexer.folders.want(document.name):
            self.worker.look(None)
        self.prepare(document, text)

    def prepare(self, document: Document, text: str) -> None:
        """See to it that the first question does not take long."""
        if name := self.name_to_hold(document, text):
            self.worker.prepare(name, text)

    def name_to_hold(self, document: Document, text: str) -> str | None:
        """Under which name the memory may hold it as it is now; if it must not, None, and it is dropped there."""
        if document.is_secret(text) or document.why_not_held(text):
            self.worker.drop(document.name)
            return None
        return document.name

    def show_others(self, here: Document) -> None:
        """Show the memory what has changed in the other documents since it saw them."""
        for document in self.documents.values():
            if document is not here and document.version != document.seen_version:
                document.seen_version, text = document.version, document.text
                if name := self.name_to_hold(document, text):
                    self.worker.hold(name, text)

    async def load_model(self) -> None:
        """Tell the client how it goes; without a model the server lives on, and suggests nothing."""
        status.tell(self, "loading")
        roots = self.worker.indexer.folders.roots
        try:
            await self.worker.load(self.settings, roots[0] if roots else None)
        except UserError as error:
            status.tell(self, "error", str(error))
        except Exception as error:
            log.exception("the model could not be loaded")
            status.tell(self, "error", f"the model could not be loaded ({error}); the server's log says more")
        else:
            for document in self.documents.values():  # they were opened when nobody could be told
                self.prepare(document, document.text)
            status.tell(self, "ready")

    def shutdown(self) -> None:
        """Whatever the reason: what was learned is kept."""
        self.worker.close()
        super().shutdown()

    def report_server_error(self, error: Exception, source: Any) -> None:
        """To the log, not into the user's face: a request is answered with its error, and no more can be done."""
        log.error("%s", error)
        if source is JsonRpcException and isinstance(self.protocol, Protocol):  # pygls could not read a message
            self.protocol.refuse_unreadable(error)


def serve(*, tcp_port: int | None = None) -> None:
    """Run until the client says exit, over stdio or a port of loopback. Raises UserError for a port that is taken."""
    from tinycopilot_server import commands, handlers  # noqa: PLC0415 (they need the server's class)

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")  # to stderr
    logging.getLogger("tinycopilot_server").setLevel(logging.INFO)
    server = TinyCopilotServer()
    handlers.register(server)
    commands.register(server)
    if tcp_port is None:
        server.start_io(cast(BinaryIO, Framed(sys.stdin.buffer)))
        return
    try:
        server.start_tcp(LOOPBACK, tcp_port)
    except OSError as error:
        raise UserError(f"port {tcp_port} cannot be used ({error.strerror}); give another with --tcp") from None
