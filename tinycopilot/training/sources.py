"""What a corpus's name stands for: a file, a folder, a glob, `stdlib` or `package:NAME` -> its documents, in order."""

import fnmatch
import importlib.metadata
import importlib.util
import itertools
import os
import re
import sysconfig
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from tinycopilot import UserError
from tinycopilot.files import (
    LeftOut,
    NotTextError,
    Reason,
    read_pieces,
    read_written,
    source_files,
    walk,
)
from tinycopilot.paths import user_path

BLOCK_SEPARATOR = "# %% "
"""A .txt file holds blocks, each a document, under a line that starts so and goes on with the block's name."""

PACKAGE = "package:"
MAGIC = r"[*?\[]"
"""What makes a name a glob."""

# Tests, a copy of pip, tables of character sets, 700 kB of prose, and programs that show off.
STDLIB_LEFT_OUT = (
    *("test", "tests", "idle_test", "site-packages", "dist-packages", "ensurepip", "encodings", "pydoc_data"),
    *("turtledemo", "idlelib", "lib2to3"),
)

BLOCK_CHARS = 2_000_000
"""A longer block is several documents, so that none has to fit into memory."""

Document = tuple[str, str]
"""A document's name, as the user is told it, and its text."""


def documents(
    name: str, suffixes: Sequence[str], left_out: LeftOut, without: Collection[Path] = ()
) -> Iterator[Document]:
    """The documents that `name` stands for; `suffixes` say which files of a folder are meant, but for those `without`.

    Raises UserError, one line, where there are none.
    """
    path = user_path(name)
    n_documents = 0
    for document in _candidates(name, path, suffixes, left_out, without):
        if document[1].strip():
            n_documents += 1
            yield document
        else:
            left_out.add(Reason.BLANK, document[0])
    if not n_documents and os.path.isfile(path):  # noqa: PTH113
        what = "there is nothing but white space in the file" if os.path.getsize(path) else "the file is empty"  # noqa: PTH202
        raise UserError(f"{name}: no text for training: {what}; use a text file with content")
    if not n_documents:
        raise UserError(f"{name}: {_why_nothing(suffixes, left_out)}")


def _candidates(
    name: str, path: Path, suffixes: Sequence[str], left_out: LeftOut, without: Collection[Path]
) -> Iterator[Document]:
    """What there is under this name, the empty included. A path that exists is that path, whatever it is called."""
    if os.path.isdir(path):  # noqa: PTH112 (Path.is_dir and Path.exists raise where a folder may not be read)
        files = (file for file in source_files(path, suffixes, left_out) if file not in without)
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
    """The blocks of a .txt corpus. What precedes the first separator is a block, too, unless it is white space.

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
    """Who names a file means it, however long or by whatever written."""
    pieces: Iterable[str] = read_pieces(path)
    if path.suffix == ".txt":
        pieces = split_blocks(line for piece in pieces for line in piece.splitlines(keepends=True))
    for piece in pieces:
        yield path.name, piece


def _why_nothing(suffixes: Sequence[str], left_out: LeftOut) -> str:
    """What to say of a folder that gave no document."""
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
    """`a, b and c`."""
    return f" {conjunction} ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _glob(pattern: Path, suffixes: Sequence[str], left_out: LeftOut) -> Iterator[Document]:
    """Files that match, whatever their suffix, and those with one of `suffixes` in folders that match.

    As in a shell, `**` is any number of folders, and `*` is no name that starts with a dot. What git ignores is left
    out as in a folder.
    """
    n_fixed = next(i for i, part in enumerate(pattern.parts) if re.search(MAGIC, part))
    root = Path(*pattern.parts[:n_fixed])
    wanted = pattern.parts[n_fixed:]

    def takes(relative: str) -> bool:
        itself, in_folder = _matches(relative.split("/"), wanted)
        return itself or (in_folder and relative.lower().endswith(tuple(suffixes)))

    def enters(relative: str) -> bool:
        return _may_lead_to(relative.split("/"), wanted)

    found = walk(root, takes, enters, left_out) if os.path.isdir(root) else iter(())  # noqa: PTH112
    first = next(found, None)
    if first is None:
        raise UserError(f"{pattern}: no file matches{left_out.in_brackets()}; check the pattern, or use a folder")
    yield from read_written(itertools.chain([first], found), root, left_out)


def _matches(parts: Sequence[str], wanted: Sequence[str]) -> tuple[bool, bool]:
    """Whether the parts of a path are what the parts of a pattern say, and whether those of a folder above it are.

    All ways to match are followed at once, in O(parts * wanted).
    """
    reached, in_folder = _with_no_folders({0}, wanted), False
    for n_above, part in enumerate(parts):
        in_folder |= n_above > 0 and len(wanted) in reached
        following = set()
        for i in reached - {len(wanted)}:
            if wanted[i] == "**":
                following |= set() if part.startswith(".") else {i}
            elif _fits(part, wanted[i]):
                following.add(i + 1)
        reached = _with_no_folders(following, wanted)
    return len(wanted) in reached, in_folder


def _with_no_folders(reached: set[int], wanted: Sequence[str]) -> set[int]:
    """The places in a pattern that are reached, with those behind each `**`, which may be no folder at all."""
    for i, part in enumerate(wanted):
        if part == "**" and i in reached:
            reached = reached | {i + 1}
    return reached


def _may_lead_to(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether something in the folder with these parts could match, or the folder, or one above it, does."""
    for part, pattern in zip(parts, wanted, strict=False):
        if pattern == "**":
            return True
        if not _fits(part, pattern):
            return False
    return True


def _fits(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) and (not name.startswith(".") or pattern.startswith("."))


def _package(name: str, suffixes: Sequence[str], left_out: LeftOut) -> Iterator[Document]:
    """The source of an installed package, which is never imported for that: importing runs it."""
    roots = _import_roots(name) or _distribution_roots(name)
    if not roots:
        raise UserError(f"{PACKAGE}{name}: no such package is installed with its source; run `pip install` first")
    for root in roots:
        if root.is_dir():
            yield from read_written(source_files(root, suffixes, left_out), root, left_out)
        elif root.suffix in (".py", ".pyi"):
            file = root.resolve()  # its name may be a link, as in a package manager's folders
            yield from read_written([file], file.parent, left_out)


def _import_roots(name: str) -> list[Path]:
    """Where `import NAME` would find it: its folder, the folders of a namespace, or the file of a module."""
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
    """The packages and modules that `pip install NAME` brought; parts of a namespace are told from their neighbours."""
    try:
        distribution = importlib.metadata.distribution(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return []
    sources = [Path(file) for file in distribution.files or () if file.suffix == ".py" and ".." not in file.parts]
    packages = {file.parent for file in sources if file.name == "__init__.py"}
    tops = {next((above for above in reversed(file.parents) if above in packages), file) for file in sources}
    return [Path(str(distribution.locate_file(top))) for top in sorted(tops)]
