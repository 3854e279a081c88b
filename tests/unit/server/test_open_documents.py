"""What the memory is shown of the open documents, and when."""

from collections.abc import Iterator

import pytest
from lsprotocol import types
from lsprotocol.types import PositionEncodingKind as Kind
from tinycopilot_server.app import TinyCopilotServer
from tinycopilot_server.documents import Document
from tinycopilot_server.memory import Memory
from tinycopilot_server.settings import Settings

from tinycopilot.files import Patterns


class Told(Memory):
    """Notes what it would be told."""

    def __init__(self, server: TinyCopilotServer) -> None:
        super().__init__(server.completer_thread, server.memory.indexer)
        self.calls = list[tuple[str, ...]]()

    def hold(self, name: str, text: str) -> None:
        self.calls.append(("hold", name, text))

    def drop(self, name: str) -> None:
        self.calls.append(("drop", name))

    def keep_out(self, name: str) -> None:
        self.calls.append(("keep out", name))


@pytest.fixture
def server() -> Iterator[tuple[TinyCopilotServer, list[tuple[str, ...]]]]:
    """With three open documents."""
    server = TinyCopilotServer()
    server.memory = told = Told(server)
    for name in ("a.py", "b.py", ".env"):
        server.documents["file:///" + name] = Document(f"in {name}", 1, Kind.Utf16, "/" + name, "python")
    yield server, told.calls
    server.shutdown()


def test_others_are_shown_once_for_each_version(server: tuple[TinyCopilotServer, list[tuple[str, ...]]]) -> None:
    server_, calls = server
    a, b, _ = server_.documents.values()
    server_.documents.show_others(a)
    assert calls == [("hold", "/b.py", "in b.py"), ("keep out", "/.env")]
    server_.documents.show_others(a)
    assert len(calls) == 2
    # Where one types is not shown in this way, but must be as soon as one types elsewhere: along a suggestion, or
    # before a word, the engine does not look at the text.
    server_.documents.name_to_hold(a)
    server_.documents.show_others(b)
    assert calls[2:] == [("hold", "/a.py", "in a.py")]
    b.version = 2
    server_.documents.show_others(b)
    assert len(calls) == 3
    server_.documents.show_others(a)
    assert calls[3:] == [("hold", "/b.py", "in b.py")]


def test_under_which_name_it_is_held(server: tuple[TinyCopilotServer, list[tuple[str, ...]]]) -> None:
    server_, calls = server
    a, _, env = server_.documents.values()
    assert server_.documents.name_to_hold(a) == "/a.py"
    a.apply([types.TextDocumentContentChangeWholeDocument("x" * 3_000_000)], 2)
    assert server_.documents.name_to_hold(a) is None
    assert server_.documents.name_to_hold(env) is None
    assert calls == [("keep out", "/a.py"), ("keep out", "/.env")]


def test_which_documents_are_open(server: tuple[TinyCopilotServer, list[tuple[str, ...]]]) -> None:
    server_, _ = server
    assert server_.documents.is_open("/a.py")
    assert not server_.documents.is_open("/c.py")


def test_what_the_settings_leave_alone_is_not_held(server: tuple[TinyCopilotServer, list[tuple[str, ...]]]) -> None:
    server_, calls = server
    a, b, _ = server_.documents.values()
    b.language = "rust"
    server_.documents.choose(Patterns(["a.*"]))
    assert server_.documents.name_to_hold(a) is None
    assert server_.documents.name_to_hold(b) is None
    assert {("keep out", "/a.py"), ("keep out", "/b.py")} <= set(calls)
    server_.settings = Settings(languages=("*",))
    server_.documents.choose(Patterns())
    assert server_.documents.name_to_hold(a) == "/a.py"
    assert server_.documents.name_to_hold(b) == "/b.py"
