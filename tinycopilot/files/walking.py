"""Walk folders: the files that git would track, except those that may hold secrets or are not the project's own."""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path

from tinycopilot import UserError
from tinycopilot.files.git_lists import ignores_above, is_ignored, with_gitignore
from tinycopilot.files.gitignore import TooManyError, below
from tinycopilot.files.left_out import MAX_DEPTH, LeftOut, Reason
from tinycopilot.files.reading import max_bytes_of
from tinycopilot.files.secret_files import SECRET_FOLDERS, is_secret, is_secret_folder
from tinycopilot.paths import composed

RUN_FOLDER = re.compile(r"\..+\.run")
"""Run folders of training, such as .tiny_gpt.pth.run, are skipped silently."""

NEVER_ENTERED = frozenset(
    (
        *(".git", ".hg", ".svn", "__pycache__", ".venv", "venv", ".tox", ".nox", ".eggs"),
        *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".ipynb_checkpoints"),
    )
)
"""Environments, caches and version control data are skipped silently."""

VENDORED = re.compile(
    r"_?vendor(s|ed)?|(3rd|third)[-_]?party|extern(als?)?|(node|jspm)_modules|bower_components|(site|dist)-packages"
)
"""Folders of third-party code, in lower case; the names are from GitHub's Linguist."""


def normalize_suffixes(words: Sequence[str]) -> tuple[str, ...]:
    """Convert `py`, `.JS` and `c,h` to `.py`, `.js`, `.c`, `.h`. Raises UserError if one is invalid."""
    suffixes = []
    for word in (part.strip() for words_of_one in words for part in words_of_one.split(",")):
        if not re.fullmatch(r"\.?[\w+#-]+(\.[\w+#-]+)*", word):
            raise UserError(f"{word!r} is not a file extension; use, for example, --ext py")
        suffixes.append("." + word.removeprefix(".").lower())
    return tuple(dict.fromkeys(suffixes))


def source_files(
    folder: Path, suffixes: Sequence[str] = (".py",), left_out: LeftOut | None = None, never: Iterable[str] = ()
) -> Iterator[Path]:
    """Yield the files below `folder` with one of `suffixes` (lower case) that git would track, in a fixed order.

    Respects every .gitignore from the top of the repository, and git's other lists. Does not follow links, or enter
    folders with a name in `never`. Counts what is left out in `left_out`.
    """
    endings, unwanted, counted = tuple(suffixes), frozenset(never), left_out or LeftOut()

    def takes(relative: str) -> bool:
        if relative.lower().endswith(endings):
            return True
        counted.add_other(folder / relative)
        return False

    yield from walk(folder, takes, lambda relative: relative.rpartition("/")[2] not in unwanted, counted)


def walk(
    folder: Path, takes: Callable[[str], bool], enters: Callable[[str], bool], left_out: LeftOut
) -> Iterator[Path]:
    """Yield the files below `folder` that `takes` accepts, in folders that `enters` accepts, by relative path with `/`.

    The files of a folder come first, by name, then those in its subfolders.
    """
    top = str(folder.absolute())
    try:
        pending = [(top, 0, ignores_above(Path(top)))]
    except TooManyError:
        left_out.add(Reason.GITIGNORE, "a folder above")
        return
    while pending:
        here, depth, ignores = pending.pop()
        relative_here = below(here, top)
        try:
            entries = _entries(here, follow_link=here == top)
            if here != top and ("pyvenv.cfg", False) in entries:
                continue  # a virtual environment
            ignores = with_gitignore(here, ignores)
        except TooManyError:
            left_out.add(Reason.GITIGNORE, f"{relative_here}/.gitignore".lstrip("/"))
            continue
        except OSError:
            left_out.add(Reason.UNREADABLE, (relative_here or ".") + "/")
            continue
        names = {name for name, is_folder in entries if is_folder is not None}
        if here != top and is_secret_folder(os.path.basename(here), names):  # noqa: PTH119
            left_out.add(Reason.SECRET, relative_here + "/")
            continue
        folders = []
        for name, is_folder in entries:
            if is_folder and (name in NEVER_ENTERED or RUN_FOLDER.fullmatch(name)):
                continue
            path = os.path.join(here, name)  # noqa: PTH118 (called for a million files)
            relative = f"{relative_here}/{name}" if relative_here else name
            if is_ignored(path, bool(is_folder), ignores):
                left_out.add(Reason.IGNORED, relative + "/" * bool(is_folder))
                continue
            if is_folder is None:
                left_out.add(Reason.LINK if os.path.islink(path) else Reason.SPECIAL, relative)  # noqa: PTH114
                continue
            if is_folder:
                if not enters(relative):
                    continue
                if reason := _why_not_entered(name, depth):
                    left_out.add(reason, relative + "/" * (reason is not Reason.VENDORED))
                else:
                    folders.append((path, depth + 1, ignores))
            elif is_secret(name):
                left_out.add(Reason.SECRET, relative)
            elif takes(relative):
                if reason := _why_not_read(path):
                    left_out.add(reason, relative)
                else:
                    yield Path(path)
        pending += reversed(folders)


def _entries(folder: str, *, follow_link: bool) -> list[tuple[str, bool | None]]:
    """Return the sorted names in a folder, and whether each is a folder; None if neither that nor a regular file.

    Raises OSError.
    """
    with contextlib.ExitStack() as stack:
        place: int | str = folder
        if os.scandir in os.supports_fd:  # not on Windows
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK
            place = os.open(folder, flags if follow_link else flags | os.O_NOFOLLOW)
            stack.callback(os.close, place)
        found = stack.enter_context(os.scandir(place))
        return sorted(((composed(entry.name), _kind(entry)) for entry in found), key=itemgetter(0))


def _kind(entry: "os.DirEntry[str]") -> bool | None:
    """Whether an entry is a folder; None if neither that nor a regular file."""
    try:
        if entry.is_dir(follow_symlinks=False):
            is_junction = getattr(entry, "is_junction", bool)  # a link to a folder on Windows; from Python 3.12 on
            return None if is_junction() else True
        return False if entry.is_file(follow_symlinks=False) else None
    except OSError:  # such as a stale entry on a network drive; the others are readable
        return None


def _why_not_entered(name: str, depth: int) -> Reason | None:
    if name.lower() in SECRET_FOLDERS:
        return Reason.SECRET
    if VENDORED.fullmatch(name.lower()):
        return Reason.VENDORED
    return Reason.TOO_DEEP if depth == MAX_DEPTH else None


def _why_not_read(path: str) -> Reason | None:
    try:
        return Reason.HUGE if os.lstat(path).st_size > max_bytes_of(path) else None
    except OSError:
        return Reason.UNREADABLE
