"""The server object: pygls's, with documents of our own, a worker, and an answer to every request."""

import asyncio
import logging
import shutil
import sys
from functools import partial
from typing import Any, BinaryIO, cast

import cattrs
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol import default_converter

from tinycopilot import UserError, __version__, places
from tinycopilot.files import Patterns
from tinycopilot_server import status
from tinycopilot_server.debounce import Debounce
from tinycopilot_server.documents import Document
from tinycopilot_server.log import begin as begin_log
from tinycopilot_server.model_files import ModelFiles, to_use
from tinycopilot_server.progress import Progress
from tinycopilot_server.protocol import Framed, Protocol
from tinycopilot_server.settings import Settings
from tinycopilot_server.statistics import Statistics
from tinycopilot_server.status import DISABLED, PAUSED, Status
from tinycopilot_server.training import Training
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
        self.initial_settings: object = None
        """What the client sent when it began."""
        self.told_problems: list[str] = []
        """What is wrong with the settings, as the user knows."""
        self.debounce = Debounce()
        self.statistics = Statistics(places.user_statistics())
        self.opened = set[str]()
        """The names of all documents that were ever opened."""
        self.worker = Worker(self.is_open, self.opened.__contains__)
        self.watches_files = False
        """Whether the client says what changes on disk."""
        self.is_paused = False
        """Whether the user wants no suggestions for now."""
        self.model_status = Status("loading")
        self.is_asked = False
        """Whether the client has ever asked for a suggestion."""
        self.ahead: asyncio.Future[Any] | None = None
        """The question that will be asked next, as far as one can tell."""
        self.is_initialized = False
        """Whether the client has said `initialized`, and so may be told something."""
        self.has_started = False
        """Whether the model is loaded, or being loaded."""
        self._starting: asyncio.Task[None] | None = None
        self._loading = asyncio.Lock()  # one model is loaded after the other: the one that was named last stays
        self.model_files = ModelFiles(lambda: to_use(self.settings, self.main_folder))
        self.training = Training(self)
        self._following: asyncio.Task[str] | None = None

    @property
    def status(self) -> Status:
        """How it is, all in all."""
        if self.model_status.state != "error" and not self.settings.enabled:
            return DISABLED
        return PAUSED if self.is_paused and self.model_status.state != "error" else self.model_status

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

    def is_open(self, name: str) -> bool:
        """Whether a document of this name is open; from any thread."""
        return any(document.name == name for document in list(self.documents.values()))

    def update_folders(self) -> None:
        """Take the workspace's folders as the client has them now."""
        uris = [folder.uri for folder in self.workspace.folders.values()] or [self.workspace.root_uri or ""]
        self.worker.indexer.folders.set_roots(uris)

    def take_in(self, document: Document, text: str) -> None:
        """A document was opened: what is done about it before anybody asks."""
        if not self.wants(document):
            log.info("%s is left alone: its language, or its path, is not to be completed", document.name)
        elif document.is_secret(text):
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

    def wants(self, document: Document) -> bool:
        """Whether the settings let it be completed and held."""
        is_excluded = self.worker.indexer.folders.excludes(document.name)
        return self.settings.has_language(document.language) and not is_excluded

    def name_to_hold(self, document: Document, text: str) -> str | None:
        """Under which name the memory may hold it as it is now; if it must not, None, and it is dropped there."""
        if not self.wants(document) or document.is_secret(text) or document.why_not_held(text):
            self.worker.drop(document.name)
            return None
        return document.name

    def choose_documents(self, excluded: Patterns) -> None:
        """Others are to be completed and held from now on: drop, hold and read what that changes."""
        self.worker.indexer.folders.excluded = excluded
        for document in self.documents.values():
            self.take_in(document, document.text)
        self.show_all_again()
        self.worker.look(None)

    def forget_file(self, name: str) -> None:
        """From now on, until the server is started again, it is left alone, and nothing is known of it."""
        self.worker.indexer.folders.forgotten.add(name)
        self.worker.forget_file(name)

    def forget_workspace(self) -> None:
        """Delete what was indexed and learned here, and the model that was trained on it; remember no more."""
        self.training.cancel()
        self.worker.forget_workspace()
        if self.main_folder is not None:
            shutil.rmtree(places.workspace_model(self.main_folder).model.parent, ignore_errors=True)
        self.follow_model()

    def show_all_again(self) -> None:
        """The memory may hold more from now on."""
        for document in self.documents.values():
            document.seen_version = None

    def show_others(self, here: Document) -> None:
        """Show the memory what has changed in the other documents since it saw them."""
        for document in self.documents.values():
            if document is not here and document.version != document.seen_version:
                document.seen_version, text = document.version, document.text
                if name := self.name_to_hold(document, text):
                    self.worker.hold(name, text)

    async def start(self) -> None:
        """Load the model, and then index the workspace; once, and not before there is to be any suggestion."""
        if not self.settings.enabled:
            status.show(self)
        elif not self.has_started:
            self.has_started = True
            self.worker.indexer.new_bar = partial(
                Progress, self, "tinycopilot: indexing the workspace", loop=asyncio.get_running_loop()
            )
            await self.load_model()
            self.worker.look(None)

    def start_soon(self) -> None:
        """The same, without waiting for it."""
        self._starting = asyncio.ensure_future(self.start())

    @property
    def main_folder(self) -> str | None:
        """The folder that gives the workspace its name: the first."""
        return next(iter(self.worker.indexer.folders.roots), None)

    async def load_model(self) -> None:
        """Tell the client how it goes; without a model the server lives on, and suggests nothing."""
        status.tell(self, "loading")
        self.model_files.note()
        progress = Progress(self, "tinycopilot: loading the model")
        progress.begin()
        try:
            async with self._loading:
                await self.worker.load(self.settings, self.main_folder)
        except UserError as error:
            status.tell(self, "error", str(error))
        except Exception as error:
            log.exception("the model could not be loaded")
            status.tell(self, "error", f"the model could not be loaded ({error}); the server's log says more")
        else:
            self.worker.configure(self.settings)  # which may have changed meanwhile
            for document in self.documents.values():  # they were opened when nobody could be told
                self.prepare(document, document.text)
            status.tell(self, "ready")
        finally:
            progress.end()

    def judge_accepted(self, uri: str | None = None) -> None:
        """Look whether what was accepted is still there, if it is time; with `uri`, in a document that is closed."""
        self.statistics.judge(self._text_of, document=uri, at_once=uri is not None)

    def _text_of(self, uri: str) -> str | None:
        document = self.documents.get(uri)
        return document.text if document is not None else None

    def count_what_is_due(self) -> None:
        """Between two keys."""
        self.judge_accepted()
        self.statistics.save_now_and_then()

    def stop(self) -> None:
        """Stop computing and training; what was learned and counted is kept. A second time does nothing."""
        self.training.close()
        self.worker.close()
        self.statistics.judge(self._text_of, at_once=True)
        self.statistics.save()

    async def reload_model(self) -> str:
        """Take up the model as its files are now, while the old one answers; returns what is wrong, or nothing.

        If it is wrong, the old one goes on.
        """
        try:
            async with self._loading:
                self.model_files.note()
                takes_over = await self.worker.reload(self.settings, self.main_folder)
        except UserError as error:
            log.warning("the model before goes on: %s", error)
            return str(error)
        except Exception as error:
            log.exception("the model could not be loaded again; the one before goes on")
            return f"{error}; the server's log says more"
        log.info("loaded again: %s", to_use(self.settings, self.main_folder).model)
        if not takes_over:  # another alphabet: the memory knows nothing yet
            for document in self.documents.values():
                document.seen_version = None
            self.worker.look(None)
        if self.model_status.state == "error":
            status.tell(self, "ready")
        return ""

    def follow_model(self) -> None:
        """If the model's files have changed on disk, load them. Called when something happens, and not by a clock."""
        if self.model_status.state != "loading" and self.model_files.have_changed():
            self._following = asyncio.ensure_future(self.reload_model())

    def reload_soon(self) -> None:
        """The user has named another model: what is wrong with that is shown."""

        async def reload() -> str:
            problem = await self.reload_model()
            status.warn(self, [problem] if problem else [])
            return problem

        self._following = asyncio.ensure_future(reload())

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
    """Run until the client says exit, over stdio or a port of loopback. Raises UserError for a port that is taken.

    Returns the exit code: 1 if the client has not said `shutdown` before.
    """
    from tinycopilot_server import commands, handlers  # noqa: PLC0415 (they need the server's class)

    begin_log()
    server = TinyCopilotServer()
    handlers.register(server)
    commands.register(server)
    if tcp_port is None:
        server.start_io(cast(BinaryIO, Framed(sys.stdin.buffer)))
        return server.exit_code
    try:
        server.start_tcp(LOOPBACK, tcp_port)
        return server.exit_code
    except OSError as error:
        raise UserError(f"port {tcp_port} cannot be used ({error.strerror}); give another with --tcp") from None
