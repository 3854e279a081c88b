"""Read text files: decode them, mask secrets, and refuse those that are not text or may hold secrets."""

import codecs
import io
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from unicodedata import category

from tinycopilot import UserError
from tinycopilot.atomic import NotRegularError, open_regular
from tinycopilot.files.left_out import MAX_BYTES, LeftOut, Reason
from tinycopilot.files.masking import REACH_CHARS, mask, n_secrets, start_of_unfinished_key
from tinycopilot.files.notebook_file import MAX_NOTEBOOK_BYTES, code_cells, is_notebook, joined
from tinycopilot.files.secret_files import is_secret, is_secret_source

MAX_WHOLE_BYTES = 100_000_000
"""A larger file is never read as a whole, even if a user names it."""

PIECE_CHARS = 2_000_000
"""Files are read in pieces of about this size, to limit memory."""

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""Byte order marks of UTF-16."""

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


class NotTextError(UserError):
    """A file is not readable text, or must not be read."""

    def __init__(self, message: str, reason: Reason) -> None:
        super().__init__(message)
        self.reason = reason


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
    """Yield the text of `read_source` in pieces of about PIECE_CHARS: whole lines, unless one is longer.

    A notebook is one piece.
    """
    if is_notebook(path.name) and not as_it_is:
        if text := _notebook_source(path, follow_link):
            yield mask(text)
        return
    # Neither a link nor its target may have the name of a secret.
    names = {path.name, Path(os.path.realpath(path)).name}
    secret = NotTextError(
        f"{path}: the name suggests keys or passwords, so the file is never read; rename it if it contains none",
        Reason.SECRET,
    )
    if any(map(is_secret, names)):
        raise secret
    rest = above = ""
    for i, piece in enumerate(_decoded(path, as_it_is, max_bytes, follow_link)):
        text = rest + piece
        n_whole = start_of_unfinished_key(text) if piece else len(text)  # an incomplete key moves to the next piece
        text, rest = text[:n_whole], text[n_whole:]
        if i == 0 and any(is_secret_source(name, text) for name in names):
            raise secret
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


def _decoded(path: Path, as_it_is: bool, max_bytes: int | None, follow_link: bool) -> Iterator[str]:
    """Yield the text of a file in pieces, and an empty one at the end. The file may grow meanwhile."""
    try:
        with open_regular(path, follow_link=follow_link) as file:
            start = file.peek()
            is_utf16 = start.startswith(UTF16_MARKS) and _may_be_utf16(start)
            lines = io.TextIOWrapper(file, "utf-16" if is_utf16 else "utf-8-sig", newline="" if as_it_is else None)
            text = "?"
            while text:
                try:
                    text = lines.read(PIECE_CHARS) + lines.readline(PIECE_CHARS)
                except UnicodeDecodeError as error:
                    first = file.tell() - len(error.object) + error.start
                    if is_utf16:
                        raise NotTextError(
                            f"{path}: damaged UTF-16 (byte {first}: {error.reason}); save it again, as UTF-8 if "
                            "you can",
                            Reason.NOT_UTF16,
                        ) from None
                    if b"\0" not in error.object:
                        raise NotTextError(
                            f"{path}: not UTF-8 text (byte {first}); convert it, for instance with "
                            "`iconv -f latin1 -t utf-8`",
                            Reason.NOT_UTF8,
                        ) from None
                    text = "\0"
                if max_bytes is not None and file.tell() > max_bytes:
                    raise NotTextError(
                        f"{path}: over {max_bytes // 1_000_000} MB, which is too large; use a smaller file", Reason.HUGE
                    )
                if "\0" in text and not is_utf16:
                    raise NotTextError(
                        f"{path}: a binary file, not text; use a text file or a folder of source code", Reason.BINARY
                    )
                yield text
    except FileNotFoundError:
        raise NotTextError(f"{path}: no such file; check the path", Reason.UNREADABLE) from None
    except NotRegularError:
        raise NotTextError(f"{path}: not a regular file; use a file on disk", Reason.UNREADABLE) from None
    except OSError as error:
        raise NotTextError(
            f"{path}: cannot be read ({error.strerror}); check its permissions", Reason.UNREADABLE
        ) from None


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
            text = read_source(path, max_bytes=max_bytes_of(path.name), follow_link=False)
            reason = why_not_written(path.name, text)
        except NotTextError as error:
            reason = error.reason
        if reason:
            left_out.add(reason, name)
            continue
        if n_masked := n_secrets(text):
            left_out.add(Reason.MASKED, name, n_masked)
        yield name, text


def max_bytes_of(name: str) -> int:
    """Maximum size in bytes of a file in a folder."""
    return MAX_NOTEBOOK_BYTES if is_notebook(name) else MAX_BYTES
