"""Open notebooks: their cells in order, and the text around a cell.

All cells of one kind (code or Markdown) and language form one document, in order. Each cell also has its own
`Document`, for positions within the cell. The client never sends outputs.
"""

from collections.abc import Callable, Iterable

from lsprotocol import types
from lsprotocol.types import NotebookCellKind

from tinycopilot.files.notebook_file import SEPARATOR, joined
from tinycopilot_server.documents import MAX_HELD_CHARS, Document


class Notebook:
    """An open notebook. Unknown names, and cells without a text, are ignored."""

    def __init__(self, name: str, opened_as: str = "") -> None:
        """`name` and `opened_as` of the file are as in `Document`."""
        self.name, self.opened_as = name, opened_as or name
        self.documents = dict[str, Document]()
        """The cells' texts, by URI."""
        self._cells = list[tuple[str, NotebookCellKind]]()
        self._groups = dict[tuple[NotebookCellKind, str], CellGroup]()
        self._members = dict[CellGroup, list[Document]]()  # valid until anything changes

    def replace(self, start: int, n_deleted: int, cells: Iterable[types.NotebookCell]) -> None:
        """Replace `n_deleted` cells from the cell number `start` on. A moved cell keeps its document."""
        self._cells[start : start + n_deleted] = [(cell.document, cell.kind) for cell in cells]
        self._members.clear()

    def apply(
        self, change: types.NotebookDocumentCellChanges, opened: Callable[[types.TextDocumentItem], Document]
    ) -> None:
        """Apply a change: first of the list of cells, then of their kinds, then of their texts.

        `opened` makes the document of a cell that was added. A cell that changes its language is closed and opened.
        """
        self._members.clear()
        if (structure := change.structure) is not None:
            array = structure.array
            self.replace(array.start, array.delete_count, array.cells or ())
            for closed in structure.did_close or ():
                self.documents.pop(closed.uri, None)
            self.documents |= {item.uri: opened(item) for item in structure.did_open or ()}
        kinds = {cell.document: cell.kind for cell in change.data or ()}
        if kinds:
            self._cells = [(uri, kinds.get(uri, kind)) for uri, kind in self._cells]
        for edit in change.text_content or ():
            if (document := self.documents.get(edit.document.uri)) is not None:
                document.apply(edit.changes, edit.document.version)

    @property
    def groups(self) -> list["CellGroup"]:
        """Return all groups of cells, including empty ones, which are not indexed."""
        known = ((kind, self.documents[uri]) for uri, kind in self._cells if uri in self.documents)
        for kind, language in dict.fromkeys((kind, document.language) for kind, document in known):
            self._group(kind, language)
        return list(self._groups.values())

    def group_of(self, uri: str) -> "CellGroup | None":
        """The group of a cell; None for a cell that is completed alone (`Document.why_not_indexed`)."""
        kind, document = next((kind for cell, kind in self._cells if cell == uri), None), self.documents.get(uri)
        if kind is None or document is None or document.why_not_indexed:
            return None
        return self._group(kind, document.language)

    def around(self, uri: str) -> tuple[str, str]:
        """The text above and below a cell, in its group, with separators; blank cells are left out."""
        if (group := self.group_of(uri)) is None:
            return "", ""
        members = self.members(group)
        at = members.index(self.documents[uri])
        above, below = (filter(str.strip, (cell.text for cell in part)) for part in (members[:at], members[at + 1 :]))
        return "".join(text + SEPARATOR for text in above), "".join(SEPARATOR + text for text in below)

    def members(self, group: "CellGroup") -> list[Document]:
        """The cells of a group, in order; without those that are not indexed."""
        if group not in self._members:
            known = ((kind, self.documents[uri]) for uri, kind in self._cells if uri in self.documents)
            self._members[group] = [
                cell
                for kind, cell in known
                if (kind, cell.language) == (group.kind, group.language) and not cell.why_not_indexed
            ]
        return self._members[group]

    def _group(self, kind: NotebookCellKind, language: str) -> "CellGroup":
        return self._groups.setdefault((kind, language), CellGroup(self, kind, language))


class CellGroup:
    """The cells of one kind and language, indexed as one document, with the same attributes as `Document`."""

    def __init__(self, notebook: Notebook, kind: NotebookCellKind, language: str) -> None:
        self._notebook, self.kind, self.language = notebook, kind, language
        self.name, self.opened_as = notebook.name, notebook.opened_as
        is_markup = kind is NotebookCellKind.Markup
        self.index_name = f"{notebook.name}#{'markup-' if is_markup else ''}{language}"
        """The name under which it is indexed."""
        self.seen_version: object = None

    @property
    def _cells(self) -> list[Document]:
        return self._notebook.members(self)

    @property
    def version(self) -> tuple[tuple[Document, int], ...]:
        """The cells and their versions; changes if a cell is edited, inserted, deleted or moved."""
        return tuple((cell, cell.version) for cell in self._cells)

    @property
    def text(self) -> str:
        """The texts of the cells that are not blank, with separators."""
        return joined(cell.text for cell in self._cells)

    @property
    def is_secret(self) -> bool:
        """Whether the notebook must be neither indexed nor completed."""
        return any(cell.is_secret for cell in self._cells)

    @property
    def why_not_indexed(self) -> str:
        """Why the group is not indexed although it is not secret; "" if it is."""
        if not self._cells:
            return "it has no cells any more"
        n_chars = sum(cell.n_chars for cell in self._cells)
        return f"it has more than {MAX_HELD_CHARS:,} characters" if n_chars > MAX_HELD_CHARS else ""
