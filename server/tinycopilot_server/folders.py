"""The workspace's folders on disk: what of them may be held, and what has changed there. Nothing outside is read."""

import os
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pygls.uris import to_fs_path

from tinycopilot.files import LeftOut, Patterns, Reason, read_written, walk
from tinycopilot.secret_files import is_secret_place

PYTHON = (".py", ".pyi")
MAX_FOLDERS = 100_000
"""In a folder that holds more, the others are not looked at: it is no project, but somebody's home."""
MAX_FILES = 100_000
"""The same for the files that are looked for: what is noted of each takes memory."""


def document_name(uri: str) -> str:
    """What the document of this URI is called, in the editor and on disk: its path without links, if it has one."""
    try:
        path = to_fs_path(uri)
        return name_of(path) if path else uri
    except ValueError:  # no URI, or a path with a null character
        return uri.replace("\0", "")


def opened_as(uri: str) -> str:
    """Its path as the editor says it, which may lead over links; empty if it has none."""
    try:
        return os.path.normcase(to_fs_path(uri) or "")
    except ValueError:
        return ""


def place_of(uri: str) -> str:
    """The file or folder to look at when this one has changed: a .gitignore decides on all that is beside and below."""
    name = document_name(uri)
    return os.path.dirname(name) if os.path.basename(name) == ".gitignore" else name  # noqa: PTH119, PTH120


def name_of(path: str | Path) -> str:
    """The same for a path."""
    return os.path.normcase(os.path.realpath(path))


@dataclass(frozen=True)
class Change:
    """A file as it is now; without a text, none that may be held."""

    name: str
    text: str | None = None
    changed_s: float = 0.0
    """When it was last changed, in seconds since 1970."""


@dataclass
class Found:
    """What a look came to."""

    n_files: int = 0
    n_chars: int = 0
    n_passed_over: int = 0
    """So many files were not read because enough had been."""
    left_out: tuple[str, ...] = ()
    """A line for each reason."""
    n_looked_at: int = 0
    """So many, with those that were known or are left to the editor, of ..."""
    n_to_look_at: int = 0


class Folders:
    """Knows what it has read of them. Looked at by one thread; others may say where and for what it looks next time."""

    def __init__(self) -> None:
        self.roots: tuple[str, ...] = ()
        """The folders, as `name_of` says them."""
        self.suffixes: tuple[str, ...] = PYTHON
        """How the names of files end that are looked for."""
        self.excluded = Patterns()
        """Files that the user wants left alone."""
        self.forgotten = set[str]()
        """Files that the user wants nothing to be known of."""
        self._roots_as_opened: tuple[str, ...] = ()
        self._known: dict[str, list[int]] = {}  # when each file was changed, in ns, and its size in bytes

    def set_roots(self, uris: Iterable[str]) -> None:
        """Look at these folders from now on; at none that is no folder, or one for secrets."""
        roots = dict[str, str]()
        for uri in uris:
            root = document_name(uri)
            if os.path.isabs(root) and os.path.isdir(root) and not is_secret_place(Path(root)):  # noqa: PTH112, PTH117
                roots[root] = opened_as(uri)
        self.roots, self._roots_as_opened = tuple(roots), tuple(roots.values())

    @property
    def main(self) -> str | None:
        """The folder that gives the workspace its name: the first."""
        return next(iter(self.roots), None)

    @property
    def known(self) -> dict[str, tuple[int, int]]:
        """Of each file that was read: when it was changed, in ns, and its size in bytes. For the thread that looks."""
        return {name: (changed_ns, n_bytes) for name, (changed_ns, n_bytes) in self._known.items()}

    def remember(self, stamps: Mapping[str, tuple[int, int]]) -> None:
        """These files were read when they were so: what is as it was is not read again. For the thread that looks."""
        self._known = {name: list(stamp) for name, stamp in stamps.items()}

    def forget(self) -> None:
        """Nothing has been read of them: the next look finds everything. For the thread that looks."""
        self._known.clear()

    def choose(self, excluded: Patterns) -> None:
        """Leave these alone from now on, and look for Python alone until something else is wanted."""
        self.excluded, self.suffixes = excluded, PYTHON

    def wants(self, name: str) -> bool:
        """Whether it is looked for, if it lies in one of the folders."""
        return name.lower().endswith(self.suffixes) and not self.excludes(name)

    def want(self, name: str) -> bool:
        """Look for files with this one's ending, too, if it lies in one of the folders; whether that is news."""
        suffix = Path(name).suffix.lower()
        if not suffix or suffix in self.suffixes or not _is_within(name, self.roots):
            return False
        self.suffixes += (suffix,)
        return True

    def excludes(self, name: str, link: str = "") -> bool:
        """Whether the user wants this file left alone; `link` is the path that it was opened by."""
        if name in self.forgotten or self.excluded.match(name, self.roots):
            return True
        return link not in ("", name) and self.excluded.match(link, (*self.roots, *self._roots_as_opened))

    def changes(
        self,
        within: Collection[str] | None,
        found: Found,
        is_open: Callable[[str], bool],
        is_enough: Callable[[], bool],
        pause: Callable[[], None],
    ) -> Iterator[Change]:
        """What has changed since the last look; first what is gone, then what was changed last.

        `within` are files and folders that are looked at alone, and read whether they seem to have changed or not. The
        editor's are left to it (`is_open`). `pause` is called all the time: it may wait, or raise.
        """
        left_out = LeftOut()
        stamps = self._stamps(within, left_out, pause)
        for name in self._known_within(within) - stamps.keys():
            del self._known[name]
            yield Change(name)
        found.n_to_look_at = len(stamps)
        for name in sorted(stamps, key=lambda name: stamps[name], reverse=True):
            found.n_looked_at += 1
            *stamp, root = stamps[name]
            was_known = self._known.pop(name, None)
            if is_open(name):
                continue
            if name in self.forgotten:  # since this look began
                yield Change(name)
                continue
            self._known[name] = stamp
            if within is None and was_known == stamp:
                continue
            if is_enough():
                found.n_passed_over += 1
                continue
            pause()
            text = next((text for _, text in read_written([Path(name)], Path(root), left_out)), None)
            if text is not None:
                found.n_files += 1
                found.n_chars += len(text)
                yield Change(name, text, min(stamp[0] / 1e9, time.time()))
            elif was_known is not None:
                yield Change(name)
        found.left_out = left_out.lines()

    def _known_within(self, within: Collection[str] | None) -> set[str]:
        if within is None:
            return set(self._known)
        below = tuple(os.path.join(place, "") for place in within)  # noqa: PTH118 (so many times, Path is slow)
        return {name for name in self._known if name in within or name.startswith(below)}

    def _stamps(
        self, within: Collection[str] | None, left_out: LeftOut, pause: Callable[[], None]
    ) -> dict[str, tuple[int, int, str]]:
        """Of each file that there is: when it was changed, its size, and the folder that it is of."""
        stamps = dict[str, tuple[int, int, str]]()
        for root in self.roots:
            for path in self._files(root, within, left_out, pause):
                name = os.path.normcase(path)
                if len(stamps) >= MAX_FILES:
                    left_out.add(Reason.TOO_MANY, name)
                    return stamps
                try:
                    status = path.lstat()
                except OSError:  # it has vanished
                    continue
                if not stat.S_ISREG(status.st_mode):  # it has become something else
                    continue
                stamps[name] = (status.st_mtime_ns, status.st_size, root)
        return stamps

    def _files(
        self, root: str, within: Collection[str] | None, left_out: LeftOut, pause: Callable[[], None]
    ) -> Iterator[Path]:
        n_folders = 0
        above = {str(parent) for place in within or () for parent in Path(place).parents}

        def absolute(relative: str) -> str:
            return os.path.normcase(os.path.join(root, relative))  # noqa: PTH118

        def takes(relative: str) -> bool:
            pause()
            name = absolute(relative)
            return self.wants(name) and _is_within(name, within)

        def enters(relative: str) -> bool:
            nonlocal n_folders
            n_folders += 1
            if n_folders > MAX_FOLDERS:
                if n_folders == MAX_FOLDERS + 1:
                    left_out.add(Reason.TOO_MANY, absolute(relative))
                return False
            return absolute(relative) in above or _is_within(absolute(relative), within)

        if within is None or root in above or _is_within(root, within):
            yield from walk(Path(root), takes, enters, left_out)


def _is_within(name: str, places: Collection[str] | None) -> bool:
    """Whether it is one of these files and folders, or lies in one; None: everywhere."""
    return places is None or name in places or any(name.startswith(os.path.join(place, "")) for place in places)  # noqa: PTH118
