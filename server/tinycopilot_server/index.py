"""Index: manage what the engine has indexed (open documents, files) and learned (weights), and delete it on request.

Except for its Indexer, no other part of the server writes or deletes the saved files, or adds documents to the
engine's n-gram model. (The engine itself adds the current document.)
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Collection
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer
from functools import partial
from typing import TYPE_CHECKING

from tinycopilot.completion.request import Result
from tinycopilot.completion.scheduler import Scheduler
from tinycopilot.paths import index_path, mixture_weights_path, saved_state_paths
from tinycopilot_server.documents import CellGroup, Document, Notebook, Unit
from tinycopilot_server.indexer import Indexer, IndexFile
from tinycopilot_server.session import Session
from tinycopilot_server.settings import Settings

if TYPE_CHECKING:
    from tinycopilot.completion.engine import Engine
    from tinycopilot.completion.persistence import Weights

CLOSE_S = 0.8
"""Time limit for saving at exit. Together with training.CLOSE_S, it must be less than lifetime.GRACE_S."""
SAVE_WEIGHTS_S = 60.0
"""Minimum time between two writes of the learned weights; they are also written at the end."""
LONG_CHARS = 50_000
"""A longer document is sorted in another thread when it is opened, since sorting delays its first suggestion."""

log = logging.getLogger(__name__)


class LearnedWeights:
    """The file of the mixture's weights learned in one workspace. Use it in the engine's thread."""

    def __init__(self, folder: str | None = None, tokenizer_digest: str = "") -> None:
        """`folder`: the workspace; without one, nothing is saved."""
        self.path = mixture_weights_path(folder, tokenizer_digest) if folder is not None else None
        self._digest = tokenizer_digest
        self.has_learned = False
        """Whether the weights have changed since they were loaded."""
        self.saved_s = -SAVE_WEIGHTS_S
        self._lock = threading.Lock()  # held while writing: a deleted file must not be written again

    def restore(self, engine: "Engine") -> None:
        """Load the saved weights into the engine."""
        from tinycopilot.completion.persistence import load_weights  # noqa: PLC0415 (imports Numba, which is loaded by then)

        if self.path is not None:
            engine.restore(load_weights(self.path, self._digest))

    def save(self, weights: "Weights") -> None:
        """Write the weights. Thread-safe."""
        from tinycopilot.completion.persistence import save_weights  # noqa: PLC0415 (see restore)

        with self._lock:
            if self.path is not None:
                save_weights(self.path, weights, self._digest)

    def stop(self) -> None:
        """Save nothing from now on, so that the file can be deleted. Thread-safe."""
        with self._lock:
            self.path = None


class Index:
    """The index of the workspace. Use it on the event loop, unless a method says otherwise."""

    def __init__(self, session: Session, scheduler: Scheduler) -> None:
        self._session, self._scheduler = session, scheduler
        is_open = session.documents.is_open
        self.indexer = Indexer(scheduler.change_ngrams, session.folders, is_open, scheduler.pause)
        self.learned = LearnedWeights()
        """Use it in the engine's thread."""
        self.max_chars = Settings().max_workspace_chars
        """Maximum number of indexed characters of the workspace; 0: only the current document is indexed."""
        self.is_forgotten = False
        """Whether the user has deleted this workspace's data: then nothing is indexed or learned until a restart."""
        self._preparing: dict[str, asyncio.Future[None]] = {}

    # Settings and folders

    def configure(self, settings: Settings) -> None:
        """Apply the settings to the engine."""
        max_chars = self.max_chars = 0 if self.is_forgotten else settings.max_workspace_chars

        def apply(engine: "Engine") -> None:
            engine.configure(settings.completer)
            before = engine.ngrams.max_chars
            engine.ngrams.limit(max_chars)
            self._learn_here(engine)
            if before < max_chars:
                self.indexer.submit(self._read_again)

        self._scheduler.change(apply)
        self._store_nothing_without_index()

    def _store_nothing_without_index(self) -> None:
        """With a limit of 0, delete what earlier sessions have saved for the workspace, and what is being saved."""
        if not self.max_chars:
            self._scheduler.change(lambda _: self._delete_all())
            try:
                self._delete_all()
            except OSError as error:  # settings and folders apply nevertheless
                log.warning("%s: not deleted: %s", error.filename, error.strerror)

    def _read_again(self) -> None:
        """Read all files again. Runs in the indexer's thread: a scan that was already queued would run too early."""
        self.indexer.scanner.doubt(None)
        self.indexer.scan(None)

    def choose(self, settings: Settings) -> None:
        """Apply changed languages and excluded patterns: drop, index and scan accordingly."""
        self._session.folders.choose(settings)
        self.delete_file()
        self._note_all_opened()
        self.hold_all_again()
        self.scan(None)

    def change_folders(self) -> None:
        """Save index and weights for the changed workspace folders from now on."""
        self._note_all_opened()
        self._store_nothing_without_index()
        if self._scheduler.is_ready:
            self.indexer.submit(self._use_file)
            self.indexer.submit(self.indexer.scan)  # saves: a scan that was already queued ran before _use_file
            self._scheduler.change(self._learn_here)

    def _learn_here(self, engine: "Engine") -> None:
        """Save the weights, and load those of the current workspace; with a limit of 0, store none from now on.

        Runs in the engine's thread.
        """
        if not self.max_chars:
            self.learned.stop()
            return
        new = LearnedWeights(self._session.folders.main, engine.tokenizer.digest)
        if new.path != self.learned.path:
            self._save_weights(engine)
            self.learned = new
            new.restore(engine)

    def _save_weights(self, engine: "Engine") -> None:
        """Save the weights soon, if they have changed. Runs in the engine's thread."""
        if self.learned.has_learned:
            self.learned.saved_s = time.monotonic()
            self.indexer.submit(partial(self.learned.save, engine.mixture.as_rows()))

    def _use_file(self) -> None:
        """Save the index of the current folders and tokenizer from now on. Runs in the indexer's thread."""
        engine = self._scheduler.engine
        assert engine is not None
        roots, digest = self._session.folders.roots, engine.tokenizer.digest
        path = index_path(roots, digest)
        self.indexer.file = IndexFile(path, digest, self._session.documents.was_open) if roots else None

    def scan(self, uris: Collection[str] | None) -> None:
        """Scan these files and folders; None: everything that has changed on disk."""
        if self.max_chars and self._scheduler.is_ready:
            self.indexer.scan(uris)

    # Open documents

    def open(self, uri: str, document: Document) -> None:
        """Add an opened document; from now on, the client's text replaces the file's."""
        self._session.documents.add(uri, document)
        self._note_opened(document)
        self._prepare(document)

    def open_notebook(self, uri: str, notebook: Notebook) -> None:
        """Add an opened notebook; from now on, the client's text replaces the file's."""
        self.close_notebook(uri)
        self._session.documents.notebooks[uri] = notebook
        self._session.documents.take_cells(notebook)
        self.drop(notebook.name)
        for group in notebook.groups:
            self._note_opened(group)
            self._prepare(group)

    def _note_all_opened(self) -> None:
        for unit in self._session.documents.units():
            self._note_opened(unit)

    def _note_opened(self, document: Unit) -> None:
        """Log why a document is not completed or indexed; if it is, index other files with its suffix, too."""
        if why := self._session.why_silent(document):
            log.info("%s: not completed: %s", document.name, why)
        elif why := document.why_not_indexed:
            log.info("%s: not indexed: %s", document.name, why)
        elif isinstance(document, CellGroup):  # only Jupyter's file format is supported
            return
        elif self._session.settings.has_files_like(document.name) and self._session.folders.want(document.name):
            self.scan(None)

    def close_document(self, uri: str) -> None:
        """Remove a closed document; its file is indexed again."""
        if (document := self._session.documents.pop(uri, None)) is not None:
            self._drop_closed(uri, document.name, {document.index_name})

    def close_notebook(self, uri: str) -> None:
        """Remove a closed notebook; its file is indexed again."""
        documents = self._session.documents
        if (notebook := documents.notebooks.pop(uri, None)) is not None:
            index_names = {group.index_name for group in notebook.groups}
            notebook.open((), {})
            documents.take_cells(notebook)
            self._drop_closed(uri, notebook.name, index_names)

    def _drop_closed(self, uri: str, name: str, index_names: set[str]) -> None:
        """Drop what was closed, and index again what is open of the same file: by another path, or as another kind."""
        still_open = [unit for unit in self._session.documents.units() if unit.name == name]
        for unit in still_open:
            unit.seen_version = None
        for index_name in index_names - {unit.index_name for unit in still_open}:
            self.drop(index_name)
        self.scan([uri])

    def admit(self, document: Unit) -> str | None:
        """Return the name under which to index a document. If it must not be indexed, drop it and return None."""
        if not (self._session.why_silent(document) or document.why_not_indexed):
            return document.index_name
        # It may be in the model from an earlier session.
        self._scheduler.change_if(lambda engine: engine.ngrams.drop(document.index_name))
        return None

    def hold_others(self, here: Unit) -> None:
        """Index changes of the other open documents; the engine indexes the current one itself."""
        for document in self._session.documents.units():
            if document is not here and document.version != document.seen_version:
                document.seen_version = document.version
                if name := self.admit(document):
                    self.hold(name, document.text)

    def hold(self, name: str, text: str) -> None:
        """Index the text of an open document."""
        if self.max_chars:
            self._scheduler.change(lambda engine: engine.hold(name, text))

    def hold_all_again(self) -> None:
        """Index all open documents again: the limit was raised, or the n-gram model is new."""
        for document in self._session.documents.units():
            document.seen_version = None
            self._prepare(document)

    def drop(self, name: str) -> None:
        """Remove a document from the index."""
        self._scheduler.change(lambda engine: engine.ngrams.drop(name))

    def _prepare(self, document: Unit) -> None:
        """Sort a long document in another thread, so that the first request does not wait for that."""
        name, engine = self.admit(document), self._scheduler.engine
        if name is None or engine is None or len(text := document.text) < LONG_CHARS:
            return

        async def prepare() -> None:
            try:
                offer = await asyncio.to_thread(engine.prepare, name, text)
                self._scheduler.change(lambda _: offer())
            finally:
                if self._preparing.get(name) is asyncio.current_task():  # not opened again meanwhile
                    del self._preparing[name]

        self._preparing[name] = asyncio.ensure_future(prepare())

    async def prepared(self, name: str | None) -> None:
        """Wait while the document of this name is being sorted."""
        if name in self._preparing:
            await asyncio.shield(self._preparing[name])

    # Engines

    def after_answer(self, engine: "Engine", result: Result, _took_ms: float) -> None:
        """Save and compact if due. Runs in the engine's thread after each request."""
        self.learned.has_learned |= result.has_learned
        if engine.ngrams.needs_compaction:
            self.indexer.scan()
        if time.monotonic() - self.learned.saved_s >= SAVE_WEIGHTS_S:
            self._save_weights(engine)

    def take_over(self, engine: "Engine") -> "Future[bool]":
        """Use a new engine from now on; the result tells whether it took over the previous engine's n-gram model.

        If not (there was none, or its alphabet differs), its n-gram model is empty. Runs in the indexer's thread, so
        that no scan starts with one model and ends with another.
        """
        return self.indexer.submit(partial(self._take_over, engine))

    def _take_over(self, engine: "Engine") -> bool:
        """Replace the engine and the index file. Runs in the indexer's thread."""
        is_continued = self._scheduler.submit(partial(self._replace, engine)).result()
        if not is_continued:
            self.indexer.forget()
            self._use_file()
        return is_continued

    def _replace(self, engine: "Engine") -> bool:
        """Replace the engine, and its weights unless they are continued. Runs in the engine's thread."""
        continued = None
        if (old := self._scheduler.engine) is not None:
            self._save_weights(old)
            continued = old.continued_by(engine)
        self._scheduler.use(continued or engine)
        self._learn_here(continued or engine)
        return continued is not None

    # Forgetting

    def forget_file(self, name: str) -> None:
        """Forget a file, in memory and on disk, and do not index it again in this session."""
        self._session.folders.forgotten.add(name)
        self.drop(name)
        for unit in self._session.documents.units():
            if unit.name == name:
                self.drop(unit.index_name)
        self.delete_file()
        self.scan(None)

    def delete_file(self) -> None:
        """Delete the saved index; it is written again after the next scan."""
        if (file := self.indexer.file) is not None:
            file.delete()

    def forget_workspace(self) -> None:
        """Forget everything that was indexed or learned, in memory and on disk; index and learn nothing from now on.

        Raises OSError if a file cannot be deleted, such as on Windows while a program has it open.
        """
        self.is_forgotten, self.max_chars = True, 0
        self._scheduler.change(lambda engine: engine.ngrams.limit(0))
        self.indexer.submit(self._forget_all)  # see take_over
        self._delete_all()

    def _forget_all(self) -> None:
        """Delete everything in memory and on disk. Runs in the indexer's thread."""
        if self._scheduler.is_ready:
            self._scheduler.change_and_wait(lambda engine: engine.forget())
        self._delete_all()
        log.info("the workspace is forgotten")

    def _delete_all(self) -> None:
        """Delete all files saved for this workspace, including those being written, and those for other models.

        Thread-safe. Raises OSError at the end if one cannot be deleted.
        """
        self.delete_file()
        self.learned.stop()
        errors = list[OSError]()
        for path in saved_state_paths(self._session.folders.roots):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def close(self) -> None:
        """Stop indexing, and save what was learned, even if it waits to be saved in the indexer's thread."""
        self.indexer.close()
        if self._scheduler.is_ready and self.learned.has_learned:
            saving = self._scheduler.ask(lambda engine: self.learned.save(engine.mixture.as_rows()))
            with contextlib.suppress(NoAnswer):
                saving.result(CLOSE_S)
