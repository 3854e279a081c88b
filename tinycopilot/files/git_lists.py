"""Git's lists of ignored files: each .gitignore, the repository's own list, and the user's global one."""

import os
import re
from pathlib import Path

from tinycopilot.atomic import open_regular
from tinycopilot.files.gitignore import Rules, TooManyError, below, parse
from tinycopilot.files.left_out import MAX_BYTES

Ignores = tuple[tuple[str, Rules], ...]
"""Folders from the top down, and the rules of their .gitignore files and of git's other lists."""


def ignores_above(folder: Path) -> Ignores:
    """Return the rules of the .gitignore files above `folder`, up to the top of its repository. Raises TooManyError."""
    above = [folder, *folder.parents]
    top = next((i for i, parent in enumerate(above) if os.path.lexists(parent / ".git")), 0)
    ignores: Ignores = ()
    for parent in reversed(above[1 : top + 1]):
        ignores = with_gitignore(str(parent), ignores)
    # An ignored folder that the user named is searched.
    return () if is_ignored(str(folder), True, ignores) else ignores


def with_gitignore(folder: str, ignores: Ignores) -> Ignores:
    """Return `ignores` with the .gitignore in `folder`, and, in the top folder of a repository, git's other lists.

    As in git, .gitignore files precede `.git/info/exclude`, which precedes the global list. Raises TooManyError.
    """
    if os.path.lexists(os.path.join(folder, ".git")):  # noqa: PTH118
        for file in (_global_list(), os.path.join(_git_folder(folder), "info", "exclude")):  # noqa: PTH118
            ignores = _with_list(_content(file, follow_link=True), folder, ignores)
    return _with_list(_content(os.path.join(folder, ".gitignore")), folder, ignores)  # noqa: PTH118


def _with_list(text: bytes, folder: str, ignores: Ignores) -> Ignores:
    """Return `ignores` with a list of patterns that applies to `folder`. Raises TooManyError."""
    if len(text) > MAX_BYTES:
        raise TooManyError
    rules = Rules(parse(text), ignores[-1][1] if ignores else None)
    return (*ignores, (folder, rules)) if rules else ignores


def _content(file: str, *, follow_link: bool = False) -> bytes:
    """Return the first MAX_BYTES + 1 bytes of a regular file; none if it cannot be read, as git does."""
    try:
        with open_regular(file, follow_link=follow_link) as opened:
            return opened.read(MAX_BYTES + 1)
    except (OSError, ValueError):  # a path with a null character
        return b""


def _git_folder(folder: str) -> str:
    """Return the folder that contains `info/exclude`: `.git`, or, in a worktree or submodule, what that file names."""
    git = os.path.join(folder, ".git")  # noqa: PTH118
    git = _path_in(git, folder) or git
    return _path_in(os.path.join(git, "commondir"), git) or git  # noqa: PTH118


def _path_in(file: str, base: str) -> str:
    """Return the path in a file that git wrote, relative to `base`; "" if there is none.

    On Windows, a path on another drive counts as none, since it may be on the network.
    """
    path = _content(file).removeprefix(b"gitdir: ").strip().decode("utf-8", "surrogateescape")
    whole = os.path.join(base, path)  # noqa: PTH118
    is_on_drive = os.path.normcase(os.path.splitdrive(whole)[0]) == os.path.normcase(os.path.splitdrive(base)[0])
    return whole if path and is_on_drive else ""


_SECTION = re.compile(r"\s*\[([^\]]*)\]")

_GLOBAL_LIST = re.compile(r'\s*excludesfile\s*=\s*("(?:[^"\\]|\\.)*"|[^#;]*)', re.IGNORECASE)


def _global_list() -> str:
    """Return the path of git's global list: `core.excludesFile` in the user's configuration, or the default.

    Files that the configuration includes, and the system's, are not read.
    """
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 (raises nothing; without a home folder, it is relative)
    if not home.is_absolute():
        return ""
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config", "git")
    found = str(folder / "ignore")
    for config in (folder / "config", home / ".gitconfig"):
        is_core = False
        for line in _content(str(config), follow_link=True).decode("utf-8", "surrogateescape").split("\n"):
            if section := _SECTION.match(line):
                is_core = section[1].lower() == "core"
            if is_core and (setting := _GLOBAL_LIST.match(line, section.end() if section else 0)):
                value = re.sub(r"\\(.)", r"\1", setting[1].strip().strip('"'))
                found = os.path.expanduser(value)  # noqa: PTH111
    return found if os.path.isabs(found) else ""  # noqa: PTH117


def is_ignored(path: str, is_folder: bool, ignores: Ignores) -> bool:
    """Whether a path is ignored; the deepest .gitignore with a matching pattern decides."""
    for base, rules in reversed(ignores):
        verdict = rules.check(os.fsencode(below(path, base)), is_folder)
        if verdict is not None:
            return verdict
    return False
