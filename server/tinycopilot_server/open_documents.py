"""The open documents, all of them: which may be completed and held, and what the memory is shown of them."""

import logging
from typing import TYPE_CHECKING

from tinycopilot.files import Patterns
from tinycopilot_server.documents import Document

if TYPE_CHECKING:
    from tinycopilot_server.app import TinyCopilotServer

log = logging.getLogger(__name__)


class OpenDocuments(dict[str, Document]):
    """By URI. Changed on the event loop alone."""

    def __init__(self, server: "TinyCopilotServer") -> None:
        super().__init__()
        self._server = server
        self.opened = set[str]()
        """The names of all that were ever open."""

    def is_open(self, name: str) -> bool:
        """Whether a document of this name is open; from any thread."""
        return any(document.name == name for document in list(self.values()))

    def text_of(self, uri: str) -> str | None:
        """Of one that is open."""
        document = self.get(uri)
        return document.text if document is not None else None

    def open(self, uri: str, document: Document) -> None:
        """From here on its text is the client's."""
        self[uri] = document
        self.opened.add(document.name)
        self._take_in(document)
        self._prepare(document)

    def close(self, uri: str) -> None:
        """It is the file system's again, unless it is open by another path, too."""
        if (document := self.pop(uri, None)) is None:
            return
        if others := [other for other in self.values() if other.name == document.name]:
            others[0].seen_version = None
        else:
            self._server.memory.drop(document.name)
            self._server.memory.look([uri])

    def _take_in(self, document: Document) -> None:
        """What is done about it before anybody asks."""
        if not self.wants(document):
            log.info("%s is left alone: its language, or its path, is not to be completed", document.name)
        elif document.is_secret:
            log.info("%s is a secret: it is not completed", document.name)
        elif why := document.why_not_indexed:
            log.info("%s is not held: %s", document.name, why)
        elif self._server.folders.want(document.name):
            self._server.memory.look(None)

    def _prepare(self, document: Document) -> None:
        """See to it that the first question does not take long."""
        if name := self.name_to_hold(document):
            self._server.questions.prepare(name, document.text)

    def wants(self, document: Document) -> bool:
        """Whether the settings let it be completed and held."""
        is_excluded = self._server.folders.excludes(document.name, document.opened_as)
        return self._server.settings.has_language(document.language) and not is_excluded

    def name_to_hold(self, document: Document) -> str | None:
        """Under which name the memory may hold it as it is now; if it must not, None, and it is kept out of there."""
        if not self.wants(document) or document.is_secret or document.why_not_indexed:
            self._server.memory.keep_out(document.name)
            return None
        return document.name

    def choose(self, excluded: Patterns) -> None:
        """Others are to be completed and held from now on: drop, hold and read what that changes."""
        self._server.folders.choose(excluded)
        self._server.memory.forget_kept()
        for document in self.values():
            self._take_in(document)
        self.show_all_again()
        self._server.memory.look(None)

    def show_all_again(self) -> None:
        """The memory may hold more from now on, or knows nothing yet."""
        for document in self.values():
            document.seen_version = None
            self._prepare(document)

    def show_others(self, here: Document) -> None:
        """Show the memory what has changed in the other documents since it saw them."""
        for document in self.values():
            if document is not here and document.version != document.seen_version:
                document.seen_version = document.version
                if name := self.name_to_hold(document):
                    self._server.memory.hold(name, document.text)
