"""Open documents and notebooks: names, edits, and conversion between the editor's positions and offsets.

Only this file knows UTF-8 and UTF-16.

Lines end in \\n, \\r\\n or \\r, as in LSP. (`str.splitlines` also splits at a form feed, U+2028 and others; a mirror
kept with it is silently corrupted by the next edit below such a character.) Offsets count code points.

All cells of a notebook of one kind (code or Markdown) and language form one document, in order. Each cell also has its
own `Document`, for positions within the cell. The client never sends outputs.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from io import StringIO
from pathlib import Path, PurePath
from urllib.parse import unquote_to_bytes, urlsplit

from lsprotocol import types
from lsprotocol.types import NotebookCellKind, PositionEncodingKind
from pygls.uris import to_fs_path

from tinycopilot.files.left_out import Reason
from tinycopilot.files.notebook_file import SEPARATOR, joined
from tinycopilot.files.reading import why_not_written
from tinycopilot.files.secret_files import is_secret_place, is_secret_source
from tinycopilot.paths import comparable

CODECS: dict[str, tuple[str, int]] = {
    PositionEncodingKind.Utf8: ("utf-8", 1),
    PositionEncodingKind.Utf16: ("utf-16-le", 2),
}
"""For each encoding except UTF-32: Python's codec, and the bytes in one code unit."""

MAX_HELD_CHARS = 2_000_000
"""A longer document is completed but not indexed, which would be too slow at each keystroke."""
MAX_HELD_LINE_CHARS = 100_000
"""A document with a longer line is completed but not indexed, either."""
WINDOW_CHARS = 32_768
"""A document that is not indexed is completed from this much text on either side of the cursor."""
BLOCK_LINES = 2_000
"""That text starts at a multiple of this many lines, so that its start stays the same for many keystrokes."""


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


def to_offset(line: str, units: int, encoding: str) -> int:
    """Return the largest offset in `line` whose prefix takes at most `units` code units of `encoding`.

    A position past the end of the line is its end, as LSP defines; one inside a character is before the character.
    Bisection, which counts each half once: O(len(line)) with a small constant.
    """
    low, high = 0, max(0, min(units, len(line)))
    if encoding == PositionEncodingKind.Utf32 or line.isascii():
        return high
    while low < high:
        middle = (low + high + 1) // 2
        n_units = to_units(line[low:middle], middle - low, encoding)
        if n_units <= units:
            low, units = middle, units - n_units
        else:
            high = middle - 1
    return low


def to_units(line: str, offset: int, encoding: str) -> int:
    """Return the number of code units of `encoding` in the first `offset` characters of `line`."""
    if encoding == PositionEncodingKind.Utf32 or line.isascii():
        return offset
    codec, n_bytes = CODECS[encoding]
    return len(line[:offset].encode(codec, "surrogatepass")) // n_bytes


def split_lines(text: str) -> list[str]:
    """Split `text` into lines that keep their ends; the last has none, and is "" if the text ends with a line end."""
    if "\r" not in text:  # several times as fast for a long line, which is split at each keystroke
        *lines, last = text.split("\n")
        return [*(line + "\n" for line in lines), last]
    lines = list(StringIO(text, newline=""))
    return lines if not lines[-1].endswith(("\r", "\n")) else [*lines, ""]


class Document:
    """An open document. The cost of an edit grows with the lines that it touches."""

    def __init__(
        self,
        text: str,
        version: int,
        encoding: str,
        name: str = "",
        language: str = "",
        opened_as: str = "",
        tops: Iterable[str] = (),
    ) -> None:
        """`name`: the path with links resolved, or the URI if there is none. `opened_as`: the path as the editor gave
        it. `language`: LSP's language identifier. `encoding`: that of positions. `tops`: the workspace's folders."""
        self.version = version
        self.name = self.index_name = name
        """`index_name`: the name under which it is indexed."""
        self.opened_as = opened_as or name
        self.language = language
        self.seen_version: object = None
        """The version that was indexed while the user worked in another document."""
        self.notebook: Notebook | None = None
        """The notebook, if this is one of its cells."""
        self.encoding = encoding
        self._set(text)
        self._is_secret_place = is_secret_place(Path(self.opened_as), tops)
        names = (PurePath(name).name, PurePath(self.opened_as).name)
        self._secret_name = next((called for called in names if is_secret_source(called, "")), "")
        self._is_written = why_not_written(Path(name).name, text) is not Reason.LONG_LINES

    def _set(self, text: str) -> None:
        self._lines = split_lines(text)
        self.n_chars = len(text)
        """Length of the text in characters."""

    @property
    def is_secret(self) -> bool:
        """Whether the document must be neither indexed nor completed, for its name or folder. Others are masked."""
        return self._is_secret_place or (self._secret_name != "" and is_secret_source(self._secret_name, self.text))

    @property
    def why_not_indexed(self) -> str:
        """Why the document is not indexed although it is not secret; "" if it is indexed.

        Whether a person wrote it is judged by the text that was opened.
        """
        if self.n_chars > MAX_HELD_CHARS:
            return f"it has more than {MAX_HELD_CHARS:,} characters"
        if not self._is_written:
            return "its lines are too long: it appears to be generated"
        if self.n_chars <= MAX_HELD_LINE_CHARS or max(map(len, self._lines)) <= MAX_HELD_LINE_CHARS:
            return ""
        return f"a line has more than {MAX_HELD_LINE_CHARS:,} characters"

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self._lines)

    @property
    def line_end(self) -> str:
        """The line end of the first line; \\n if there is only one line."""
        return self._lines[0][len(self._lines[0].rstrip("\r\n")) :] or "\n"

    def apply(self, changes: Sequence[types.TextDocumentContentChangeEvent], version: int) -> None:
        """Apply the edits of one didChange in order; each refers to the text that the previous one left."""
        for change in changes:
            if isinstance(change, types.TextDocumentContentChangePartial):
                self._replace(change.range, change.text)
            else:
                self._set(change.text)
        self.version = version

    def _replace(self, where: types.Range, text: str) -> None:
        (first, first_offset), (last, last_offset) = sorted((self._locate(where.start), self._locate(where.end)))
        lines = self._lines
        # With the lines above and below: an edit can join a \r before it with a \n after it.
        low, high = max(0, first - 1), last + 2
        above, below = "".join(lines[low:first]), "".join(lines[last + 1 : high])
        joined = above + lines[first][:first_offset] + text + lines[last][last_offset:] + below
        new = split_lines(joined)
        if high < len(lines) and new[-1] == "":
            new.pop()  # the next line starts separately
        self.n_chars += len(joined) - sum(map(len, lines[low:high]))
        lines[low:high] = new

    def _locate(self, position: types.Position) -> tuple[int, int]:
        """Line number and offset of a position, moved to the end of the line or of the text if it lies outside."""
        if position.line >= len(self._lines):
            return len(self._lines) - 1, len(self._lines[-1])
        line = self._lines[position.line].rstrip("\r\n")
        return position.line, to_offset(line, position.character, self.encoding)

    def clamp(self, position: types.Position) -> types.Position:
        """Return the nearest position that exists in the text."""
        at, offset = self._locate(position)
        return types.Position(at, to_units(self._lines[at], offset, self.encoding))

    def split(self, position: types.Position) -> tuple[str, str]:
        """Return the text before and after a position."""
        at, offset = self._locate(position)
        here, lines = self._lines[at], self._lines
        return "".join(lines[:at]) + here[:offset], here[offset:] + "".join(lines[at + 1 :])

    def split_near(self, position: types.Position) -> tuple[str, str]:
        """Return WINDOW_CHARS of text on either side of a position, up to twice as much before it.

        While the user types in one line, the text before the cursor starts at the same place for at least WINDOW_CHARS
        keystrokes.
        """
        at, offset = self._locate(position)
        here, top = self._lines[at], max(0, at // BLOCK_LINES - 1) * BLOCK_LINES
        before = "".join(self._lines[top:at]) + here[:offset]
        after = here[offset:] + "".join(self._lines[at + 1 : at + 1 + BLOCK_LINES])
        start = max(0, len(before) // WINDOW_CHARS - 1) * WINDOW_CHARS
        return before[start:], after[:WINDOW_CHARS]


class Notebook:
    """An open notebook. Unknown names, and cells without a text, are ignored."""

    def __init__(self, name: str, opened_as: str = "") -> None:
        """`name` and `opened_as` of the file are as in `Document`."""
        self.name, self.opened_as = name, opened_as or name
        self.documents = dict[str, Document]()
        """The cells' texts, by URI."""
        self._cells = list[tuple[str, NotebookCellKind]]()
        self._groups = dict[tuple[NotebookCellKind, str], CellGroup]()

    def open(self, cells: Iterable[types.NotebookCell], documents: dict[str, Document]) -> None:
        """Take the cells, and their documents by URI."""
        self.documents, self._cells = documents, [(cell.document, cell.kind) for cell in cells]
        self._regroup()

    def apply(
        self, change: types.NotebookDocumentCellChanges, opened: Callable[[types.TextDocumentItem], Document]
    ) -> None:
        """Apply a change: first of the list of cells, then of their kinds, then of their texts.

        `opened` makes the document of a cell that was added. A cell that changes its language is closed and opened. A
        moved one keeps its document.
        """
        if (structure := change.structure) is not None:
            start, end = structure.array.start, structure.array.start + structure.array.delete_count
            self._cells[start:end] = [(cell.document, cell.kind) for cell in structure.array.cells or ()]
            for closed in structure.did_close or ():
                self.documents.pop(closed.uri, None)
            self.documents |= {item.uri: opened(item) for item in structure.did_open or ()}
        kinds = {cell.document: cell.kind for cell in change.data or ()}
        self._cells = [(uri, kinds.get(uri, kind)) for uri, kind in self._cells]
        for edit in change.text_content or ():
            if (document := self.documents.get(edit.document.uri)) is not None:
                document.apply(edit.changes, edit.document.version)
        self._regroup()

    def _regroup(self) -> None:
        """Assign the cells to their groups, in order; without those that are not indexed."""
        for known in self._groups.values():
            known.cells = []
        for uri, kind in self._cells:
            if (cell := self.documents.get(uri)) is not None:
                if (group := self._groups.get((kind, cell.language))) is None:
                    group = self._groups[kind, cell.language] = CellGroup(self, kind, cell.language)
                if not cell.why_not_indexed:
                    group.cells.append(cell)

    @property
    def groups(self) -> list["CellGroup"]:
        """All groups of cells, including empty ones, which are not indexed."""
        return list(self._groups.values())

    def group_of(self, uri: str) -> "CellGroup | None":
        """The group of a cell; None for a cell that is completed alone (`Document.why_not_indexed`)."""
        document = self.documents.get(uri)
        return next((group for group in self.groups if document in group.cells), None)

    def around(self, uri: str) -> tuple[str, str]:
        """The text above and below a cell, in its group, with separators; blank cells are left out."""
        if (group := self.group_of(uri)) is None:
            return "", ""
        at = group.cells.index(self.documents[uri])
        parts = group.cells[:at], group.cells[at + 1 :]
        above, below = (filter(str.strip, (cell.text for cell in part)) for part in parts)
        return "".join(text + SEPARATOR for text in above), "".join(SEPARATOR + text for text in below)


class CellGroup:
    """The cells of one kind and language, indexed as one document, with the same attributes as `Document`."""

    def __init__(self, notebook: Notebook, kind: NotebookCellKind, language: str) -> None:
        self.kind, self.language = kind, language
        self.name, self.opened_as = notebook.name, notebook.opened_as
        is_markup = kind is NotebookCellKind.Markup
        self.index_name = f"{notebook.name}#{'markup-' if is_markup else ''}{language}"
        """The name under which it is indexed."""
        self.seen_version: object = None
        self.cells = list[Document]()
        """The cells, in order."""

    @property
    def version(self) -> tuple[tuple[Document, int], ...]:
        """The cells and their versions; changes if a cell is edited, inserted, deleted or moved."""
        return tuple((cell, cell.version) for cell in self.cells)

    @property
    def text(self) -> str:
        """The texts of the cells that are not blank, with separators."""
        return joined(cell.text for cell in self.cells)

    @property
    def is_secret(self) -> bool:
        """Whether the notebook must be neither indexed nor completed."""
        return any(cell.is_secret for cell in self.cells)

    @property
    def why_not_indexed(self) -> str:
        """Why the group is not indexed although it is not secret; "" if it is."""
        if not self.cells:
            return "it has no cells any more"
        n_chars = sum(cell.n_chars for cell in self.cells)
        return f"it has more than {MAX_HELD_CHARS:,} characters" if n_chars > MAX_HELD_CHARS else ""


Unit = Document | CellGroup
"""A document, or a group of notebook cells, indexed under one name."""


class OpenDocuments(dict[str, Document]):
    """The open documents by URI, and the cells of notebooks. Changed on the event loop; read by any thread."""

    def __init__(self) -> None:
        super().__init__()
        self._opened = set[str]()
        self.notebooks = dict[str, Notebook]()
        """The open notebooks by URI."""

    def add(self, uri: str, document: Document) -> None:
        """Add an opened document."""
        self[uri] = document
        self._opened.add(document.name)

    def take_cells(self, notebook: Notebook) -> None:
        """Add the cells that the notebook has now, and remove those that it had."""
        self._opened.add(notebook.name)
        for uri in [uri for uri, document in self.items() if document.notebook is notebook]:
            del self[uri]
        for uri, document in notebook.documents.items():
            document.notebook = notebook
            self[uri] = document

    def is_cell(self, uri: str) -> bool:
        """Whether a document is a cell of an open notebook, which is changed and closed with it."""
        return uri in self and self[uri].notebook is not None

    def unit_of(self, uri: str) -> Unit | None:
        """The unit that contains a document: itself, or its group of notebook cells; None if it is not open."""
        document = self.get(uri)
        notebook = document and document.notebook
        return (notebook and notebook.group_of(uri)) or document

    def units(self) -> list[Unit]:
        """All open documents as they are indexed."""
        documents: list[Unit] = [document for document in self.values() if document.notebook is None]
        return documents + [group for notebook in self.notebooks.values() for group in notebook.groups]

    def name_of(self, uri: str) -> str:
        """The name of the file of a document, cell or notebook, which need not be open."""
        opened = self.get(uri) or self.notebooks.get(uri)
        return opened.name if opened is not None else document_name(uri)

    def is_open(self, name: str) -> bool:
        """Whether a document of this name is open."""
        opened: list[Document | Notebook] = [*self.values(), *self.notebooks.values()]
        return any(one.name == name for one in opened)

    def was_open(self, name: str) -> bool:
        """Whether a document of this name is or was open."""
        return name in self._opened

    def text_of(self, uri: str) -> str | None:
        """The text of an open document; None if it is not open."""
        return self[uri].text if uri in self else None
