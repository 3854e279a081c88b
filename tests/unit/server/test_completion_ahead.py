"""Which request is computed ahead when a document changes."""

import asyncio

import pytest
from lsprotocol import types
from lsprotocol.types import PositionEncodingKind as Kind
from tinycopilot_server import handlers
from tinycopilot_server.completion import Completer, cursor_after
from tinycopilot_server.documents import Document
from tinycopilot_server.server import TinyCopilotServer
from tinycopilot_server.settings import Settings

from tinycopilot.completion.request import Request, Suggestion

URI = "file:///a.py"


class RecordingCompleter(Completer):
    """Records the requests."""

    def __init__(self, server: TinyCopilotServer) -> None:
        super().__init__(server.session, server.scheduler, server.index)
        self.requests = list[Request]()

    async def suggest(self, request: Request) -> Suggestion | None:
        self.requests.append(request)
        if request.before == "fail":
            raise RuntimeError
        return Suggestion("ort os", 0.9)


def change(version: int, text: str, character: int) -> types.DidChangeTextDocumentParams:
    here = types.Position(0, character)
    edit = types.TextDocumentContentChangePartial(types.Range(here, here), text)
    return types.DidChangeTextDocumentParams(types.VersionedTextDocumentIdentifier(version, URI), [edit])


async def ask(server: TinyCopilotServer, character: int) -> list[str]:
    automatic = types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic)
    identifier = types.TextDocumentIdentifier(URI)
    params = types.InlineCompletionParams(automatic, identifier, types.Position(0, character))
    return [str(item.insert_text) for item in (await handlers.inline_completion(server, params)).items]


@pytest.fixture
def server() -> TinyCopilotServer:
    server = TinyCopilotServer()
    server.completer = RecordingCompleter(server)
    server.session.documents[URI] = Document("im", 1, "utf-16", "/a.py", "python")
    return server


def requests(server: TinyCopilotServer) -> list[Request]:
    assert isinstance(server.completer, RecordingCompleter)
    return server.completer.requests


async def test_request_uses_the_result_computed_ahead(server: TinyCopilotServer) -> None:
    assert await ask(server, 2) == ["ort os"]
    handlers.did_change(server, change(2, "p", 2))
    await asyncio.sleep(0)
    assert len(requests(server)) == 2
    assert await ask(server, 3) == ["ort os"]
    first, ahead, asked = requests(server)
    assert first != ahead == asked
    server.stop()


async def test_nothing_is_computed_ahead_without_requests_or_when_disabled(server: TinyCopilotServer) -> None:
    handlers.did_change(server, change(2, "p", 2))
    await asyncio.sleep(0)
    server.completer.is_used = server.session.is_paused = True
    handlers.did_change(server, change(3, "o", 3))
    await asyncio.sleep(0)
    server.session.is_paused = False
    for version, wanted in enumerate((Settings(debounce_ms=5), Settings(inline=False, popup=False)), start=4):
        server.session.settings = wanted
        handlers.did_change(server, change(version, "r", version))
        await asyncio.sleep(0)
    assert requests(server) == []
    server.stop()


async def test_error_ahead_is_reported_by_the_request(
    server: TinyCopilotServer, recwarn: pytest.WarningsRecorder
) -> None:
    server.completer.is_used = True
    server.session.documents[URI] = Document("", 1, "utf-16", "/a.py", "python")
    handlers.did_change(server, change(2, "fail", 0))
    await asyncio.sleep(0.01)
    assert server.completer.ahead
    assert server.completer.ahead.done()
    with pytest.raises(RuntimeError):
        await ask(server, 4)
    server.stop()
    assert not recwarn.list


def edit(text: str, end: tuple[int, int] = (3, 5)) -> types.TextDocumentContentChangePartial:
    return types.TextDocumentContentChangePartial(types.Range(types.Position(3, 5), types.Position(*end)), text)


@pytest.mark.parametrize(
    ("text", "encoding", "line", "character"),
    [
        ("x", Kind.Utf16, 3, 6),
        ("", Kind.Utf16, 3, 5),  # text was deleted
        ("()", Kind.Utf16, 3, 6),
        ("f()", Kind.Utf16, 3, 8),
        ("\n", Kind.Utf16, 4, 0),
        ("\r\n    ", Kind.Utf16, 4, 4),
        ("a\x0cb\u2028c", Kind.Utf16, 3, 10),  # not a line end
        ("\U0001f600", Kind.Utf16, 3, 7),
        ("\U0001f600", Kind.Utf8, 3, 9),
        ("\U0001f600", Kind.Utf32, 3, 6),
        ("x\r\U0001f600\u00e9", Kind.Utf8, 4, 6),
    ],
)
def test_cursor_is_after_the_inserted_text(text: str, encoding: Kind, line: int, character: int) -> None:
    for end in ((3, 5), (9, 0)):
        assert cursor_after([edit(text, end)], encoding.value) == types.Position(line, character)


def test_cursor_is_unknown_after_several_edits() -> None:
    assert cursor_after([], Kind.Utf16) is None
    assert cursor_after([edit("a"), edit("b")], Kind.Utf16) is None
    assert cursor_after([types.TextDocumentContentChangeWholeDocument("a")], Kind.Utf16) is None
