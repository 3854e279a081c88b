"""Requests to a stand-in for the Engine: cancelled, shared, superseded."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace

import pytest
from tinycopilot_server.documents import Document
from tinycopilot_server.index import LONG_CHARS
from tinycopilot_server.server import TinyCopilotServer
from tinycopilot_server.settings import Settings

from tinycopilot.completion.engine import Request, Result, Silence, Why
from tinycopilot.completion.request import CompleterSettings, Suggestion


class Endless:
    """Computes until cancelled, except for "quick"; prepares until `is_prepared` is set; records the rest."""

    def __init__(self) -> None:
        self.n_calls = 0
        self.ended = 0
        self.begun = threading.Event()
        self.documents = list[str | None]()
        self.calls = list[tuple[str, str]]()
        self.held = set[str]()
        self.is_prepared = threading.Event()
        self.tokenizer = SimpleNamespace(digest="")
        self.ngrams = SimpleNamespace(
            needs_compaction=False,
            max_chars=Settings().max_workspace_chars,
            drop=self._drop,
            limit=lambda max_chars: self.calls.append(("limit", str(max_chars))),
        )

    def _drop(self, name: str) -> bool:
        self.calls.append(("drop", name))
        return name in self.held

    def configure(self, settings: CompleterSettings) -> None:
        self.calls.append(("configure", str(settings.max_lines)))

    def hold(self, document: str, _text: str) -> None:
        self.calls.append(("hold", document))

    def prepare(self, document: str, _text: str) -> Callable[[], None]:
        self.is_prepared.wait()
        return lambda: self.calls.append(("offer", document))

    def complete(self, request: Request, cancelled: Callable[[], bool]) -> Result:
        if request.selected is not None:
            text = "/".join((str(request.document), request.before, request.after, *request.selected))
            return Result((Suggestion(text, 1.0),))
        if request.why is Why.INVOKED:
            return Result(tuple(Suggestion(text, 0.1) for text in ("this", "other 0", "other 1")))
        return self.suggest(request, cancelled)

    def suggest(self, request: Request, cancelled: Callable[[], bool]) -> Result:
        self.documents.append(request.document)
        self.n_calls += 1
        self.begun.set()
        while request.before != "quick":
            if cancelled():
                self.ended += 1
                return Result(silence=Silence.CANCELLED)
        return Result((Suggestion(request.after, 1.0),))


class Requests:
    """A server without a client, and requests to it."""

    def __init__(self) -> None:
        self.server = TinyCopilotServer()
        self.scheduler, self.index = self.server.scheduler, self.server.index

    async def suggest(
        self, name: str | None, before: str, after: str, selected: tuple[str, str] | None = None
    ) -> Suggestion | None:
        return await self.server.completer.suggest(Request(before, after, name, selected=selected))

    async def alternatives(self, after: str) -> list[Suggestion]:
        return await self.server.completer.alternatives(Request("quick", after, "a.py"))

    def open(self, name: str, text: str = "text") -> Document:
        document = Document(text, 1, "utf-16", name, "python")
        self.index.open("file:///" + name, document)
        return document

    async def wait(self) -> None:
        """Wait until the engine's thread is idle."""
        await asyncio.wrap_future(self.scheduler.submit(lambda: None))

    def close(self) -> None:
        self.server.stop()


@pytest.fixture
async def server_and_engine() -> AsyncIterator[tuple[Requests, Endless]]:
    requests, endless = Requests(), Endless()
    await asyncio.wrap_future(requests.scheduler.submit(lambda: requests.scheduler.use(endless)))  # type: ignore[arg-type]
    yield requests, endless
    requests.close()


async def begun(endless: Endless) -> None:
    await asyncio.get_running_loop().run_in_executor(None, endless.begun.wait)


async def test_newer_request_ends_the_older_one(server_and_engine: tuple[Requests, Endless]) -> None:
    requests, endless = server_and_engine
    older = asyncio.create_task(requests.suggest("a.py", "endless", ""))
    await begun(endless)
    assert await requests.suggest("a.py", "quick", "x") == Suggestion("x", 1.0)
    assert await older is None  # answered, not dropped
    assert endless.ended == 1


async def test_cancelled_request_ends_its_computation(server_and_engine: tuple[Requests, Endless]) -> None:
    requests, endless = server_and_engine
    task = asyncio.create_task(requests.suggest("a.py", "endless", ""))
    await begun(endless)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await requests.suggest("a.py", "quick", "y") == Suggestion("y", 1.0)  # the thread is free again
    assert endless.ended == 1


async def test_requests_for_one_position_share_a_computation(server_and_engine: tuple[Requests, Endless]) -> None:
    requests, endless = server_and_engine
    answers = await asyncio.gather(*(requests.suggest("a.py", "quick", "z") for _ in range(3)))
    assert answers == [Suggestion("z", 1.0)] * 3
    assert await requests.suggest("a.py", "quick", "z") == Suggestion("z", 1.0)
    assert endless.n_calls == 1


async def test_cancelling_one_of_two_waiting_requests(server_and_engine: tuple[Requests, Endless]) -> None:
    requests, endless = server_and_engine
    first, second = (asyncio.create_task(requests.suggest("a.py", "endless", "")) for _ in range(2))
    await begun(endless)
    first.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    assert endless.ended == 0  # the second still waits
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert await requests.suggest("a.py", "quick", "") == Suggestion("", 1.0)
    assert endless.ended == 1


async def test_request_after_a_cancel_computes_again(server_and_engine: tuple[Requests, Endless]) -> None:
    requests, endless = server_and_engine
    task = asyncio.create_task(requests.suggest("a.py", "endless", ""))
    await begun(endless)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    endless.begun.clear()
    again = asyncio.create_task(requests.suggest("a.py", "endless", ""))
    await begun(endless)
    assert endless.n_calls == 2
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)


async def test_no_suggestion_without_a_model() -> None:
    assert await Requests().suggest(1, "a.py", "quick", "x") is None


async def test_engine_receives_the_document_name(server_and_engine: tuple[Requests, Endless]) -> None:
    requests, endless = server_and_engine
    await requests.suggest("b.py", "quick", "")
    await requests.suggest(None, "quick", "")
    assert endless.documents == ["b.py", None]


async def test_index_change_invalidates_the_shared_result(server_and_engine: tuple[Requests, Endless]) -> None:
    requests, endless = server_and_engine
    await requests.suggest("a.py", "quick", "z")
    requests.index.hold("b.py", "text")
    requests.index.drop("c.py")
    await requests.suggest("a.py", "quick", "z")
    assert endless.n_calls == 2
    assert endless.calls == [("hold", "b.py"), ("drop", "c.py")]


async def test_result_is_outdated_only_if_a_document_was_dropped(server_and_engine: tuple[Requests, Endless]) -> None:
    requests, endless = server_and_engine
    secret = requests.open(".env")
    await requests.suggest(None, "quick", "z")
    assert requests.index.admit(secret) is None
    await requests.suggest(None, "quick", "z")
    assert endless.n_calls == 1
    endless.held.add(".env")
    assert requests.index.admit(secret) is None
    await requests.wait()
    await requests.suggest(None, "quick", "z")
    assert endless.n_calls == 2


async def test_request_in_a_long_document_waits_for_its_sorting(server_and_engine: tuple[Requests, Endless]) -> None:
    requests, endless = server_and_engine
    requests.open("short.py", "x")
    requests.open("long.py", "x\n" * LONG_CHARS)
    waiting = asyncio.create_task(requests.suggest("long.py", "quick", ""))
    assert await requests.suggest("short.py", "quick", "y") == Suggestion("y", 1.0)  # others do not wait
    assert not waiting.done()
    endless.is_prepared.set()
    assert await waiting == Suggestion("", 1.0)
    assert endless.calls == [("offer", "long.py")]


async def test_request_in_a_long_document_that_was_opened_again_waits_for_the_newer_text(
    server_and_engine: tuple[Requests, Endless], monkeypatch: pytest.MonkeyPatch
) -> None:
    requests, endless = server_and_engine
    older, newer = threading.Event(), threading.Event()

    def prepare(document: str, text: str) -> Callable[[], None]:
        assert (older if text.startswith("x") else newer).wait(60)
        return lambda: endless.calls.append(("offer", document))

    monkeypatch.setattr(endless, "prepare", prepare)
    for text in ("x\n", "y\n"):
        requests.open("long.py", text * LONG_CHARS)
    older.set()
    async with asyncio.timeout(60):
        while not endless.calls:
            await asyncio.sleep(0.01)
    waiting = asyncio.create_task(requests.suggest("long.py", "quick", ""))
    assert await requests.suggest("short.py", "quick", "y")
    assert not waiting.done()
    newer.set()
    await waiting
    assert endless.calls == [("offer", "long.py")] * 2


async def test_nothing_is_computed_after_close(server_and_engine: tuple[Requests, Endless]) -> None:
    requests, endless = server_and_engine
    for _ in range(2):
        requests.close()
    requests.index.hold("b.py", "text")
    requests.index.scan(None)
    assert endless.calls == []


async def test_other_documents_are_those_of_the_last_request(server_and_engine: tuple[Requests, Endless]) -> None:
    requests, _ = server_and_engine
    assert await requests.alternatives("x") == []
    await requests.suggest("a.py", "quick", "x")
    assert [other.text for other in await requests.alternatives("x")] == ["other 0", "other 1"]
    await requests.suggest("a.py", "quick", "y")
    assert await requests.alternatives("x") == []
    requests.index.hold("b.py", "")
    assert await requests.alternatives("y") == []  # something has changed


async def test_settings_apply_from_the_next_request(server_and_engine: tuple[Requests, Endless]) -> None:
    requests, endless = server_and_engine
    await requests.suggest("a.py", "quick", "x")
    requests.index.configure(Settings(max_lines=7))
    await requests.suggest("a.py", "quick", "x")
    assert endless.calls == [("configure", "7"), ("limit", "12000000")]
    assert endless.n_calls == 2  # the first result had other settings


async def test_request_answered_after_its_text_is_forgotten_is_not_explained(
    server_and_engine: tuple[Requests, Endless],
) -> None:
    requests, _ = server_and_engine
    completer, busy = requests.server.completer, threading.Event()
    requests.scheduler.submit(busy.wait)
    asked = asyncio.ensure_future(requests.suggest("a.py", "quick", "x"))
    await asyncio.sleep(0)
    completer.forget()
    busy.set()
    assert await asked
    assert completer.last_answered() is None


async def test_max_workspace_chars_0_indexes_nothing(server_and_engine: tuple[Requests, Endless]) -> None:
    requests, endless = server_and_engine
    requests.index.configure(Settings(max_workspace_chars=0))
    requests.index.hold("b.py", "")
    requests.index.configure(Settings())
    requests.index.hold("c.py", "")
    await requests.suggest("a.py", "quick", "x")
    assert [name for what, name in endless.calls if what == "hold"] == ["c.py"]


async def test_request_with_a_selected_menu_entry(server_and_engine: tuple[Requests, Endless]) -> None:
    requests, endless = server_and_engine
    assert await requests.suggest("a.py", "b", "a", ("other b", "other a")) == Suggestion(
        "a.py/b/a/other b/other a", 1.0
    )
    assert endless.n_calls == 0
