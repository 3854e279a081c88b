"""Folders: the workspace's folders and which of their files are indexed; the names of files and documents."""

import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from pygls.uris import to_fs_path

from tinycopilot.files import notebook_file
from tinycopilot.files.gitignore import Patterns
from tinycopilot.files.secret_files import is_secret_place
from tinycopilot.paths import comparable
from tinycopilot_server.settings import Settings

PYTHON = (".py", ".pyi", notebook_file.SUFFIX)


def document_name(uri: str) -> str:
    """The name of a document, in the editor and on disk: its path with links resolved, or the URI if it has none."""
    path = _path_of(uri)
    return name_of(path) if path else uri.replace("\0", "")


def opened_as(uri: str) -> str:
    """The path as the editor gave it, which may contain links; "" if there is none."""
    return comparable(_path_of(uri))


def _path_of(uri: str) -> str:
    """The absolute local path in a URI, "" if there is none; its bytes need not be UTF-8."""
    try:
        if os.name == "nt":
            path = to_fs_path(uri) or ""
        else:
            parts = urlsplit(uri)
            path = os.fsdecode(unquote_to_bytes(parts.path))
            if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not path.startswith("/"):
                return ""
    except ValueError:  # no URI
        return ""
    return "" if "\0" in path else path


def name_of(path: str | Path) -> str:
    """The name of the document at `path`."""
    return comparable(os.path.realpath(path))


class Folders:
    """The workspace's folders, and which of their files count. Changed on the event loop; read by any thread."""

    def __init__(self) -> None:
        self.roots: tuple[str, ...] = ()
        """The folders, as `name_of` returns them."""
        self.tops: tuple[str, ...] = ()
        """The folders, with links resolved and as the editor gave them."""
        self.suffixes: tuple[str, ...] = PYTHON
        """Suffixes of the files that are indexed."""
        self.excluded = Patterns()
        """Files that the settings exclude."""
        self.forgotten = set[str]()
        """Names of files that the user has removed from the index."""

    def set_roots(self, uris: Iterable[str]) -> None:
        """Replace the folders; skip anything that is not a folder, and folders of secrets."""
        roots = dict[str, str]()
        for uri in uris:
            root = document_name(uri)
            is_folder = os.path.isabs(root) and os.path.isdir(root)  # noqa: PTH112, PTH117
            if is_folder and not is_secret_place(Path(root), [os.path.dirname(root)]):  # noqa: PTH120
                roots[root] = opened_as(uri)
        self.roots, self.tops = tuple(roots), (*roots, *roots.values())

    @property
    def main(self) -> str | None:
        """The first folder, which identifies the workspace."""
        return next(iter(self.roots), None)

    def choose(self, settings: Settings) -> None:
        """Replace the excluded patterns, and reset the suffixes to those of Python, if it is on; `want` adds others."""
        self.excluded = Patterns(settings.exclude)
        self.suffixes = PYTHON if settings.has_language("python") else ()

    def wants(self, name: str) -> bool:
        """Whether a file of this name is indexed, if it lies in one of the folders."""
        return name.lower().endswith(self.suffixes) and not self.excludes(name)

    def want(self, name: str) -> bool:
        """Index files with the suffix of this one, too, if it lies in a folder; return whether that is new."""
        suffix = Path(name).suffix.lower()
        if not suffix or suffix in self.suffixes or not any(map(Path(name).is_relative_to, self.roots)):
            return False
        self.suffixes += (suffix,)
        return True

    def excludes(self, name: str, link: str = "") -> bool:
        """Whether this file is excluded or forgotten; `link` is the path that it was opened by."""
        if name in self.forgotten or self.excluded.match(name, self.roots):
            return True
        return link not in ("", name) and self.excluded.match(link, self.tops)
