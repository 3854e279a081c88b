"""The server object: pygls's, with documents of our own, a worker, and an answer to every request."""

import logging
from typing import Any

import cattrs
from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidRequest
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, default_converter

from tinycopilot import UserError, __version__
from tinycopilot_server import status
from tinycopilot_server.documents import Document
from tinycopilot_server.settings import Settings
from tinycopilot_server.worker import Worker

LOOPBACK = "127.0.0.1"

log = logging.getLogger(__name__)


class Protocol(LanguageServerProtocol):
    """pygls's protocol, but every request gets an answer."""

    def structure_message(self, data: dict[str, Any]) -> Any:
        """A request that cannot be read is answered with the error; pygls would leave the client waiting."""
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if "id" in data and "method" in data:
                self._send_response(data["id"], error=error.to_response_error())
            raise

    def handle_message(self, message: Any) -> None:
        """So is one that comes after `shutdown`, as LSP wants it."""
        if self._shutdown and hasattr(message, "id") and hasattr(message, "method"):
            self._send_response(message.id, error=JsonRpcInvalidRequest("shutting down").to_response_error())
            return
        super().handle_message(message)


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
        self.settings = Settings()
        self.worker = Worker()

    @property
    def encoding(self) -> str:
        """The client's position encoding."""
        return types.PositionEncodingKind(self.workspace.position_encoding).value

    async def load_model(self) -> None:
        """Tell the client how it goes; without a model the server lives on, and suggests nothing."""
        status.tell(self, "loading")
        try:
            await self.worker.load(self.settings)
        except UserError as error:
            status.tell(self, "error", str(error))
        except Exception as error:
            log.exception("the model could not be loaded")
            status.tell(self, "error", f"the model could not be loaded ({error}); the server's log says more")
        else:
            status.tell(self, "ready")

    def report_server_error(self, error: Exception, source: Any) -> None:  # noqa: ARG002
        """To the log, not into the user's face: a request is answered with its error, and no more can be done."""
        log.error("%s", error)


def serve(*, tcp_port: int | None = None) -> None:
    """Run until the client says exit, over stdio or a port of loopback. Raises UserError for a port that is taken."""
    from tinycopilot_server import handlers  # noqa: PLC0415 (handlers need the server's class)

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")  # to stderr
    server = TinyCopilotServer()
    handlers.register(server)
    if tcp_port is None:
        server.start_io()
        return
    try:
        server.start_tcp(LOOPBACK, tcp_port)
    except OSError as error:
        raise UserError(f"port {tcp_port} cannot be used ({error.strerror}); give another with --tcp") from None
