"""What is remembered of the workspace: what the engine is told of it, what of that is kept on disk, or forgotten."""

import contextlib
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import TimeoutError as NoAnswer
from typing import TYPE_CHECKING

from tinycopilot import places
from tinycopilot_server.completer_thread import CompleterThread
from tinycopilot_server.indexing import Indexer
from tinycopilot_server.kept_memory import KeptMemory
from tinycopilot_server.learned import Learned
from tinycopilot_server.settings import Settings

if TYPE_CHECKING:
    from tinycopilot.completion.engine import Engine

CLOSE_S = 0.8
"""So long the end waits until what was learned is saved: with training.CLOSE_S less than watchdog.GRACE_S."""

log = logging.getLogger(__name__)


class Memory:
    """The server's side of the engine's memory. On the event loop, where nothing else is said."""

    def __init__(
        self, thread: CompleterThread, indexer: Indexer, was_open: Callable[[str], bool] = lambda _name: False
    ) -> None:
        """`was_open`: whether the editor has ever had a document of that name."""
        self.indexer = indexer
        self.learned = Learned()
        """What the workspace has taught; for the engine's thread."""
        self.max_chars = Settings().max_workspace_chars
        """So much of the workspace may be known; 0: nothing but the document at hand."""
        self._thread, self._was_open = thread, was_open
        self.is_forgotten = False
        """Whether the user wants nothing of this workspace to be remembered, whatever is set later."""

    def configure(self, settings: Settings) -> None:
        """Complete and remember by these settings from now on."""
        max_chars = self.max_chars = 0 if self.is_forgotten else settings.max_workspace_chars
        self._thread.tell(lambda engine: engine.configure(settings.completer))
        self._thread.tell(lambda engine: self._limit(engine, max_chars))

    def _limit(self, engine: "Engine", max_chars: int) -> None:
        """In the engine's thread."""
        memory = engine.ngrams
        before = memory.max_chars
        memory.limit(max_chars)
        if before == 0 < max_chars:
            self.learned.recall(engine)
        if before < max_chars:
            self.indexer.do(self.indexer.folders.forget)
            self.indexer.look(None)

    def hold(self, name: str, text: str) -> None:
        """An open document is this now."""
        if self.max_chars:
            self._thread.tell(lambda engine: engine.hold(name, text))

    def drop(self, name: str) -> None:
        """A document is not open any more, or is to be forgotten."""
        self._thread.tell(lambda engine: engine.ngrams.drop(name))

    def keep_out(self, name: str) -> None:
        """An open document must not be held. (It seldom is: an earlier session may have left it.)"""
        self._thread.tell_if(lambda engine: engine.ngrams.drop(name))

    def look(self, uris: Iterable[str] | None) -> None:
        """Look at these files and folders, or, if it is None, at all that has changed on disk."""
        if self.max_chars and self._thread.is_ready:
            self.indexer.look(uris)

    def after_request(self, engine: "Engine", *, has_learned: bool) -> None:
        """What others do in their threads, now and then. In the engine's thread."""
        if has_learned:
            self.learned.is_saved = False
        if engine.ngrams.needs_compaction:
            self.indexer.look()
        if self.learned.is_due:
            self.indexer.do(self.learned.saving(engine))

    def change_folders(self) -> None:
        """What is indexed and learned from now on is kept for the folders that are open now."""
        if (engine := self._thread.engine) is not None:
            self.indexer.do(lambda: self.keep(engine))
            self._thread.tell(self._learn_here)

    def _learn_here(self, engine: "Engine") -> None:
        """In the engine's thread."""
        new = Learned.of(self.indexer.folders.main, engine.tokenizer.digest)
        if self.is_forgotten or new.path == self.learned.path:
            return
        if not self.learned.is_saved:
            self.indexer.do(self.learned.saving(engine))
        self.learned = new
        if self.max_chars:
            new.recall(engine)

    def keep(self, engine: "Engine") -> None:
        """What is indexed is kept between sessions, for this workspace and this alphabet. In the indexer's thread."""
        folders, digest = self.indexer.folders.roots, engine.tokenizer.digest
        path = places.user_memory(folders, digest)
        self.indexer.kept = KeptMemory(path, digest, self._was_open) if folders else None
        if self.is_forgotten:  # it was when nobody knew yet what there was to forget
            self._forget_all()

    def forget_file(self, name: str) -> None:
        """Nothing is known of it, nor kept on disk, until the server is started again."""
        self.indexer.folders.forgotten.add(name)
        self.drop(name)
        self.forget_kept()
        self.look(None)

    def forget_kept(self) -> None:
        """What was indexed is not on disk any more, at once, until it is kept anew."""
        if (kept := self.indexer.kept) is not None:
            kept.forget()

    def forget_workspace(self) -> None:
        """All that is known or was learned is given up, here and on disk; nothing is remembered from now on."""
        self.is_forgotten, self.max_chars = True, 0
        self._thread.tell(lambda engine: engine.ngrams.limit(0))
        self._forget_on_disk()
        # By way of the indexer's thread: what it has begun with one memory it does not finish with another.
        self.indexer.do(self._forget_all)

    def _forget_on_disk(self) -> None:
        """From any thread; what is being written now is deleted, too."""
        self.forget_kept()
        self.indexer.kept = None
        self.learned.forget()
        for path in places.kept_of_workspace(self.indexer.folders.roots):  # with other models, too
            path.unlink(missing_ok=True)

    def _forget_all(self) -> None:
        """In the indexer's thread."""
        if self._thread.is_ready:
            self._thread.tell_and_wait(_forget)
        self._forget_on_disk()
        log.info("the workspace is forgotten")

    def close(self) -> None:
        """Index no more, and keep what was learned."""
        self.indexer.close()
        if self._thread.is_ready:
            with contextlib.suppress(NoAnswer):
                self._thread.ask(self._save).result(CLOSE_S)

    def _save(self, engine: "Engine") -> None:
        if not self.learned.is_saved:
            self.learned.saving(engine)()


def _forget(engine: "Engine") -> None:
    engine.forget()
    engine.ngrams.limit(0)
