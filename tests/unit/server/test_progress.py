"""Progress with a stand-in for the client, which responds on demand."""

import asyncio
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcInternalError
from tinycopilot_server.progress import Progress


class Client:
    """A client with or without progress; records its messages as pygls's Progress would send them."""

    def __init__(self, *, has_bars: bool = True) -> None:
        window = types.WindowClientCapabilities(work_done_progress=has_bars)
        self.client_capabilities = types.ClientCapabilities(window=window)
        self.work_done_progress = self
        self.tokens: dict[str, Any] = {}
        self.told = list[Any]()
        self.answers = asyncio.Event()
        self.refuses = False

    async def create_async(self, token: str) -> None:
        await self.answers.wait()
        if self.refuses:
            raise JsonRpcInternalError("no")
        self.tokens[token] = asyncio.get_running_loop().create_future()

    def _tell(self, _token: str, value: Any) -> None:
        self.told.append(value)

    begin = report = end = _tell


async def a_moment() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_report_and_end() -> None:
    client = Client()
    client.answers.set()
    progress = Progress(client, "work")  # type: ignore[arg-type]
    progress.report("first", 0)
    await a_moment()
    await asyncio.to_thread(progress.report, "second", 50)
    progress.end("done")
    progress.end("again")
    progress.report("late")
    await a_moment()
    assert client.told == [
        types.WorkDoneProgressBegin(title="work", cancellable=False, message="first", percentage=0),
        types.WorkDoneProgressReport(message="second", percentage=50),
        types.WorkDoneProgressEnd(message="done"),
    ]
    assert client.tokens == {}


async def test_progress_that_ends_before_consent_is_not_shown() -> None:
    client = Client()
    progress = Progress(client, "work")  # type: ignore[arg-type]
    progress.report()
    progress.end()
    await a_moment()
    client.answers.set()
    await a_moment()
    assert client.told == []
    assert client.tokens == {}


async def test_last_report_before_consent_is_shown() -> None:
    client = Client()
    progress = Progress(client, "work")  # type: ignore[arg-type]
    progress.report("", 0)
    progress.report("a", 10)
    progress.report("b", 20)
    await a_moment()
    client.answers.set()
    await a_moment()
    assert client.told == [types.WorkDoneProgressBegin(title="work", cancellable=False, message="b", percentage=20)]


async def test_user_cancel_calls_on_cancel() -> None:
    client, stopped = Client(), list[str]()
    client.answers.set()
    progress = Progress(client, "work", lambda: stopped.append("now"))  # type: ignore[arg-type]
    progress.report()
    await a_moment()
    [token] = client.tokens.values()
    token.cancel()
    await a_moment()
    assert client.told[0].cancellable
    assert stopped == ["now"]


@pytest.mark.parametrize("how", [{"has_bars": False}, {}])
async def test_client_without_progress_gets_no_messages(how: dict[str, bool]) -> None:
    client = Client(**how)
    client.refuses = True
    client.answers.set()
    progress = Progress(client, "work")  # type: ignore[arg-type]
    progress.report()
    progress.report()
    await a_moment()
    progress.end()
    await a_moment()
    assert client.told == []


def test_nothing_happens_after_the_loop_has_closed() -> None:
    async def make() -> Progress:
        return Progress(Client(), "work")  # type: ignore[arg-type]

    loop = asyncio.new_event_loop()
    progress = loop.run_until_complete(make())
    loop.close()
    progress.report()
    progress.end()
