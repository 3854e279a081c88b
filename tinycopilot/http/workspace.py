"""Workspace: index the code in a folder, by the server's rules, without saving; track the edited document."""

import time
from pathlib import Path

from tinycopilot_server.documents import name_of
from tinycopilot_server.indexer import Indexer
from tinycopilot_server.session import Folders

from tinycopilot import UserError
from tinycopilot.completion.engine import Engine
from tinycopilot.completion.scheduler import Scheduler
from tinycopilot.completion.syntaxes import suffixes_of_written
from tinycopilot.files.secret_files import is_secret_document

RESCAN_S = 30.0
"""Minimum time between two searches for files that have changed on disk. Requests trigger them."""


class Workspace:
    """The indexed files of a folder, without secrets, files that git ignores, and generated files."""

    def __init__(self, folder: Path | None, scheduler: Scheduler) -> None:
        """`folder`: an absolute path; None for no workspace. Raises UserError if it is a folder of secrets."""
        self.folder = folder
        self._folders = Folders()
        self._folders.suffixes = suffixes_of_written()
        if folder is not None:
            self._folders.set_roots([folder.as_uri()])
            if not self._folders.roots:
                raise UserError(f"{folder}: likely to contain secrets, so it is never read; choose another folder")
        self.document = ""
        """Name of the last completed document. The text in the request is indexed, not the file on disk."""
        self._indexer = Indexer(
            scheduler.change_ngrams, self._folders, lambda name: name == self.document, scheduler.pause
        )
        self._scanned_s = -RESCAN_S

    def is_secret(self, path: str, text: str) -> bool:
        """Whether the document at `path` ("" if unknown) must not be completed, by its name or folder."""
        return bool(path) and is_secret_document(Path(path), text, self._folders.tops)

    def open(self, engine: Engine, path: str) -> bool:
        """Switch to the document at `path` ("" if unknown), and scan for changed files now and then.

        Return whether it is another document.

        Call it in the engine's thread.
        """
        name, last = name_of(path) if path else "", self.document
        if name != last:
            self.document = name
            engine.ngrams.drop(last)
            if last:  # index the file on disk again
                self._indexer.scan([Path(last).as_uri()])
        if self.folder is not None and time.monotonic() - self._scanned_s >= RESCAN_S:
            self._scanned_s = time.monotonic()
            self._indexer.scan(None)
        return name != last

    def scan(self) -> None:
        """Index the folder, which must be given, and wait for it."""
        self._scanned_s = time.monotonic()
        self._indexer.scan(None)
        self._indexer.submit(lambda: None).result()

    @property
    def n_files(self) -> int:
        """Number of indexed files."""
        return len(self._indexer.scanner.known)

    def close(self) -> None:
        """Stop indexing."""
        self._indexer.close()
