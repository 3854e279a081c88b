"""Which files may be read at all: text, and in a folder what git would keep, not too large, and no secrets."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pathspec import GitIgnoreSpec

from tinycopilot import UserError

MAX_BYTES = 1_000_000
"""Larger files are data or generated code, not what a person writes."""

NEVER_ENTERED = frozenset(
    (
        *(".git", ".hg", ".svn", "node_modules", "site-packages", "__pycache__"),
        *(".venv", "venv", ".tox", ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache"),
    )
)

SECRETS = GitIgnoreSpec.from_lines(
    (
        *(".env", ".env.*", "*.pem", "*.key", "*.p12", "*.pfx", "*.keystore", "id_rsa*", "id_ed25519*"),
        *(".netrc", ".pypirc", ".npmrc", "secrets.*", "credentials*", "*token*.json"),
    )
)


class NotTextError(UserError):
    """A file that was asked for is not text that can be read."""


def read_source(path: Path) -> str:
    """The text of a UTF-8 file with its line ends as `\\n`. Raises NotTextError, one line that says what is wrong."""
    if SECRETS.match_file(path.name):
        raise NotTextError(
            f"{path}: by its name a file of keys or passwords, which is never read; rename it if it is not"
        )
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise NotTextError(f"{path}: there is no such file; check the path") from None
    except OSError as error:
        raise NotTextError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    if b"\0" in data[:8192]:
        raise NotTextError(f"{path}: a binary file, not text; name a text file or a folder of source code")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotTextError(
            f"{path}: not UTF-8 text (byte {error.start}); convert it, for instance with `iconv -f latin1 -t utf-8`"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


Ignores = tuple[tuple[Path, GitIgnoreSpec], ...]
"""Folders from the top down, and what the .gitignore in each says."""


def source_files(folder: Path, suffixes: tuple[str, ...] = (".py",)) -> Iterator[Path]:
    """The files below `folder` that a person wrote and git would keep, in the order of their names.

    Every .gitignore from the top of the repository down is respected (`pathspec` knows git's rules); links are not
    followed, and folders that may not be read are passed over.
    """
    folder = folder.absolute()
    above = [folder, *folder.parents]
    top = next((i for i, parent in enumerate(above) if (parent / ".git").exists()), 0)
    ignores: Ignores = ()
    for parent in reversed(above[1 : top + 1]):
        ignores = _with_gitignore(parent, ignores)
    if _ignored(folder, True, ignores):  # who names an ignored folder means it
        ignores = ()
    yield from _walk(folder, suffixes, ignores)


def _walk(folder: Path, suffixes: tuple[str, ...], ignores: Ignores) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    ignores = _with_gitignore(folder, ignores)
    for entry in entries:
        path = Path(entry.path)
        if entry.is_symlink() or _ignored(path, entry.is_dir(), ignores):
            continue
        if entry.is_dir():
            if entry.name not in NEVER_ENTERED:
                yield from _walk(path, suffixes, ignores)
        elif entry.is_file() and path.suffix in suffixes and _is_for_reading(entry):
            yield path


def _is_for_reading(entry: "os.DirEntry[str]") -> bool:
    return not SECRETS.match_file(entry.name) and entry.stat().st_size <= MAX_BYTES


def _with_gitignore(folder: Path, ignores: Ignores) -> Ignores:
    """`ignores`, and what the .gitignore in `folder` adds; as git does, it passes over a line that is no pattern."""
    try:
        lines = (folder / ".gitignore").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ignores
    patterns: list[Any] = []
    for line in lines:
        with contextlib.suppress(ValueError, re.error):
            patterns += GitIgnoreSpec.from_lines([line]).patterns
    return (*ignores, (folder, GitIgnoreSpec(patterns)))


def _ignored(path: Path, is_folder: bool, ignores: Ignores) -> bool:
    """What the nearest .gitignore that has an opinion says: deeper files override those above them."""
    for base, spec in reversed(ignores):
        relative = path.relative_to(base).as_posix() + ("/" if is_folder else "")
        verdict = spec.check_file(relative).include
        if verdict is not None:
            return verdict
    return False
