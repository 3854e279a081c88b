"""A client for the protocol tests, and the engine as the oracle for the server's responses."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from engine_requests import suggest
from lsprotocol import types
from networks import EVERYTHING
from pytest_lsp import LanguageClient

from tinycopilot.completion.engine import Engine
from tinycopilot.paths import ModelPaths


def oracle(saved: ModelPaths, before: str, after: str = "") -> str:
    """Return the suggestion of an engine in this process."""
    suggestion = suggest(Engine.load(saved, EVERYTHING), before, after)
    return suggestion.text if suggestion else ""


@dataclass
class Editor:
    """A client with one or more documents."""

    client: LanguageClient
    statuses: list[Any] = field(default_factory=list)
    registrations: list[types.Registration] = field(default_factory=list)
    capabilities: types.ServerCapabilities = field(default_factory=types.ServerCapabilities)
    uri: str = "file:///project/a.py"
    has_shut_down: bool = False
    configuration: Any = None
    """The response to `workspace/configuration` for the section `tinycopilot`."""
    n_asked: int = 0

    def open(self, text: str, uri: str = "", language: str = "python") -> None:
        item = types.TextDocumentItem(uri or self.uri, language, 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def change(self, version: int, *changes: types.TextDocumentContentChangeEvent) -> None:
        document = types.VersionedTextDocumentIdentifier(version=version, uri=self.uri)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, list(changes)))

    def params(self, line: int, character: int) -> types.InlineCompletionParams:
        return types.InlineCompletionParams(
            types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic),
            types.TextDocumentIdentifier(self.uri),
            types.Position(line, character),
        )

    async def inline(self, line: int, character: int) -> list[types.InlineCompletionItem]:
        answer = await self.client.text_document_inline_completion_async(self.params(line, character))
        assert isinstance(answer, types.InlineCompletionList)
        return list(answer.items)

    async def invoked(self, line: int, character: int) -> str:
        """Return the first suggestion of an explicit request; "" if there is none."""
        params = self.params(line, character)
        params.context.trigger_kind = types.InlineCompletionTriggerKind.Invoked
        answer = await self.client.text_document_inline_completion_async(params)
        assert isinstance(answer, types.InlineCompletionList)
        return str(answer.items[0].insert_text) if answer.items else ""

    async def ghost(self, line: int, character: int) -> str:
        items = await self.inline(line, character)
        return str(items[0].insert_text) if items else ""

    async def popup(self, line: int, character: int) -> types.CompletionList:
        params = types.CompletionParams(types.TextDocumentIdentifier(self.uri), types.Position(line, character))
        answer = await self.client.text_document_completion_async(params)
        assert isinstance(answer, types.CompletionList)
        return answer

    def set(self, settings: Any) -> None:
        """Send `workspace/didChangeConfiguration`."""
        self.client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings))

    def answer_configuration(self, params: types.ConfigurationParams) -> list[Any]:
        self.n_asked += 1
        return [self.configuration if item.section == "tinycopilot" else None for item in params.items]

    async def command(self, name: str, *arguments: Any) -> Any:
        """Run one of the server's commands."""
        return await self.client.workspace_execute_command_async(types.ExecuteCommandParams(name, list(arguments)))

    async def raw_request(self, method: str, params: object) -> dict[str, Any]:
        """Send a request that the client's types would reject; return the raw response."""
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        protocol = self.client.protocol
        structure = protocol.structure_message

        def listen(data: dict[str, Any]) -> Any:
            if data.get("id") == "raw" and "jsonrpc" in data:
                answer.set_result(data)
                data = {"jsonrpc": "2.0", "method": "$/answered", "params": None}  # the client has sent no such request
            return structure(data)

        protocol.structure_message = listen  # type: ignore[method-assign]
        body = json.dumps({"jsonrpc": "2.0", "id": "raw", "method": method, "params": params})
        protocol.writer.write(f"Content-Length: {len(body)}\r\n\r\n{body}".encode())  # type: ignore[union-attr]
        return await answer

    @property
    def process(self) -> "asyncio.subprocess.Process":
        """The server's process, which pytest-lsp keeps in a private attribute."""
        assert self.client._server is not None
        return self.client._server

    async def state(self, name: str) -> Any:
        """Wait for a status notification with this state, and return the first."""
        while not (found := [s for s in self.statuses if s.state == name]):
            await asyncio.sleep(0.01)
        return found[0]


Start = Callable[..., Awaitable[Editor]]
