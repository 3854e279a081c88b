"""One model is loaded after the other; and how it is, is told."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from tinycopilot_server.app import TinyCopilotServer
from tinycopilot_server.completer_thread import CompleterThread
from tinycopilot_server.documents import Document
from tinycopilot_server.indexing import NoBar
from tinycopilot_server.memory import Memory
from tinycopilot_server.settings import Settings
from tinycopilot_server.status import DISABLED, Status


class Loader:
    """Stands in for loading.load: it loads when it may; a second model takes over what is known."""

    def __init__(self) -> None:
        self.may_load = asyncio.Event()
        self.loaded = list[str]()

    async def load(
        self,
        _thread: CompleterThread,
        _memory: Memory,
        settings: Settings,
        _folder: str | None,
        *,
        is_first: bool,
        **_: Any,
    ) -> bool:
        await self.may_load.wait()
        self.loaded.append(settings.model_path)
        return not is_first


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyCopilotServer]:
    """With nobody to tell."""
    monkeypatch.setattr("tinycopilot_server.status.show", lambda _server: None)
    monkeypatch.setattr("tinycopilot_server.model.Progress", lambda *_: NoBar())
    server = TinyCopilotServer()
    yield server
    server.shutdown()


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> Loader:
    loader = Loader()
    monkeypatch.setattr("tinycopilot_server.loading.load", loader.load)
    return loader


async def test_a_model_that_is_named_while_another_one_is_loaded_is_the_one_that_stays(
    server: TinyCopilotServer, loader: Loader
) -> None:
    server.settings = Settings(model_path="first.pth")
    loading = asyncio.ensure_future(server.model.start())
    await asyncio.sleep(0)
    server.settings = Settings(model_path="second.pth")
    reloading = asyncio.ensure_future(server.model.reload())
    await asyncio.sleep(0)
    assert loader.loaded == []
    loader.may_load.set()
    await asyncio.gather(loading, reloading)
    assert loader.loaded[-1] == "second.pth"
    assert len(loader.loaded) == 2


async def test_documents_that_nobody_could_be_shown_are_shown_when_there_is_a_model(
    server: TinyCopilotServer, loader: Loader
) -> None:
    for name in ("a.py", "b.py"):
        server.documents["file:///" + name] = Document("", 1, "utf-16", "/" + name, "python")
    here, other = server.documents.values()
    loading = asyncio.ensure_future(server.model.start())
    await asyncio.sleep(0)
    server.documents.show_others(here)  # a client asks at once: nothing is known yet
    loader.may_load.set()
    await loading
    assert other.seen_version is None
    server.documents.show_others(here)
    assert await server.model.reload() == ""
    assert other.seen_version == 1  # the new model has taken over what was known


async def test_what_is_set_while_a_model_is_loaded_again_holds(
    server: TinyCopilotServer, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = list[int]()
    monkeypatch.setattr(server.memory, "configure", lambda settings: told.append(settings.max_lines))
    reloading = asyncio.ensure_future(server.model.reload())
    await asyncio.sleep(0)
    server.settings = Settings(max_lines=3)
    loader.may_load.set()
    await reloading
    assert told == [3]


def test_the_status_says_that_it_is_off_but_not_in_place_of_an_error(server: TinyCopilotServer) -> None:
    server.model.status = Status("ready")
    server.settings = Settings(enabled=False)
    assert server.status == DISABLED
    assert server.is_silent
    server.model.status = Status("error", "no model")
    assert server.status.state == "error"
