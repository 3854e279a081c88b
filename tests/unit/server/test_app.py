"""What the memory is shown of the open documents, and when."""

import asyncio
from collections.abc import Iterator

import pytest
from lsprotocol.types import PositionEncodingKind as Kind
from tinycopilot_server.app import TinyCopilotServer
from tinycopilot_server.documents import Document
from tinycopilot_server.indexing import NoBar
from tinycopilot_server.settings import Settings
from tinycopilot_server.status import DISABLED, Status
from tinycopilot_server.worker import Worker

from tinycopilot.files import Patterns


class Told(Worker):
    """Notes what the memory would be told."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = list[tuple[str, ...]]()

    def hold(self, name: str, text: str) -> None:
        self.calls.append(("hold", name, text))

    def drop(self, name: str) -> None:
        self.calls.append(("drop", name))


@pytest.fixture
def server() -> Iterator[tuple[TinyCopilotServer, list[tuple[str, ...]]]]:
    """With three open documents."""
    server = TinyCopilotServer()
    server.worker = told = Told()
    for name in ("a.py", "b.py", ".env"):
        server.documents["file:///" + name] = Document(f"in {name}", 1, Kind.Utf16, "/" + name, "python")
    yield server, told.calls
    server.shutdown()


def test_others_are_shown_once_for_each_version(server: tuple[TinyCopilotServer, list[tuple[str, ...]]]) -> None:
    server_, calls = server
    a, b, _ = server_.documents.values()
    server_.show_others(a)
    assert calls == [("hold", "/b.py", "in b.py"), ("drop", "/.env")]
    server_.show_others(a)
    assert len(calls) == 2
    # Where one types is not shown in this way, but must be as soon as one types elsewhere: along a suggestion, or
    # before a word, the engine does not look at the text.
    server_.name_to_hold(a, a.text)
    server_.show_others(b)
    assert calls[2:] == [("hold", "/a.py", "in a.py")]
    b.version = 2
    server_.show_others(b)
    assert len(calls) == 3
    server_.show_others(a)
    assert calls[3:] == [("hold", "/b.py", "in b.py")]


def test_under_which_name_it_is_held(server: tuple[TinyCopilotServer, list[tuple[str, ...]]]) -> None:
    server_, calls = server
    a, _, env = server_.documents.values()
    assert server_.name_to_hold(a, "x") == "/a.py"
    assert server_.name_to_hold(a, "x" * 3_000_000) is None
    assert server_.name_to_hold(env, "x") is None
    assert calls == [("drop", "/a.py"), ("drop", "/.env")]


def test_which_documents_are_open(server: tuple[TinyCopilotServer, list[tuple[str, ...]]]) -> None:
    server_, _ = server
    assert server_.is_open("/a.py")
    assert not server_.is_open("/c.py")


def test_what_the_settings_leave_alone_is_not_held(server: tuple[TinyCopilotServer, list[tuple[str, ...]]]) -> None:
    server_, calls = server
    a, b, _ = server_.documents.values()
    b.language = "rust"
    server_.choose_documents(Patterns(["a.*"]))
    assert server_.name_to_hold(a, "x") is None
    assert server_.name_to_hold(b, "x") is None
    assert {("drop", "/a.py"), ("drop", "/b.py")} <= set(calls)
    server_.settings = Settings(languages=("*",))
    server_.choose_documents(Patterns())
    assert server_.name_to_hold(a, "x") == "/a.py"
    assert server_.name_to_hold(b, "x") == "/b.py"


def test_the_status_says_that_it_is_off_but_not_in_place_of_an_error() -> None:
    server = TinyCopilotServer()
    server.model_status = Status("ready")
    server.settings = Settings(enabled=False)
    assert server.status == DISABLED
    assert server.is_silent
    server.model_status = Status("error", "no model")
    assert server.status.state == "error"
    server.shutdown()


class Slow(Told):
    """Loads when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_load = asyncio.Event()
        self.loaded = list[str]()

    async def load(self, settings: Settings, folder: str | None = None) -> None:
        await self.may_load.wait()
        self.loaded.append(settings.model_path)

    async def reload(self, settings: Settings, folder: str | None = None) -> bool:
        self.loaded.append(settings.model_path)
        return True


async def test_a_model_that_is_named_while_another_one_is_loaded_is_the_one_that_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = TinyCopilotServer()
    server.worker = slow = Slow()
    monkeypatch.setattr("tinycopilot_server.status.show", lambda _server: None)
    monkeypatch.setattr("tinycopilot_server.app.Progress", lambda *_: NoBar())
    server.settings = Settings(model_path="first.pth")
    loading = asyncio.ensure_future(server.load_model())
    await asyncio.sleep(0)
    server.settings = Settings(model_path="second.pth")
    reloading = asyncio.ensure_future(server.reload_model())
    await asyncio.sleep(0)
    assert slow.loaded == []
    slow.may_load.set()
    await asyncio.gather(loading, reloading)
    assert slow.loaded[-1] == "second.pth"
    assert len(slow.loaded) == 2
    server.shutdown()
