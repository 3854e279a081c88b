"""Decide which files may be read (hand-written text that git would track, but never secrets), and read them."""

import codecs
import contextlib
import errno
import io
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO
from unicodedata import category

from tinycopilot import UserError
from tinycopilot.gitignore import PatternError, Rules, TooManyError, parse, parse_line
from tinycopilot.masking import REACH_CHARS, mask, n_secrets, start_of_unfinished_key
from tinycopilot.notebook_file import MAX_NOTEBOOK_BYTES, code_cells, is_notebook, joined
from tinycopilot.paths import composed
from tinycopilot.secret_files import is_secret, is_secret_folder, is_secret_source

MAX_BYTES = 1_000_000
"""Larger files in a folder are data or generated code; notebooks may be larger (notebook_file.py)."""

MAX_WHOLE_BYTES = 100_000_000
"""A larger file is never read as a whole, even if a user names it."""

MAX_DEPTH = 200
"""Maximum depth of folders below the one that is searched."""

PIECE_BYTES = 2_000_000
"""Files are read in pieces of about this size, to limit memory."""

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""Byte order marks of UTF-16."""

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

_GENERATED_NAMES = re.compile(
    r".*(_pb2(_grpc)?\.pyi?|\.pb\.(go|h|cc)|\.min\.\w+|[-.]bundle\.js|\.designer\.(cs|vb)|[._]generated\.\w+|\.g\.dart)"
)
HEAD_CHARS = 1_000
# At the start of a file, and about the file: "the multipliers are automatically generated" is about something else.
# Among 453 files of Python 3.11's library, this finds four, all of them generated.
_GENERATED_MARK = re.compile(
    r"@generated\b|(?-i:GENERATED FILE)|^\W*(this file (is|was) )?(auto-?|automatically )generated\b"
    r"|\bgenerated\b.{0,200}\bdo not (edit|modify)\b|\bdo not (edit|modify)\b.{0,200}\bgenerated\b",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)

# In Python 3.11's library, the longest line has 1,000 characters, and the largest mean is 90. Of 7,224 files of 40
# packages, these limits leave out seven: five tables, and two hand-written files with a table.
MAX_LINE_CHARS = 2_000
MAX_MEAN_LINE_CHARS = 200
PROSE = (".md", ".txt", ".rst", ".tex", ".adoc", ".org")
"""Files in which a paragraph may be one line."""


class Reason(Enum):
    """Why a file is left out, in singular and plural."""

    SECRET = ("name that suggests secrets", "names that suggest secrets")
    MASKED = ("secret masked in a file that is otherwise read", "secrets masked in files that are otherwise read")
    VENDORED = ("vendored folder", "vendored folders")
    GENERATED = ("generated file", "generated files")
    LONG_LINES = ("minified file or data table", "minified files or data tables")
    HUGE = (f"file over {MAX_BYTES // 1_000_000} MB", f"files over {MAX_BYTES // 1_000_000} MB")
    BINARY = ("binary file", "binary files")
    NOT_UTF8 = ("file that is not UTF-8", "files that are not UTF-8")
    NOT_UTF16 = ("file with invalid UTF-16", "files with invalid UTF-16")
    NOT_A_NOTEBOOK = ("invalid notebook", "invalid notebooks")
    TOO_DEEP = (f"folder over {MAX_DEPTH} levels deep", f"folders over {MAX_DEPTH} levels deep")
    GITIGNORE = (
        ".gitignore with too many patterns, and its folder",
        ".gitignore files with too many patterns, and their folders",
    )
    UNREADABLE = ("file that cannot be read", "files that cannot be read")
    IGNORED = ("file or folder that git ignores", "files or folders that git ignores")
    LINK = ("symbolic link (not followed)", "symbolic links (not followed)")
    SPECIAL = ("pipe, socket or device", "pipes, sockets or devices")
    BLANK = ("text with only whitespace", "texts with only whitespace")
    DUPLICATE = ("duplicate", "duplicates")
    TOO_MANY = (
        "file and all files after it, because there are too many",
        "files and all files after them, because there are too many",
    )


EXPECTED = frozenset((Reason.IGNORED, Reason.LINK, Reason.SPECIAL))
"""Reasons that the user has chosen: reported for a corpus, but not each time a workspace is indexed."""


class NotTextError(UserError):
    """A file is not readable text, or must not be read."""

    def __init__(self, message: str, reason: Reason) -> None:
        super().__init__(message)
        self.reason = reason


MAX_NAME_CHARS = 100
"""Only the end of a longer name is shown."""


def _on_one_line(name: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in name)


class LeftOut:
    """Files that a search left out: counts by reason, and the first few names."""

    N_NAMES = 3

    def __init__(self) -> None:
        self._counts: Counter[Reason] = Counter()
        self._names: dict[Reason, list[str]] = {}
        self.other_suffixes: Counter[str] = Counter()
        """Counts of files with other suffixes than requested."""
        self.examples: dict[str, Path] = {}
        """One file of each of these suffixes."""

    def add(self, reason: Reason, name: str, n: int = 1) -> None:
        """Count `n` cases in one file; the name is made printable, on one line."""
        self._counts[reason] += n
        names = self._names.setdefault(reason, [])
        if len(names) < self.N_NAMES:
            if len(name) > MAX_NAME_CHARS:
                name = f"...{name[3 - MAX_NAME_CHARS :]}"
            names.append(_on_one_line(name))

    def add_other(self, path: Path) -> None:
        """Count a file with another suffix than requested."""
        suffix = _on_one_line(path.suffix.lower())
        self.other_suffixes[suffix] += 1
        self.examples.setdefault(suffix, path)

    def include(self, other: "LeftOut") -> None:
        """Add the counts of another search."""
        self._counts += other._counts
        for reason, names in other._names.items():
            self._names[reason] = (self._names.get(reason, []) + names)[: self.N_NAMES]
        self.other_suffixes += other.other_suffixes

    def lines(self) -> tuple[str, ...]:
        """Return one line per reason, except EXPECTED: `left out: 5 duplicates (a.py, b.py, c.py and 2 more)`."""
        return tuple(self._line(reason) for reason in Reason if self._counts[reason] and reason not in EXPECTED)

    def all_lines(self) -> tuple[str, ...]:
        """Return one line per reason, and `left out: 3 files with other extensions (.md 2, .c 1); use --ext to ...`."""
        lines = tuple(self._line(reason) for reason in Reason if self._counts[reason])
        if not (n_files := self.other_suffixes.total()):
            return lines
        kinds = self.other_suffixes.most_common()
        some = ", ".join(f"{suffix or 'no suffix'} {n:,}" for suffix, n in kinds[: self.N_NAMES])
        n_more = len(kinds) - self.N_NAMES
        more = f" and {n_more:,} more extension{'s' * (n_more > 1)}" if n_more > 0 else ""
        files = f"{n_files:,} file{'s' * (n_files > 1)} with other extensions"
        return (*lines, f"left out: {files} ({some}{more}); use --ext to read them")

    def in_brackets(self) -> str:
        """Return the lines in brackets, after a space, for the end of a sentence; empty if there are none."""
        return f" ({'; '.join(lines)})" if (lines := self.lines()) else ""

    def _line(self, reason: Reason) -> str:
        n, names = self._counts[reason], self._names[reason]
        more = f" and {n - len(names):,} more" if n > len(names) else ""
        return f"left out: {n:,} {reason.value[n > 1]} ({', '.join(names)}{more})"


class Patterns:
    """Patterns of files to exclude, in .gitignore syntax."""

    def __init__(self, lines: Sequence[str] = ()) -> None:
        """Raises UserError, whose text continues "must be ...", if a pattern is invalid, or if there are too many."""
        patterns = []
        for line in lines:
            try:
                patterns.append(parse_line(line.encode("utf-8", "surrogatepass")))
            except PatternError:
                raise UserError(f"a list of .gitignore patterns ({line!r} is invalid)") from None
        try:
            self._rules = Rules(filter(None, patterns))
        except TooManyError:
            raise UserError(f"a shorter list of patterns ({len(lines):,} are too many, or too long)") from None

    def __bool__(self) -> bool:
        return len(self._rules) > 0

    def match(self, name: str, folders: Iterable[str] = ()) -> bool:
        """Whether a file, or a folder above it, matches, by its path below each of `folders` that contains it.

        If none does, by its absolute path.
        """
        if not self:
            return False
        below = [_below(name, folder) for folder in folders if name.startswith(os.path.join(folder, ""))]  # noqa: PTH118
        return any(
            self._rules.check_with_parents(path.encode("utf-8", "surrogatepass"))
            for path in below or [_below(name, "")]
        )


def as_pattern(path: str) -> str:
    """Return the pattern that matches exactly this file by its absolute path."""
    return "/" + re.sub(r"([\\*?\[\]!# ])", r"\\\1", Path(path).as_posix().lstrip("/"))


def normalize_suffixes(words: Sequence[str]) -> tuple[str, ...]:
    """Convert `py`, `.JS` and `c,h` to `.py`, `.js`, `.c`, `.h`. Raises UserError if one is invalid."""
    suffixes = []
    for word in (part.strip() for words_of_one in words for part in words_of_one.split(",")):
        if not re.fullmatch(r"\.?[\w+#-]+(\.[\w+#-]+)*", word):
            raise UserError(f"{word!r} is not a file extension; use, for example, --ext py")
        suffixes.append("." + word.removeprefix(".").lower())
    return tuple(dict.fromkeys(suffixes))


def read_source(
    path: Path, as_it_is: bool = False, *, max_bytes: int = MAX_WHOLE_BYTES, follow_link: bool = True
) -> str:
    """Return the text of a file, with line ends as `\\n`, and secrets masked (masking.py).

    UTF-8 with or without a byte order mark, or UTF-16 with one, as Windows PowerShell writes it. The text of a notebook
    is the source of its code cells. `as_it_is` changes nothing, for an editor that saves the text. Raises NotTextError.
    """
    return "".join(read_pieces(path, as_it_is, max_bytes=max_bytes, follow_link=follow_link))


def read_pieces(
    path: Path, as_it_is: bool = False, *, max_bytes: int | None = None, follow_link: bool = True
) -> Iterator[str]:
    """Yield the text of `read_source` in pieces of about PIECE_BYTES: whole lines, unless one is longer.

    A notebook is one piece.
    """
    if is_notebook(path.name) and not as_it_is:
        if text := _notebook_source(path, follow_link):
            yield mask(text)
        return
    # Neither a link nor its target may have the name of a secret.
    names = {path.name, Path(os.path.realpath(path)).name}
    if any(map(is_secret, names)):
        raise _secret(path)
    decoder: io.IncrementalNewlineDecoder | None = None
    n_bytes_before, is_utf16, rest, above = 0, False, "", ""
    for data in _chunks(path, max_bytes, follow_link):
        if decoder is None:
            is_utf16 = data.startswith(UTF16_MARKS) and _may_be_utf16(data[:8192])
            codec = codecs.getincrementaldecoder("utf-16" if is_utf16 else "utf-8-sig")()
            decoder = io.IncrementalNewlineDecoder(codec, translate=not as_it_is)
        if not is_utf16 and b"\0" in data:
            raise NotTextError(
                f"{path}: a binary file, not text; use a text file or a folder of source code", Reason.BINARY
            )
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            first = n_bytes_before + len(data) - len(error.object) + error.start
            if is_utf16:
                raise NotTextError(
                    f"{path}: damaged UTF-16 (byte {first}: {error.reason}); save it again, as UTF-8 if you can",
                    Reason.NOT_UTF16,
                ) from None
            raise NotTextError(
                f"{path}: not UTF-8 text (byte {first}); convert it, for instance with `iconv -f latin1 -t utf-8`",
                Reason.NOT_UTF8,
            ) from None
        text = rest + text
        # In UTF-16, byte 10 is not always a line end, so a chunk may end within a line, which moves to the next piece,
        # as does an incomplete private key.
        n_whole = ((text.rfind("\n") + 1) or len(text)) if data and is_utf16 else len(text)
        n_whole = start_of_unfinished_key(text[:n_whole]) if data else n_whole
        text, rest = text[:n_whole], text[n_whole:]
        if n_bytes_before == 0 and any(is_secret_source(name, text) for name in names):
            raise _secret(path)
        n_bytes_before += len(data)
        if text:
            yield text if as_it_is else mask(above + text)[len(above) :]  # a secret's name may be on the line above it
            above = text[max(text.rfind("\n", 0, -1) + 1, len(text) - REACH_CHARS) :]


def _notebook_source(path: Path, follow_link: bool) -> str:
    """Return the code cells of a notebook, except those that look like data, as one text. Raises NotTextError."""
    text = "".join(read_pieces(path, as_it_is=True, max_bytes=MAX_NOTEBOOK_BYTES, follow_link=follow_link))
    try:
        cells = code_cells(text)
    except ValueError as error:
        raise NotTextError(
            f"{path}: not a notebook: {error}; save it again in Jupyter or in VS Code", Reason.NOT_A_NOTEBOOK
        ) from None
    return joined(cell for cell in cells if why_not_written("", cell) is not Reason.LONG_LINES)


def _may_be_utf16(data: bytes) -> bool:
    """Whether the start of a file may be UTF-16: all characters are assigned, and none is NUL."""
    return all(character != "\0" and category(character) != "Cn" for character in data.decode("utf-16", "ignore"))


def _secret(path: Path) -> NotTextError:
    return NotTextError(
        f"{path}: the name suggests keys or passwords, so the file is never read; rename it if it contains none",
        Reason.SECRET,
    )


def _chunks(path: Path, max_bytes: int | None, follow_link: bool) -> Iterator[bytes]:
    """Yield the bytes of a file, and an empty chunk at the end. The file may grow meanwhile."""
    try:
        with open_regular(path, follow_link=follow_link) as file:
            n_bytes = 0
            while data := file.read(PIECE_BYTES):
                data += file.readline(PIECE_BYTES) if len(data) == PIECE_BYTES else b""
                n_bytes += len(data)
                if max_bytes is not None and n_bytes > max_bytes:
                    raise NotTextError(
                        f"{path}: over {max_bytes // 1_000_000} MB, which is too large; use a smaller file", Reason.HUGE
                    )
                yield data
            yield b""
    except FileNotFoundError:
        raise NotTextError(f"{path}: no such file; check the path", Reason.UNREADABLE) from None
    except NotRegularError:
        raise NotTextError(f"{path}: not a regular file; use a file on disk", Reason.UNREADABLE) from None
    except OSError as error:
        raise NotTextError(
            f"{path}: cannot be read ({error.strerror}); check its permissions", Reason.UNREADABLE
        ) from None


class NotRegularError(OSError):
    """A link, pipe, socket or device instead of a regular file."""


def open_regular(path: Path | str, *, follow_link: bool = False) -> BinaryIO:
    """Open a regular file for reading, without blocking. Raises OSError.

    A pipe or device is not opened, because that can block or have side effects. If the file was replaced by one
    meanwhile, it is closed again.
    """
    _check_regular(os.stat(path, follow_symlinks=follow_link))  # noqa: PTH116
    flags = os.O_RDONLY
    for name in ("O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY", "O_BINARY", *(() if follow_link else ("O_NOFOLLOW",))):
        flags |= getattr(os, name, 0)
    descriptor = os.open(path, flags)
    try:
        _check_regular(os.fstat(descriptor))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularError(errno.EINVAL, "not a regular file")


def why_not_written(name: str, text: str) -> Reason | None:
    """Return why a file does not look hand-written, by its name and text; else None."""
    if _GENERATED_NAMES.fullmatch(name.lower()) or _GENERATED_MARK.search(text[:HEAD_CHARS]):
        return Reason.GENERATED
    if len(text) <= MAX_LINE_CHARS or name.lower().endswith(PROSE):
        return None
    is_long_on_average = len(text) > MAX_MEAN_LINE_CHARS * text.count("\n")
    if is_long_on_average or max(map(len, text.split("\n"))) > MAX_LINE_CHARS:
        return Reason.LONG_LINES
    return None


def read_written(paths: Iterable[Path], root: Path, left_out: LeftOut) -> Iterator[tuple[str, str]]:
    """Yield name below `root` and text of the hand-written files among `paths`; count the others in `left_out`.

    Files that are links by now, or are in a folder that is, are not read.
    """
    root = root.absolute()
    real_root = os.path.realpath(root)
    for path in paths:
        relative = path.relative_to(root)
        name = relative.as_posix()
        try:
            expected = os.path.join(real_root, relative)  # noqa: PTH118
            if os.path.normcase(os.path.realpath(path)) != os.path.normcase(expected):
                raise NotTextError(f"{path}: a link", Reason.UNREADABLE)
            text = read_source(path, max_bytes=_max_bytes(path.name), follow_link=False)
        except NotTextError as error:
            left_out.add(error.reason, name)
            continue
        reason = why_not_written(path.name, text)
        if reason:
            left_out.add(reason, name)
        else:
            if n_masked := n_secrets(text):
                left_out.add(Reason.MASKED, name, n_masked)
            yield name, text


Ignores = tuple[tuple[str, Rules], ...]
"""Folders from the top down, and the rules of their .gitignore files and of git's other lists."""


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
        pending = [(top, 0, _ignores_above(Path(top)))]
    except TooManyError:
        left_out.add(Reason.GITIGNORE, "a folder above")
        return
    while pending:
        here, depth, ignores = pending.pop()
        relative_here = _below(here, top)
        try:
            entries = _entries(here, follow_link=here == top)
            if here != top and ("pyvenv.cfg", False) in entries:
                continue  # a virtual environment
            ignores = _with_gitignore(here, ignores)
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
            if _ignored(path, bool(is_folder), ignores):
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
    except OSError:  # deleted meanwhile
        return None


def _below(path: str, top: str) -> str:
    """Return the path relative to `top`, with `/` on every system."""
    return path[len(top) :].replace(os.sep, "/").lstrip("/")


def _why_not_entered(name: str, depth: int) -> Reason | None:
    if is_secret_folder(name):
        return Reason.SECRET
    if VENDORED.fullmatch(name.lower()):
        return Reason.VENDORED
    return Reason.TOO_DEEP if depth == MAX_DEPTH else None


def _max_bytes(name: str) -> int:
    """Maximum size in bytes of a file in a folder."""
    return MAX_NOTEBOOK_BYTES if is_notebook(name) else MAX_BYTES


def _why_not_read(path: str) -> Reason | None:
    try:
        return Reason.HUGE if os.lstat(path).st_size > _max_bytes(path) else None
    except OSError:
        return Reason.UNREADABLE


def _ignores_above(folder: Path) -> Ignores:
    """Return the rules of the .gitignore files above `folder`, up to the top of its repository. Raises TooManyError."""
    above = [folder, *folder.parents]
    top = next((i for i, parent in enumerate(above) if os.path.lexists(parent / ".git")), 0)
    ignores: Ignores = ()
    for parent in reversed(above[1 : top + 1]):
        ignores = _with_gitignore(str(parent), ignores)
    return () if _ignored(str(folder), True, ignores) else ignores  # an ignored folder that the user named is searched


def _with_gitignore(folder: str, ignores: Ignores) -> Ignores:
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


def _ignored(path: str, is_folder: bool, ignores: Ignores) -> bool:
    """Whether a path is ignored; the deepest .gitignore with a matching pattern decides."""
    for base, rules in reversed(ignores):
        verdict = rules.check(os.fsencode(_below(path, base)), is_folder)
        if verdict is not None:
            return verdict
    return False
