"""Which files may be read at all: text, not too large, not ignored by .gitignore, and never one that holds secrets."""

import os
from collections.abc import Iterator
from pathlib import Path

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


def source_files(folder: Path, suffixes: tuple[str, ...] = (".py",)) -> Iterator[Path]:
    """The files below `folder` that a person wrote and git would keep, in the order of their names.

    Every .gitignore on the way down is respected (`pathspec` knows git's rules); links are not followed. Folders
    above `folder` are not asked: who names a folder means it.
    """
    yield from _walk(folder, suffixes, ())


def _walk(folder: Path, suffixes: tuple[str, ...], specs: tuple[tuple[Path, GitIgnoreSpec], ...]) -> Iterator[Path]:
    ignore_file = folder / ".gitignore"
    if ignore_file.is_file():
        lines = ignore_file.read_text("utf-8", "replace").splitlines()
        specs = (*specs, (folder, GitIgnoreSpec.from_lines(lines)))
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except PermissionError:
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.is_symlink() or _ignored(path, entry.is_dir(), specs):
            continue
        if entry.is_dir():
            if entry.name not in NEVER_ENTERED:
                yield from _walk(path, suffixes, specs)
        elif path.suffix in suffixes and not SECRETS.match_file(entry.name) and entry.stat().st_size <= MAX_BYTES:
            yield path


def _ignored(path: Path, is_folder: bool, specs: tuple[tuple[Path, GitIgnoreSpec], ...]) -> bool:
    """What the nearest .gitignore that has an opinion says: deeper files override those above them."""
    for base, spec in reversed(specs):
        relative = path.relative_to(base).as_posix() + ("/" if is_folder else "")
        verdict = spec.check_file(relative).include
        if verdict is not None:
            return verdict
    return False
