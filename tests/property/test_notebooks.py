"""Notebooks equal a plain list of cells under random changes as a client sends them."""

import itertools
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types
from lsprotocol.types import NotebookCellKind as Kind
from lsprotocol.types import PositionEncodingKind
from tinycopilot_server.documents import Document, Notebook, OpenDocuments

from tinycopilot.files.notebook_file import SEPARATOR

ENCODING = PositionEncodingKind.Utf16
TEXTS = st.text("ab \n\r\N{LATIN SMALL LETTER E WITH ACUTE}\N{GRINNING FACE}", max_size=6)
LANGUAGES = st.sampled_from(["python", "sql", "markdown"])


@dataclass(frozen=True)
class Plain:
    """The definition of a cell."""

    uri: str
    kind: Kind
    language: str
    text: str

    @property
    def cell(self) -> types.NotebookCell:
        return types.NotebookCell(self.kind, self.uri)

    @property
    def item(self) -> types.TextDocumentItem:
        return types.TextDocumentItem(self.uri, self.language, 1, self.text)

    @property
    def group(self) -> tuple[Kind, str]:
        return self.kind, self.language


def document(item: types.TextDocumentItem) -> Document:
    return Document(item.text, item.version, ENCODING, "/a.ipynb", item.language_id)


def position(text: str, offset: int) -> types.Position:
    """The client's position of an offset that is not between \\r and \\n."""
    lines = text[:offset].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return types.Position(len(lines) - 1, len(lines[-1].encode("utf-16-le")) // 2)


def offsets(text: str) -> list[int]:
    return [i for i in range(len(text) + 1) if text[i - 1 : i + 1] != "\r\n" or i == 0]


class Client:
    """A client: a plain list of cells, and a notebook that receives each change."""

    def __init__(self, cells: list[Plain]) -> None:
        self.cells, self.version = cells, 1
        self.notebook, self.documents = Notebook("/a.ipynb"), OpenDocuments()
        self.notebook.open([cell.cell for cell in cells], {cell.uri: document(cell.item) for cell in cells})
        self.documents.notebooks["file:///a.ipynb"] = self.notebook
        self.documents.take_cells(self.notebook)

    def apply(self, **changes: object) -> None:
        self.notebook.apply(types.NotebookDocumentCellChanges(**changes), document)  # type: ignore[arg-type]
        self.documents.take_cells(self.notebook)

    def splice(self, start: int, n_deleted: int, new: list[Plain]) -> None:
        """Replace cells. Those that stay in the notebook are neither opened nor closed, as VS Code moves them."""
        old = self.cells[start : start + n_deleted]
        self.cells = [*self.cells[:start], *new, *self.cells[start + n_deleted :]]
        array = types.NotebookCellArrayChange(start, n_deleted, [cell.cell for cell in new] or None)
        stay = {cell.uri for cell in old} & {cell.uri for cell in new}
        opened = [cell.item for cell in new if cell.uri not in stay]
        closed = [types.TextDocumentIdentifier(cell.uri) for cell in old if cell.uri not in stay]
        self.apply(structure=types.NotebookDocumentCellChangeStructure(array, opened, closed))

    def type(self, at: int, start: int, end: int, new: str) -> None:
        text, self.version = self.cells[at].text, self.version + 1
        edit = types.TextDocumentContentChangePartial(types.Range(position(text, start), position(text, end)), new)
        identifier = types.VersionedTextDocumentIdentifier(self.version, self.cells[at].uri)
        self.cells[at] = replace(self.cells[at], text=text[:start] + new + text[end:])
        self.apply(text_content=[types.NotebookDocumentCellContentChanges(identifier, [edit])])

    def change_language(self, at: int, language: str) -> None:
        """As VS Code does: the cell is closed and removed, and then inserted and opened again."""
        cell = self.cells[at]
        self.splice(at, 1, [])
        self.splice(at, 0, [replace(cell, language=language)])

    def change_kind(self, at: int, kind: Kind) -> None:
        self.cells[at] = replace(self.cells[at], kind=kind)
        self.apply(data=[self.cells[at].cell])

    def texts(self) -> dict[tuple[Kind, str], list[tuple[str, str]]]:
        """The definition: URIs and texts of the cells of each group, in order."""
        groups: dict[tuple[Kind, str], list[tuple[str, str]]] = {}
        for cell in self.cells:
            groups.setdefault(cell.group, []).append((cell.uri, cell.text))
        return groups

    def check(self, here: int) -> None:
        """Compare with the definition at each position of the cell `here`."""
        texts = self.texts()
        found = {(group.kind, group.language): group for group in self.notebook.groups}
        assert len({group.index_name for group in found.values()}) == len(found)
        for key, group in found.items():
            assert group.text == SEPARATOR.join(text for _, text in texts.get(key, ()) if text.strip())
            assert bool(group.why_not_indexed) == (key not in texts)
        assert found.keys() >= texts.keys()
        assert set(self.documents) == {cell.uri for cell in self.cells}
        if not self.cells:
            return
        cell = self.cells[here]
        members = texts[cell.group]
        at = [uri for uri, _ in members].index(cell.uri)
        above = "".join(text + SEPARATOR for _, text in members[:at] if text.strip())
        below = "".join(SEPARATOR + text for _, text in members[at + 1 :] if text.strip())
        assert self.notebook.around(cell.uri) == (above, below)
        unit = self.documents.unit_of(cell.uri)
        assert unit is found[cell.group]
        if cell.text.strip():
            assert unit.text == above + cell.text + below
        for offset in offsets(cell.text):
            place = position(cell.text, offset)
            assert self.documents[cell.uri].split(place) == (cell.text[:offset], cell.text[offset:])
            assert self.documents[cell.uri].clamp(place) == place


@given(st.data())
def test_random_changes_equal_a_plain_list(data: st.DataObject) -> None:
    names = (f"cell:{n}" for n in itertools.count())
    new_cell = st.builds(
        lambda *rest: Plain(next(names), *rest), st.sampled_from([Kind.Code, Kind.Markup]), LANGUAGES, TEXTS
    )
    client = Client(data.draw(st.lists(new_cell, max_size=4)))
    for _ in range(data.draw(st.integers(1, 8))):
        n = len(client.cells)
        before = {group.index_name: (group.version, group.text) for group in client.notebook.groups}
        what = data.draw(st.sampled_from(["splice", *(["move", "type", "language", "kind"] if n else [])]))
        at = data.draw(st.integers(0, n if what == "splice" else n - 1))
        if what == "splice":
            client.splice(at, data.draw(st.integers(0, n - at)), data.draw(st.lists(new_cell, max_size=2)))
        elif what == "move":
            end = data.draw(st.integers(at, n))
            client.splice(at, end - at, data.draw(st.permutations(client.cells[at:end])))
        elif what == "type":
            start, end = sorted(data.draw(st.sampled_from(offsets(client.cells[at].text))) for _ in range(2))
            client.type(at, start, end, data.draw(TEXTS))
        elif what == "language":
            client.change_language(at, data.draw(LANGUAGES))
        else:
            client.change_kind(at, data.draw(st.sampled_from([Kind.Code, Kind.Markup])))
        client.check(data.draw(st.integers(0, max(0, len(client.cells) - 1))))
        for group in client.notebook.groups:
            version, text = before.get(group.index_name, ((), ""))
            assert group.version != version or group.text == text  # what has changed is indexed again


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.lists(st.integers(0, 3), max_size=3))))
def test_inconsistent_changes_break_nothing(changes: list[tuple[int, int, list[int]]]) -> None:
    client = Client([Plain("cell:0", Kind.Code, "python", "a")])
    for start, n_deleted, numbers in changes:
        cells = [types.NotebookCell(Kind.Code, f"cell:{n}") for n in numbers]
        closed = [types.TextDocumentIdentifier(f"cell:{n_deleted}")]
        array = types.NotebookCellArrayChange(start, n_deleted, cells)
        client.apply(structure=types.NotebookDocumentCellChangeStructure(array, [], closed), data=cells[:1])
        edit = types.TextDocumentContentChangeWholeDocument("b")
        unknown = types.VersionedTextDocumentIdentifier(3, f"cell:{start}")
        client.apply(text_content=[types.NotebookDocumentCellContentChanges(unknown, [edit])])
        for n in range(6):
            above, below = client.notebook.around(f"cell:{n}")
            unit = client.documents.unit_of(f"cell:{n}")
            assert (unit is None) <= (f"cell:{n}" not in client.documents)
            assert (above + below == "") or unit in client.notebook.groups
        assert all(set(group.text) <= set("ab" + SEPARATOR) for group in client.documents.units())


def test_a_cell_with_long_lines_is_completed_alone() -> None:
    cells = [Plain(f"cell:{n}", Kind.Code, "python", text) for n, text in enumerate(("a = 1", "x" * 3_000, "b"))]
    client = Client(cells)
    assert client.notebook.around("cell:2") == ("a = 1" + SEPARATOR, "")
    assert client.notebook.around("cell:1") == ("", "")
    assert client.documents.unit_of("cell:1") is client.documents["cell:1"]
    assert client.documents.unit_of("cell:0") is client.documents.unit_of("cell:2")


def test_notebook_without_cells_is_open() -> None:
    documents, notebook = OpenDocuments(), Notebook("/a.ipynb")
    documents.notebooks["file:///a.ipynb"] = notebook
    documents.take_cells(notebook)
    assert documents.is_open("/a.ipynb")
    assert documents.was_open("/a.ipynb")
    assert not documents.is_open("/b.ipynb")
