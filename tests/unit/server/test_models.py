"""Models are loaded one after another, and the status is sent."""

import asyncio
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from tinycopilot_server.documents import Document
from tinycopilot_server.server import TinyCopilotServer
from tinycopilot_server.session import DISABLED, Session, Status
from tinycopilot_server.settings import Settings


class Loader:
    """Stands in for Models.load: waits for permission to load; a second model takes over the index."""

    def __init__(self, server: TinyCopilotServer) -> None:
        self.server = server
        self.may_load = asyncio.Event()
        self.loaded = list[str]()

    async def load(self, *_: Any) -> bool:
        model_path = self.server.session.settings.model_path
        await self.may_load.wait()
        self.loaded.append(model_path)
        return len(self.loaded) > 1


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyCopilotServer]:
    """A server without a client."""
    monkeypatch.setattr(Session, "send_status", lambda _: None)
    monkeypatch.setattr("tinycopilot_server.models.Progress", Mock())
    server = TinyCopilotServer()
    yield server
    server.shutdown()


@pytest.fixture
def loader(server: TinyCopilotServer, monkeypatch: pytest.MonkeyPatch) -> Loader:
    loader = Loader(server)
    monkeypatch.setattr(server.models, "load", loader.load)
    return loader


async def test_model_named_during_a_load_wins(server: TinyCopilotServer, loader: Loader) -> None:
    server.session.settings = Settings(model_path="first.pth")
    loading = asyncio.ensure_future(server.models.start())
    await asyncio.sleep(0)
    server.session.settings = Settings(model_path="second.pth")
    reloading = asyncio.ensure_future(server.models.reload())
    await asyncio.sleep(0)
    assert loader.loaded == []
    loader.may_load.set()
    await asyncio.gather(loading, reloading)
    assert loader.loaded[-1] == "second.pth"
    assert len(loader.loaded) == 2


async def test_documents_opened_before_the_model_are_indexed_later(server: TinyCopilotServer, loader: Loader) -> None:
    for name in ("a.py", "b.py"):
        server.session.documents["file:///" + name] = Document("", 1, "utf-16", "/" + name, "python")
    here, other = server.session.documents.values()
    loading = asyncio.ensure_future(server.models.start())
    await asyncio.sleep(0)
    server.index.hold_others(here)  # a client requests at once: nothing is indexed yet
    loader.may_load.set()
    await loading
    assert other.seen_version is None
    server.index.hold_others(here)
    assert await server.models.reload() == ""
    assert other.seen_version == 1  # the new model has taken over the index


async def test_settings_changed_during_a_reload_apply(
    server: TinyCopilotServer, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = list[int]()
    monkeypatch.setattr(server.index, "configure", lambda settings: told.append(settings.max_lines))
    reloading = asyncio.ensure_future(server.models.reload())
    await asyncio.sleep(0)
    server.session.settings = Settings(max_lines=3)
    loader.may_load.set()
    await reloading
    assert told == [3]


def test_status_is_off_unless_there_is_an_error(server: TinyCopilotServer) -> None:
    server.session.model_status = Status("ready")
    server.session.settings = Settings(enabled=False)
    assert server.session.status == DISABLED
    assert server.session.is_silent
    server.session.model_status = Status("error", "no model")
    assert server.session.status.state == "error"
