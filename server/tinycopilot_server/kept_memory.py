"""What was indexed in an earlier session: taken up when a workspace is opened, written when all was sorted anew."""

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tinycopilot_server.folders import Folders

if TYPE_CHECKING:
    from tinycopilot.completion.segments import MergedSegment
    from tinycopilot_server.indexing import AskMemory

KEEP_S = 300.0
"""It is written at most so often: it can be as long as all the code, six times."""
OLD_S = 60 * 86_400.0
"""What was not written for so long is deleted, whatever workspace it is of."""

log = logging.getLogger(__name__)


class KeptMemory:
    """One workspace's, in a file of its own. For the indexer's thread."""

    def __init__(self, path: Path, tokenizer_digest: str, was_open: Callable[[str], bool]) -> None:
        """`was_open`: whether the editor has ever had a document of that name, for then the memory may not have it as
        it is on disk."""
        self._path, self._digest, self._was_open = path, tokenizer_digest, was_open
        self._merged: MergedSegment | None = None  # what is in the file
        self._kept_s = -KEEP_S
        self._n_forgotten = 0

    def recall(self, ask: "AskMemory", folders: Folders) -> int:
        """Hold what is in the file, and know which files it was read from. Returns how many; 0: there is nothing."""
        from tinycopilot.completion import persistence  # noqa: PLC0415 (brings Numba, loaded by now)

        kept = persistence.load_index(self._path, ask(lambda memory: memory.alphabet), self._digest)
        if kept is None:
            return 0
        if unwanted := [name for name in kept.stamps if not folders.wants(name)]:  # by what is set now
            kept = kept.without(unwanted)
        try:
            ask(lambda memory: memory.adopt(kept.merged, kept.last_used_s))
        except ValueError:  # something else is settled by now
            return 0
        self._merged = kept.merged
        folders.remember(kept.stamps)
        return len(kept.stamps)

    def keep(self, ask: "AskMemory", folders: Folders) -> None:
        """Write what is at rest in the memory, if that is another merged than the file has, and if it is time."""
        from tinycopilot.completion import persistence  # noqa: PLC0415 (see recall)

        n_forgotten = self._n_forgotten
        (merged, useful_s), alphabet = ask(lambda memory: (memory.merged(), memory.alphabet))
        if merged is self._merged or time.monotonic() - self._kept_s < KEEP_S:
            return
        self._merged, self._kept_s = merged, time.monotonic()
        known = folders.known
        names = [name for name in useful_s if name in known and folders.wants(name) and not self._was_open(name)]
        stamps = {name: known[name] for name in names}
        persistence.save_index(self._path, persistence.SavedIndex(merged, useful_s, stamps), alphabet, self._digest)
        if self._n_forgotten != n_forgotten:  # meanwhile
            self.forget()
        _delete_old(self._path.parent)

    def forget(self) -> None:
        """Delete the file, at once; from any thread. (It is written again after the next look.)"""
        self._n_forgotten += 1
        self._merged, self._kept_s = None, -KEEP_S
        with contextlib.suppress(OSError):
            self._path.unlink()


def _delete_old(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if time.time() - path.stat().st_mtime > OLD_S:
                path.unlink()
                log.info("%s: not used for long, deleted", path)
