"""Session: the connection to one client: its settings, folders and open documents; status and messages."""

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from tinycopilot.files import notebook_file
from tinycopilot.files.gitignore import Patterns
from tinycopilot.files.secret_files import is_secret_place
from tinycopilot_server.documents import OpenDocuments, Unit, document_name, opened_as
from tinycopilot_server.settings import Settings, merged, parse_settings

STATUS = "tinycopilot/status"
"""A notification to the client: {"state": "loading" | "ready" | "busy" | "off" | "error", "message": "..."}."""

PYTHON = (".py", ".pyi", notebook_file.SUFFIX)

State = Literal["loading", "ready", "busy", "off", "error"]


class Folders:
    """The workspace's folders, and which of their files count. Changed on the event loop; read by any thread."""

    def __init__(self) -> None:
        self.roots: tuple[str, ...] = ()
        """The folders, as `documents.name_of` returns them."""
        self.tops: tuple[str, ...] = ()
        """The folders, with links resolved and as the editor gave them."""
        self.suffixes: tuple[str, ...] = PYTHON
        """Suffixes of the files that are indexed."""
        self.excluded = Patterns()
        """Files that the settings exclude."""
        self.forgotten = set[str]()
        """Names of files that the user has removed from the index."""

    def set_roots(self, uris: Iterable[str]) -> None:
        """Replace the folders; skip anything that is not a folder, and folders of secrets."""
        roots = dict[str, str]()
        for uri in uris:
            root = document_name(uri)
            is_folder = os.path.isabs(root) and os.path.isdir(root)  # noqa: PTH112, PTH117
            if is_folder and not is_secret_place(Path(root), [os.path.dirname(root)]):  # noqa: PTH120
                roots[root] = opened_as(uri)
        self.roots, self.tops = tuple(roots), (*roots, *roots.values())

    @property
    def main(self) -> str | None:
        """The first folder, which identifies the workspace."""
        return next(iter(self.roots), None)

    def choose(self, settings: Settings) -> None:
        """Replace the excluded patterns, and reset the suffixes to those of Python, if it is on; `want` adds others."""
        self.excluded = Patterns(settings.exclude)
        self.suffixes = PYTHON if settings.has_language("python") else ()

    def wants(self, name: str) -> bool:
        """Whether a file of this name is indexed, if it lies in one of the folders."""
        return name.lower().endswith(self.suffixes) and not self.excludes(name)

    def want(self, name: str) -> bool:
        """Index files with the suffix of this one, too, if it lies in a folder; return whether that is new."""
        suffix = Path(name).suffix.lower()
        if not suffix or suffix in self.suffixes or not any(map(Path(name).is_relative_to, self.roots)):
            return False
        self.suffixes += (suffix,)
        return True

    def excludes(self, name: str, link: str = "") -> bool:
        """Whether this file is excluded or forgotten; `link` is the path that it was opened by."""
        if name in self.forgotten or self.excluded.match(name, self.roots):
            return True
        return link not in ("", name) and self.excluded.match(link, self.tops)


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
