"""A real server and a notebook: ghost text in a cell uses the other cells, and each cell is indexed once."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from lsp_editor import Editor, Start
from lsp_workspace import INDEX_ONLY_SERVER, NAME, code_with_name
from lsprotocol import types
from lsprotocol.types import NotebookCellKind as Kind

from tinycopilot.paths import ModelPaths

OTHER, SAVED = "hippopotamus_appetite", "stegosaurus_backbone"
SNAKE = "\N{SNAKE}"


class Client:
    """A client with a notebook a.ipynb in the folder, and its cells by name."""

    def __init__(self, editor: Editor, folder: Path) -> None:
        self.editor, self.folder = editor, folder
        self.uri = (folder / "a.ipynb").as_uri()
        self._versions: dict[str, int] = {}

    def cell_uri(self, name: str) -> str:
        return f"vscode-notebook-cell:{self.folder}/a.ipynb#{name}"

    def cell(self, name: str, kind: Kind = Kind.Code) -> types.NotebookCell:
        return types.NotebookCell(kind, self.cell_uri(name))

    def item(self, name: str, text: str, language: str = "python") -> types.TextDocumentItem:
        self._versions[name] = 1
        return types.TextDocumentItem(self.cell_uri(name), language, 1, text)

    def open(self, *cells: types.NotebookCell, items: list[types.TextDocumentItem]) -> None:
        notebook = types.NotebookDocument(self.uri, "jupyter-notebook", 1, list(cells))
        self.editor.client.notebook_document_did_open(types.DidOpenNotebookDocumentParams(notebook, items))

    def open_code(self, **texts: str) -> None:
        self.open(*map(self.cell, texts), items=[self.item(*cell) for cell in texts.items()])

    def change(self, **changes: Any) -> None:
        notebook = types.VersionedNotebookDocumentIdentifier(2, self.uri)
        change = types.NotebookDocumentChangeEvent(cells=types.NotebookDocumentCellChanges(**changes))
        self.editor.client.notebook_document_did_change(types.DidChangeNotebookDocumentParams(notebook, change))

    def splice(
        self, start: int, n_deleted: int, *cells: types.NotebookCell, items: Any = (), closed: tuple[str, ...] = ()
    ) -> None:
        array = types.NotebookCellArrayChange(start, n_deleted, list(cells))
        closing = [types.TextDocumentIdentifier(self.cell_uri(name)) for name in closed]
        self.change(structure=types.NotebookDocumentCellChangeStructure(array, list(items), closing))

    def write(self, name: str, text: str) -> None:
        self._versions[name] += 1
        edit = types.TextDocumentContentChangeWholeDocument(text)
        identifier = types.VersionedTextDocumentIdentifier(self._versions[name], self.cell_uri(name))
        self.change(text_content=[types.NotebookDocumentCellContentChanges(identifier, [edit])])

    def close(self, *names: str) -> None:
        cells = [types.TextDocumentIdentifier(self.cell_uri(name)) for name in names]
        notebook = types.NotebookDocumentIdentifier(self.uri)
        self.editor.client.notebook_document_did_close(types.DidCloseNotebookDocumentParams(notebook, cells))

    async def items(self, name: str, line: int, character: int) -> list[types.InlineCompletionItem]:
        self.editor.uri = self.cell_uri(name)
        return await self.editor.inline(line, character)

    async def ghost(self, name: str, text: str) -> str:
        """The suggestion at the end of a cell with this text."""
        self.write(name, text)
        items = await self.items(name, text.count("\n"), len(text.rsplit("\n", 1)[-1].encode("utf-16-le")) // 2)
        return str(items[0].insert_text) if items else ""

    async def knows(self, name: str, cell: str = "b") -> bool:
        return (await self.ghost(cell, f"x = {name[:11]}")).startswith(name[11:])

    async def wait_until(self, name: str, *, is_known: bool, cell: str = "b") -> None:
        while await self.knows(name, cell) != is_known:
            await asyncio.sleep(0.02)

    async def known(self) -> dict[str, Any]:
        return dict(await self.editor.command("tinycopilot.knowledge"))


Begin = Callable[..., Awaitable[Client]]


@pytest.fixture
async def begin(start: Start, unsure: ModelPaths, tmp_path: Path) -> Begin:
    folder = tmp_path / "project"
    folder.mkdir()

    async def begin_one(*, options: dict[str, Any] | None = None, has_folder: bool = False) -> Client:
        settings = {"modelPath": str(unsure.model), "minConfidence": 0, "maxChars": 30, **(options or {})}
        folders = [folder] if has_folder else []
        editor = await start(options=settings, program=["-c", INDEX_ONLY_SERVER], folders=folders, notebooks=True)
        return Client(editor, folder)

    return begin_one


async def test_cell_is_completed_from_the_other_cells_in_any_order(begin: Begin) -> None:
    client = await begin()
    synced = client.editor.capabilities.notebook_document_sync
    assert synced is not None
    assert [one.notebook.scheme for one in synced.notebook_selector] == ["file", "untitled"]  # type: ignore[union-attr]
    client.open_code(a=code_with_name(NAME), b="")
    assert await client.knows(NAME)
    assert not await client.knows(OTHER)
    client.splice(1, 0, client.cell("c"), items=[client.item("c", code_with_name(OTHER))])  # inserted
    assert await client.knows(OTHER)
    client.splice(0, 3, client.cell("b"), client.cell("c"), client.cell("a"))  # moved
    assert await client.knows(OTHER)
    assert await client.knows(NAME)
    client.splice(1, 2, client.cell("a"), closed=("c",))  # deleted
    assert not await client.knows(OTHER)
    assert await client.knows(NAME)
    client.write("a", code_with_name(OTHER))
    assert await client.knows(OTHER)
    assert not await client.knows(NAME)
    # What makes no sense changes nothing.
    client.splice(7, 9, client.cell("never opened"))
    client.splice(2, 0, closed=("unknown",))
    client.change(data=[client.cell("unknown", Kind.Markup)])
    client.uri, known = "file:///unknown.ipynb", client.uri
    client.splice(0, 9)
    client.close("a")
    client.uri = known
    # Nor does a cell that is also sent as a document of its own.
    alone, uri = client.editor.client, client.cell_uri("b")
    alone.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "python", 99, "")))
    assert await client.knows(OTHER)
    edit, identifier = types.TextDocumentContentChangeWholeDocument(""), types.VersionedTextDocumentIdentifier(100, uri)
    alone.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [edit]))
    [item] = await client.items("b", 0, 99)
    assert str(item.insert_text).startswith(OTHER[11:])
    alone.text_document_did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri)))
    assert await client.knows(OTHER)
    # Positions are those in the cell.
    text = f"\n{SNAKE}{SNAKE} = {OTHER[:11]}"
    assert (await client.ghost("b", text)).startswith(OTHER[11:])
    cursor = types.Position(1, len(text[1:]) + 2)
    [item] = await client.items("b", 1, 99)  # moved to the end of the line
    assert item.range == types.Range(cursor, cursor)


async def test_markdown_and_other_languages_are_separate_documents(begin: Begin) -> None:
    client = await begin()
    quote = '"""'
    items = [
        client.item("title", quote + code_with_name(NAME), "markdown"),
        client.item("query", quote, "sql"),
        client.item("b", ""),
    ]
    client.open(client.cell("title", Kind.Markup), client.cell("query"), client.cell("b"), items=items)
    assert await client.knows(NAME)  # as of any open document
    client.editor.set({"tinycopilot": {"inStrings": False}})
    await client.wait_until(NAME, is_known=True)  # no cell's open quote reaches into another language's
    client.splice(1, 1, closed=("query",))
    client.splice(1, 0, client.cell("query"), items=[client.item("query", quote, "python")])
    assert not await client.knows(NAME)
    client.change(data=[client.cell("query", Kind.Markup)])
    assert await client.knows(NAME)


async def test_a_notebook_is_indexed_once(begin: Begin, tmp_path: Path) -> None:
    cell = {
        "cell_type": "code",
        "source": code_with_name(SAVED),
        "outputs": [{"output_type": "stream", "text": code_with_name(OTHER)}],
    }
    path = tmp_path / "project" / "a.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "cells": [cell]}))
    (tmp_path / "project" / "b.py").write_text("y = 1\n")
    client = await begin(has_folder=True)
    client.editor.open("", uri := (tmp_path / "project" / "b.py").as_uri())
    client.editor.uri, version = uri, 1

    async def known_in_file(name: str) -> bool:
        nonlocal version
        version += 1
        client.editor.uri = uri
        client.editor.change(version, types.TextDocumentContentChangeWholeDocument(f"x = {name[:11]}"))
        return (await client.editor.ghost(0, 15)).startswith(name[11:])

    while not await known_in_file(SAVED):
        await asyncio.sleep(0.02)
    assert not await known_in_file(OTHER)  # an output
    client.open_code(a=code_with_name(NAME), b="")  # edited since it was saved
    assert await known_in_file(NAME)
    assert not await known_in_file(SAVED)
    n_chars = (await client.known())["characters"]
    client.splice(0, 2, client.cell("b"), client.cell("a"))
    assert await known_in_file(NAME)
    assert (await client.known())["characters"] == n_chars
    client.close("a", "b")
    while not await known_in_file(SAVED):
        await asyncio.sleep(0.02)
    assert not await known_in_file(NAME)


async def test_a_notebook_can_be_forgotten_and_excluded(begin: Begin) -> None:
    client = await begin(options={"exclude": ["secret*"]})
    client.open_code(a=code_with_name(NAME), b="")
    assert await client.knows(NAME)
    answer = await client.editor.command("tinycopilot.forgetFile", client.cell_uri("b"))
    assert answer["forgotten"] == str(client.folder / "a.ipynb")
    assert not await client.knows(NAME)
    client.close("a", "b")
    client.uri = (client.folder / "secretive.ipynb").as_uri()
    client.open_code(a=code_with_name(NAME), b="")
    assert not await client.knows(NAME)
