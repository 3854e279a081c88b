"""Sources of a corpus: a file, folder, glob, `stdlib` or `package:NAME` -> its documents, in order."""

import fnmatch
import importlib.metadata
import importlib.util
import itertools
import os
import re
import sysconfig
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from tinycopilot import UserError
from tinycopilot.files.left_out import LeftOut, Reason
from tinycopilot.files.reading import NotTextError, read_pieces, read_written
from tinycopilot.files.walking import source_files, walk
from tinycopilot.paths import user_path

BLOCK_SEPARATOR = "# %% "
"""In a .txt file, a line with this prefix and a name starts a new document."""

PACKAGE = "package:"
MAGIC = r"[*?\[]"
"""A name that contains this is a glob."""

# Tests, a copy of pip, character set tables, 700 kB of prose, and demos.
STDLIB_LEFT_OUT = (
    *("test", "tests", "idle_test", "site-packages", "dist-packages", "ensurepip", "encodings", "pydoc_data"),
    *("turtledemo", "idlelib", "lib2to3"),
)

BLOCK_CHARS = 2_000_000
"""A longer block is split into several documents, to limit memory."""

Document = tuple[str, str]
"""A document's name, for messages, and its text."""


def documents(
    name: str, suffixes: Sequence[str], left_out: LeftOut, exclude: Collection[Path] = ()
) -> Iterator[Document]:
    """Yield the documents of the source `name`; from a folder, files with `suffixes` that are not in `exclude`.

    Raises UserError if there are none.
    """
    path = user_path(name)
    n_documents = 0
    for document in _candidates(name, path, suffixes, left_out, exclude):
        if document[1].strip():
            n_documents += 1
            yield document
        else:
            left_out.add(Reason.BLANK, document[0])
    if not n_documents and os.path.isfile(path):  # noqa: PTH113
        what = "the file contains only whitespace" if os.path.getsize(path) else "the file is empty"  # noqa: PTH202
        raise UserError(f"{name}: no text for training: {what}; use a text file with content")
    if not n_documents:
        raise UserError(f"{name}: {_why_nothing(suffixes, left_out)}")


def _candidates(
    name: str, path: Path, suffixes: Sequence[str], left_out: LeftOut, exclude: Collection[Path]
) -> Iterator[Document]:
    """Yield the documents, blank ones included. A name that is an existing path is that path."""
    if os.path.isdir(path):  # noqa: PTH112 (Path.is_dir and Path.exists raise if a folder is not readable)
        files = (file for file in source_files(path, suffixes, left_out) if file not in exclude)
        return read_written(files, path, left_out)
    if os.path.exists(path):  # noqa: PTH110
        return _named_file(path)
    if name == "stdlib":
        root = Path(sysconfig.get_paths()["stdlib"])
        return read_written(source_files(root, (".py",), left_out, STDLIB_LEFT_OUT), root, left_out)
    if name.startswith(PACKAGE):
        return _package(name.removeprefix(PACKAGE), suffixes, left_out)
    return _glob(path, suffixes, left_out) if re.search(MAGIC, name) else _named_file(path)


def split_blocks(lines: Iterable[str]) -> Iterator[str]:
    """Yield the blocks of a .txt corpus. Text before the first separator is a block too, unless blank.

    A text without separators is one document.
    """
    block: list[str] = []
    n_chars, has_separator = 0, False
    for line in lines:
        if line.startswith(BLOCK_SEPARATOR):
            text = "".join(block)
            if has_separator or text.strip():
                yield text.strip("\n") + "\n"
            block, n_chars, has_separator = [], 0, True
        else:
            block.append(line)
            n_chars += len(line)
            if n_chars > BLOCK_CHARS:
                yield "".join(block)
                block, n_chars = [], 0
    text = "".join(block)
    yield text.strip("\n") + "\n" if has_separator else text


def _named_file(path: Path) -> Iterator[Document]:
    """Yield the documents of a file, of any size, even if it looks generated: the user named it."""
    pieces: Iterable[str] = read_pieces(path)
    if path.suffix == ".txt":
        pieces = split_blocks(line for piece in pieces for line in piece.splitlines(keepends=True))
    for piece in pieces:
        yield path.name, piece


def _why_nothing(suffixes: Sequence[str], left_out: LeftOut) -> str:
    note = f" to learn from{left_out.in_brackets()}" if left_out.lines() else ""
    nothing = f"no {_spoken(suffixes, 'or')} files there{note}"
    others = [(suffix, n) for suffix, n in left_out.other_suffixes.most_common() if _is_text(left_out.examples[suffix])]
    if not others:
        return f"{nothing}; name files or folders of source code"
    has = _spoken([f"{suffix} ({n:,})" for suffix, n in others[:3]], "and")
    return f"{nothing}; it has {has}: give --ext {others[0][0][1:]}"


def _is_text(path: Path) -> bool:
    if not path.suffix:
        return False
    try:
        return bool(next(read_pieces(path), ""))
    except NotTextError:
        return False


def _spoken(words: Sequence[str], conjunction: str) -> str:
    """Return `a, b and c`."""
    return f" {conjunction} ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _glob(pattern: Path, suffixes: Sequence[str], left_out: LeftOut) -> Iterator[Document]:
    """Yield files that match, with any suffix, and files with one of `suffixes` in folders that match.

    As in a shell, `**` matches any number of folders, and `*` no name that starts with a dot. Files that git ignores
    are left out.
    """
    n_fixed = next(i for i, part in enumerate(pattern.parts) if re.search(MAGIC, part))
    root = Path(*pattern.parts[:n_fixed])
    wanted = tuple(  # without repeated `**`, each of which would be a level of recursion
        part for above, part in itertools.pairwise(("", *pattern.parts[n_fixed:])) if not above == part == "**"
    )

    def takes(relative: str) -> bool:
        parts = tuple(relative.split("/"))
        if _matches(parts, wanted):
            return True
        return relative.lower().endswith(tuple(suffixes)) and any(
            _matches(parts[:n], wanted) for n in range(1, len(parts))
        )

    def enters(relative: str) -> bool:
        return _may_lead_to(relative.split("/"), wanted)

    found = walk(root, takes, enters, left_out) if os.path.isdir(root) else iter(())  # noqa: PTH112
    first = next(found, None)
    if first is None:
        raise UserError(f"{pattern}: no file matches{left_out.in_brackets()}; check the pattern, or use a folder")
    yield from read_written(itertools.chain([first], found), root, left_out)


@lru_cache(maxsize=100_000)  # several `**` in a deep folder would otherwise take exponential time
def _matches(parts: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Whether a path matches a pattern, both given as parts."""
    if not wanted:
        return not parts
    if wanted[0] == "**":
        is_inside = bool(parts) and not parts[0].startswith(".") and _matches(parts[1:], wanted)
        return is_inside or _matches(parts, wanted[1:])
    return bool(parts) and _fits(parts[0], wanted[0]) and _matches(parts[1:], wanted[1:])


def _may_lead_to(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether a folder, a folder above it, or something in it can match."""
    for part, pattern in zip(parts, wanted, strict=False):
        if pattern == "**":
            return True
        if not _fits(part, pattern):
            return False
    return True


def _fits(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) and (not name.startswith(".") or pattern.startswith("."))


def _package(name: str, suffixes: Sequence[str], left_out: LeftOut) -> Iterator[Document]:
    """Yield the source files of an installed package, without importing it, which would run it."""
    roots = _import_roots(name) or _distribution_roots(name)
    if not roots:
        raise UserError(f"{PACKAGE}{name}: no such installed package with source files; run `pip install` first")
    for root in roots:
        if root.is_dir():
            yield from read_written(source_files(root, suffixes, left_out), root, left_out)
        elif root.suffix in (".py", ".pyi"):
            file = root.resolve()  # may be a link in a package manager's folder
            yield from read_written([file], file.parent, left_out)


def _import_roots(name: str) -> list[Path]:
    """Return where `import NAME` finds it: a folder, the folders of a namespace package, or a module file."""
    top, *below = name.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations:
        inside = [Path(folder, *below) for folder in spec.submodule_search_locations]
        return [path for folder in inside for path in (folder, folder.with_suffix(".py")) if path.exists()]
    return [Path(spec.origin)] if spec.has_location and spec.origin and not below else []


def _distribution_roots(name: str) -> list[Path]:
    """Return the packages and modules of the distribution NAME; of a namespace package, only its own parts."""
    try:
        distribution = importlib.metadata.distribution(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return []
    sources = [Path(file) for file in distribution.files or () if file.suffix == ".py" and ".." not in file.parts]
    packages = {file.parent for file in sources if file.name == "__init__.py"}
    tops = {next((above for above in reversed(file.parents) if above in packages), file) for file in sources}
    return [Path(str(distribution.locate_file(top))) for top in sorted(tops)]
