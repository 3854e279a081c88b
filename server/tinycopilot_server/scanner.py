"""Scanner: find changed files in the workspace's folders, most recently changed first.

Outside of the folders, only git's lists of ignored files are read.
"""

import itertools
import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tinycopilot.files.left_out import LeftOut, Reason
from tinycopilot.files.reading import read_written
from tinycopilot.files.walking import walk
from tinycopilot.paths import comparable
from tinycopilot_server.documents import document_name
from tinycopilot_server.session import Folders

MAX_FOLDERS = 100_000
"""Maximum number of visited folders: a larger tree is not a project but, for example, a home folder."""
MAX_FILES = 100_000
"""Maximum number of files, since each takes memory."""


def place_of(uri: str) -> str:
    """Return the file or folder to scan when this file has changed. For a .gitignore, that is its folder."""
    name = document_name(uri)
    return os.path.dirname(name) if os.path.basename(name) == ".gitignore" else name  # noqa: PTH119, PTH120


def scope_of(places: Collection[str] | None) -> Callable[[str], bool]:
    """Return a function that tells whether a file or folder is one of `places`, or lies in one of them. None: always.

    Its time does not depend on the number of places.
    """
    if places is None:
        return lambda _: True
    reported = set(places)

    @cache
    def covers(folder: str) -> bool:
        return not reported.isdisjoint((folder, *map(str, Path(folder).parents)))

    return lambda name: name in reported or covers(os.path.dirname(name))  # noqa: PTH120 (for many files, Path is slow)


@dataclass(frozen=True)
class Change:
    """A changed file; without a text, it was deleted or must not be indexed."""

    name: str
    text: str | None = None
    changed_s: float = 0.0
    """Time of the last change, in seconds since 1970."""


@dataclass
class Found:
    """The result of a scan."""

    n_files: int = 0
    n_chars: int = 0
    n_skipped: int = 0
    """Number of files that were not read because the limit was reached."""
    n_unchanged_bytes: int = 0
    """Size of the unchanged files visited so far."""
    left_out: tuple[str, ...] = ()
    """A line for each reason."""
    n_visited: int = 0
    """Number of files visited so far, including unchanged and open ones."""
    n_total: int = 0
    """Total number of files."""


class Scanner:
    """Finds files that have changed since they were last read. Not thread-safe."""

    def __init__(self, folders: Folders, is_open: Callable[[str], bool]) -> None:
        """`is_open`: whether a document of that name is open; then the editor's text is indexed instead of the file."""
        self.folders, self._is_open = folders, is_open
        self.known: dict[str, tuple[int, int]] = {}
        """Name -> time of last change, in ns, and size in bytes of each file read. It is read again if they differ."""

    def doubt(self, places: Collection[str] | None) -> None:
        """Treat these files and folders (None: all) as changed: the next scan reads or drops them in any case."""
        for name in filter(scope_of(places), self.known):
            self.known[name] = (0, 0)

    def changes(
        self,
        within: Collection[str] | None,
        found: Found,
        max_chars: float,
        pause: Callable[[], None],
    ) -> Iterator[Change]:
        """Yield changes since the last scan: deleted files, then changed ones, most recently changed first.

        `within`: scan these files and folders only, and read them even if they seem unchanged. Open documents are
        skipped, and so are older files beyond `max_chars`. `pause` is called for each file and folder; it may wait, or
        raise.
        """
        left_out = LeftOut()
        stamps = self._stamps(within, left_out, pause)
        for name in set(filter(scope_of(within), self.known)) - stamps.keys():
            del self.known[name]
            if not self._is_open(name):
                yield Change(name)
        found.n_total = len(stamps)
        for name in sorted(stamps, key=lambda name: stamps[name], reverse=True):
            found.n_visited += 1
            changed_ns, n_bytes, root = stamps[name]
            was_known = self.known.pop(name, None)
            if self._is_open(name):
                continue
            if name in self.folders.forgotten:  # forgotten since this scan began
                yield Change(name)
                continue
            self.known[name] = changed_ns, n_bytes
            if found.n_chars + found.n_unchanged_bytes > max_chars:
                found.n_skipped += 1
                if was_known not in (None, (changed_ns, n_bytes)):
                    yield Change(name)
                continue
            if within is None and was_known == (changed_ns, n_bytes):
                found.n_unchanged_bytes += n_bytes
                continue
            pause()
            text = next((text for _, text in read_written([Path(name)], Path(root), left_out)), None)
            if text is not None:
                found.n_files += 1
                found.n_chars += len(text)
                yield Change(name, text, min(changed_ns / 1e9, time.time()))
            elif was_known is not None:
                yield Change(name)
        found.left_out = left_out.lines()

    def _stamps(
        self, within: Collection[str] | None, left_out: LeftOut, pause: Callable[[], None]
    ) -> dict[str, tuple[int, int, str]]:
        """Return name -> time of last change, in ns, size in bytes, and root folder of each existing file."""
        stamps = dict[str, tuple[int, int, str]]()
        for root in self.folders.roots:
            for path in self._files(root, within, left_out, pause):
                name = comparable(path)
                if len(stamps) >= MAX_FILES:
                    left_out.add(Reason.TOO_MANY, name)
                    return stamps
                try:
                    status = path.lstat()
                except OSError:  # deleted meanwhile
                    continue
                stamps[name] = (status.st_mtime_ns, status.st_size, root)
        return stamps

    def _files(
        self, root: str, within: Collection[str] | None, left_out: LeftOut, pause: Callable[[], None]
    ) -> Iterator[Path]:
        folder_numbers = itertools.count(1)
        above = {str(parent) for place in within or () for parent in Path(place).parents}
        is_in_scope = scope_of(within)

        def absolute(relative: str) -> str:
            return comparable(os.path.join(root, relative))  # noqa: PTH118

        def takes(relative: str) -> bool:
            pause()
            name = absolute(relative)
            return self.folders.wants(name) and is_in_scope(name)

        def enters(relative: str) -> bool:
            name, number = absolute(relative), next(folder_numbers)
            if number == MAX_FOLDERS + 1:
                left_out.add(Reason.TOO_MANY, name)
            return number <= MAX_FOLDERS and (name in above or is_in_scope(name))

        if root in above or is_in_scope(root):
            yield from walk(Path(root), takes, enters, left_out)
