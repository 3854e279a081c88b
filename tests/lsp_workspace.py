"""A client with a workspace folder, and a server whose suggestions show which files are indexed."""

import asyncio
from pathlib import Path

from lsp_editor import Editor
from lsprotocol import types

NAME = "quetzalcoatlus_wingspan"
TYPED, REST = NAME[:11], NAME[11:]
KEY = "-----BEGIN " + "PRIVATE KEY-----\n"  # split, so that this file itself contains no secret

# A server that ignores the network's predictions, so that it suggests exactly what is indexed.
INDEX_ONLY_SERVER = """
from tinycopilot.completion import predictor
predictor.INITIAL.update({key: (0.0, 2.0, 0.0) for key in predictor.INITIAL if key not in predictor.KINDS})
from tinycopilot_server.__main__ import main
main()
"""


def code_with_name(name: str) -> str:
    """Return Python code in which the name occurs several times."""
    return f"import math\n\n\ndef {name}(kilograms):\n    return {name}\n\n\n{name} = {name}(4)\n"


class Session:
    """A client with a workspace folder; it requests suggestions in the open document a.py."""

    def __init__(self, editor: Editor, folder: Path) -> None:
        self.editor, self.folder = editor, folder
        self._versions: dict[str, int] = {}

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def open(self, name: str, text: str = "") -> None:
        self.editor.open(text, self.uri(name))

    def close(self, name: str) -> None:
        document = types.TextDocumentIdentifier(self.uri(name))
        self.editor.client.text_document_did_close(types.DidCloseTextDocumentParams(document))

    def save(self, name: str) -> None:
        document = types.TextDocumentIdentifier(self.uri(name))
        self.editor.client.text_document_did_save(types.DidSaveTextDocumentParams(document))

    def change(self, name: str, text: str) -> None:
        self._versions[name] = self._versions.get(name, 1) + 1
        self.editor.uri = self.uri(name)
        self.editor.change(self._versions[name], types.TextDocumentContentChangeWholeDocument(text))

    def report_changes(self, *names: str, kind: types.FileChangeType = types.FileChangeType.Changed) -> None:
        """Report that these files have changed on disk."""
        changes = [types.FileEvent(self.uri(name), kind) for name in names]
        self.editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams(changes))

    async def ghost(self, name: str, text: str) -> str:
        """Return the suggestion at the end of a document with this text."""
        self.change(name, text)
        return await self.editor.ghost(text.count("\n"), len(text.rsplit("\n", 1)[-1]))

    async def is_indexed(self, name: str = NAME, where: str = "a.py") -> bool:
        """Whether the rest of a name is suggested after its start is typed in the document `where`."""
        blank_lines = "\n" * (
            self._versions.get(where, 0) % 7
        )  # vary the position, so that no cached suggestion is returned
        return (await self.ghost(where, blank_lines + "x = " + name[:11])).startswith(name[11:])

    async def wait_until_indexed(self, name: str = NAME, where: str = "a.py") -> None:
        while not await self.is_indexed(name, where):
            await asyncio.sleep(0.02)

    async def wait_until_dropped(self, name: str = NAME) -> None:
        while await self.is_indexed(name):
            await asyncio.sleep(0.02)
