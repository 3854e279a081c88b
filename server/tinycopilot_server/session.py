"""Session: the connection to one client: its settings, folders and open documents; status and messages."""

from dataclasses import asdict, dataclass
from typing import Literal

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from tinycopilot_server.documents import Document
from tinycopilot_server.folders import Folders, document_name
from tinycopilot_server.notebooks import CellGroup, Notebook
from tinycopilot_server.settings import Settings, merged, parse_settings

STATUS = "tinycopilot/status"
"""A notification to the client: {"state": "loading" | "ready" | "busy" | "off" | "error", "message": "..."}."""

Unit = Document | CellGroup
"""A document, or a group of notebook cells, indexed under one name."""
State = Literal["loading", "ready", "busy", "off", "error"]


class OpenDocuments(dict[str, Document]):
    """The open documents by URI, and the cells of notebooks. Changed on the event loop; read by any thread."""

    def __init__(self) -> None:
        super().__init__()
        self._opened = set[str]()
        self.notebooks = dict[str, Notebook]()
        """The open notebooks by URI."""
        self._notebook_of = dict[str, Notebook]()  # by the URI of a cell

    def add(self, uri: str, document: Document) -> None:
        """Add an opened document."""
        self[uri] = document
        self._opened.add(document.name)

    def take_cells(self, notebook: Notebook) -> None:
        """Add the cells that the notebook has now, and remove those that it had."""
        self._opened.add(notebook.name)
        had = {uri for uri, its in self._notebook_of.items() if its is notebook}
        for uri in had - notebook.documents.keys():
            del self[uri], self._notebook_of[uri]
        for uri, document in notebook.documents.items():
            self._notebook_of[uri] = notebook
            self.add(uri, document)

    def is_cell(self, uri: str) -> bool:
        """Whether a document is a cell of an open notebook, which is changed and closed with it."""
        return uri in self._notebook_of

    def unit_of(self, uri: str) -> Unit | None:
        """The unit that contains a document: itself, or its group of notebook cells; None if it is not open."""
        notebook = self._notebook_of.get(uri)
        return (notebook and notebook.group_of(uri)) or self.get(uri)

    def units(self) -> list[Unit]:
        """All open documents as they are indexed."""
        documents: list[Unit] = [document for uri, document in self.items() if uri not in self._notebook_of]
        return documents + [group for notebook in self.notebooks.values() for group in notebook.groups]

    def around(self, uri: str) -> tuple[str, str]:
        """The text above and below a cell of a notebook; none for any other document."""
        notebook = self._notebook_of.get(uri)
        return notebook.around(uri) if notebook is not None else ("", "")

    def name_of(self, uri: str) -> str:
        """The name of the file of a document, cell or notebook, which need not be open."""
        opened = self.get(uri) or self.notebooks.get(uri)
        return opened.name if opened is not None else document_name(uri)

    def is_open(self, name: str) -> bool:
        """Whether a document of this name is open."""
        opened: list[Document | Notebook] = [*self.values(), *self.notebooks.values()]
        return any(one.name == name for one in opened)

    def was_open(self, name: str) -> bool:
        """Whether a document of this name is or was open."""
        return name in self._opened

    def text_of(self, uri: str) -> str | None:
        """The text of an open document; None if it is not open."""
        return self[uri].text if uri in self else None


@dataclass(frozen=True)
class Status:
    """The state of the server, and the reason, for the user."""

    state: State
    message: str = ""


PAUSED = Status("off", "paused")
DISABLED = Status("off", "disabled in the settings")
TRAINING = Status("busy", "training on this workspace")


class Session:
    """The state of the connection to one client. Use on the event loop only."""

    def __init__(self, client: LanguageServer) -> None:
        """`client`: pygls's server object, which sends messages to the client."""
        self.client = client
        self.settings = Settings()
        self.folders = Folders()
        self.documents = OpenDocuments()
        self.model_status = Status("loading")
        self.initial_settings: object = None
        """The initialization options."""
        self.has_ghost_text = False
        """Whether the client announces inline completion."""
        self.has_folders = False
        """Whether the client reports workspace folders; if not, it has one root."""
        self.watches_files = False
        """Whether the client reports changes on disk."""
        self.is_paused = False
        """Whether the user has paused suggestions."""
        self.is_training = False
        """Whether a model is being trained on the workspace."""
        self.is_initialized = False
        """Whether the client has sent `initialized`, and so may be sent notifications."""
        self._reported: list[str] = []  # the problems of the settings that the user was shown

    @property
    def status(self) -> Status:
        """The status to show: the model's, unless suggestions are paused or disabled, or training is running."""
        status = TRAINING if self.is_training else self.model_status
        if status.state == "error":
            return status
        return DISABLED if not self.settings.enabled else PAUSED if self.is_paused else status

    @property
    def is_silent(self) -> bool:
        """Whether suggestions are paused or disabled."""
        return self.is_paused or not self.settings.enabled

    @property
    def lists_suggestions(self) -> bool:
        """Whether suggestions are entries of the completion menu."""
        if self.settings.popup != "automatic":
            return bool(self.settings.popup)
        return not (self.has_ghost_text and self.settings.inline)

    def why_silent(self, document: Unit) -> str:
        """Why a document is neither completed nor indexed, for the user; "" if it may be."""
        if document.name in self.folders.forgotten:
            return "this file is ignored until a restart"
        if self.folders.excludes(document.name, document.opened_as):
            return "the `exclude` setting excludes this file"
        if document.is_secret:
            return "this file may contain secrets"
        return "" if self.settings.has_language(document.language) else f"off in {document.language}"

    def take_settings(self, received: object) -> Settings:
        """Merge the client's settings over the initial ones; warn once of each that is invalid; return the result."""
        self.settings, problems = parse_settings(merged(self.initial_settings, received))
        new, self._reported = [problem for problem in problems if problem not in self._reported], problems
        self.warn(new)
        return self.settings

    def report(self, state: State, message: str = "") -> None:
        """Set and send the model's status; an error is shown to the user as well."""
        self.model_status = Status(state, message)
        self.send_status()
        if state == "error":
            self.show_message(types.MessageType.Error, message)

    def send_status(self) -> None:
        """Send the status."""
        self.client.protocol.notify(STATUS, asdict(self.status))

    def warn(self, problems: list[str]) -> None:
        """Show problems to the user, all in one message; nothing if there are none."""
        if problems:
            self.show_message(types.MessageType.Warning, "; ".join(problems))

    def show_message(self, kind: types.MessageType, message: str) -> None:
        """Show a message to the user."""
        self.client.window_show_message(types.ShowMessageParams(kind, f"tinycopilot: {message}"))
