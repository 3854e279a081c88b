"""The server's life cycle over stdio, in any order of messages: raw ones, since client libraries enforce an order."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from tinycopilot.paths import ModelPaths, statistics_path

NOT_INITIALIZED, INVALID_REQUEST, CANCELLED = -32002, -32600, -32800
COMPLETION = {"textDocument": {"uri": "file:///project/a.py"}, "position": {"line": 0, "character": 5}}
INLINE = COMPLETION | {"context": {"triggerKind": 2}}


class Raw:
    """A server process, and raw messages to it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._n = 0

    def send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0"} | message)
        assert self.process.stdin
        self.process.stdin.write(f"Content-Length: {len(body)}\r\n\r\n{body}".encode())

    def tell(self, method: str, params: Any = None) -> None:
        self.send({"method": method, "params": params})

    async def ask(self, method: str, params: Any = None, name: str = "") -> dict[str, Any]:
        """Send a request and return its response."""
        self._n += 1
        name = name or str(self._n)
        self.send({"id": name, "method": method, "params": params})
        return await self.answer(name)

    async def answer(self, name: str) -> dict[str, Any]:
        while True:
            message = await self.receive()
            if message.get("id") == name and "method" not in message:
                return message

    async def receive(self) -> dict[str, Any]:
        assert self.process.stdout
        header = await self.process.stdout.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in header.split(b"\r\n") if line.startswith(b"Content-Length"))
        return json.loads(await self.process.stdout.readexactly(length))  # type: ignore[no-any-return]

    async def initialize(self, options: dict[str, Any], client_pid: int | None = None) -> None:
        params = {"processId": client_pid, "rootUri": None, "capabilities": {}, "initializationOptions": options}
        assert "result" in await self.ask("initialize", params)
        self.tell("initialized", {})

    async def ready(self) -> None:
        while (await self.receive()).get("params", {}).get("state") != "ready":
            pass

    def open(self, text: str) -> None:
        item = {"uri": "file:///project/a.py", "languageId": "python", "version": 1, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": item})

    async def exit_code(self) -> int:
        assert self.process.stderr
        _, code = await asyncio.gather(self.process.stderr.read(), self.process.wait())
        return code


Begin = Callable[[], Awaitable[Raw]]


@pytest.fixture
async def begin(python: Sequence[str]) -> AsyncIterator[Begin]:
    processes = list[asyncio.subprocess.Process]()

    async def begin_one() -> Raw:
        pipe = asyncio.subprocess.PIPE
        words = [*python, "-m", "tinycopilot_server"]
        processes.append(await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, stderr=pipe))
        return Raw(processes[-1])

    yield begin_one
    for process in processes:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.fixture
def options(saved: ModelPaths) -> dict[str, Any]:
    return {"modelPath": str(saved.model), "minConfidence": 0, "maxChars": 100_000, "maxLines": 100_000}


async def test_exit_before_initialize(begin: Begin) -> None:
    raw = await begin()
    raw.tell("exit")
    assert await raw.exit_code() == 1


async def test_before_initialize_requests_are_refused_and_notifications_dropped(
    begin: Begin, options: dict[str, Any]
) -> None:
    raw = await begin()
    raw.open("x = [")
    for method, params in (("textDocument/inlineCompletion", INLINE), ("shutdown", None)):
        assert (await raw.ask(method, params))["error"]["code"] == NOT_INITIALIZED
    await raw.initialize(options)
    assert (await raw.ask("textDocument/inlineCompletion", INLINE))["result"]["items"] == []  # it was not opened
    assert (await raw.ask("shutdown"))["result"] is None
    raw.tell("exit")
    assert await raw.exit_code() == 0


async def test_exit_without_shutdown_is_exit_code_1(begin: Begin, options: dict[str, Any]) -> None:
    raw = await begin()
    await raw.initialize(options)
    await raw.ready()
    raw.open("x = [")
    raw.send({"id": "busy", "method": "textDocument/inlineCompletion", "params": INLINE})
    raw.tell("exit")
    assert await raw.exit_code() == 1


async def test_second_initialize_and_requests_after_shutdown_are_refused(begin: Begin, options: dict[str, Any]) -> None:
    raw = await begin()
    await raw.initialize(options)
    assert (await raw.ask("initialize", {"processId": None, "capabilities": {}}))["error"]["code"] == INVALID_REQUEST
    assert (await raw.ask("shutdown"))["result"] is None  # while the model is loading
    raw.open("x = [")
    for method, params in (("shutdown", None), ("textDocument/completion", COMPLETION), ("initialize", {})):
        assert "error" in await raw.ask(method, params)
    raw.tell("exit")
    assert await raw.exit_code() == 0


async def test_cancel_before_during_and_after_a_request(begin: Begin, options: dict[str, Any]) -> None:
    raw = await begin()
    await raw.initialize(options)
    await raw.ready()
    raw.open('"""ab')  # in a long string no suggestion ends early: there is time to cancel it
    raw.tell("$/cancelRequest", {"id": "early"})
    before_a_word = INLINE | {"position": {"line": 0, "character": 0}}
    assert "result" in await raw.ask("textDocument/inlineCompletion", before_a_word, "early")
    raw.tell("$/cancelRequest", {"id": "early"})
    raw.send({"id": "busy", "method": "textDocument/inlineCompletion", "params": INLINE})
    raw.tell("$/cancelRequest", {"id": "busy"})
    assert (await raw.answer("busy"))["error"]["code"] == CANCELLED
    assert "result" in await raw.ask("textDocument/inlineCompletion", before_a_word)
    raw.send({"id": "busy again", "method": "textDocument/inlineCompletion", "params": INLINE})
    assert (await raw.ask("shutdown"))["result"] is None
    raw.tell("exit")
    assert await raw.exit_code() == 0


async def test_shutdown_while_commands_run(begin: Begin, options: dict[str, Any]) -> None:
    raw = await begin()
    await raw.initialize(options)
    await raw.ready()
    reload = {"command": "tinycopilot.reloadModel", "arguments": []}
    for name in ("first", "second"):
        raw.send({"id": name, "method": "workspace/executeCommand", "params": reload})
    raw.send({"id": "end", "method": "shutdown", "params": None})
    for name in ("first", "second"):
        answer = await raw.answer(name)
        assert "result" in answer or answer["error"]["code"] == CANCELLED  # done before, or cancelled
    assert (await raw.answer("end"))["result"] is None
    raw.tell("exit")
    assert await raw.exit_code() == 0


async def test_closed_input_ends_the_server(begin: Begin, options: dict[str, Any]) -> None:
    raw = await begin()
    await raw.initialize(options)
    await raw.ready()
    assert raw.process.stdin
    raw.process.stdin.close()
    assert await raw.exit_code() == 1


async def test_closed_output_is_not_an_error(begin: Begin, options: dict[str, Any]) -> None:
    raw = await begin()
    await raw.initialize(options)
    await raw.ready()
    raw.process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
    raw.open("x = [")
    raw.send({"id": "unheard", "method": "textDocument/inlineCompletion", "params": INLINE})
    assert raw.process.stdin
    await raw.process.stdin.drain()
    raw.process.stdin.close()
    assert raw.process.stderr
    said, code = await asyncio.gather(raw.process.stderr.read(), raw.process.wait())
    assert code == 1
    assert b"Traceback" not in said
    assert b"rror" not in said


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM on Windows")
async def test_sigterm_saves_statistics(begin: Begin, options: dict[str, Any]) -> None:
    raw = await begin()
    await raw.initialize(options)
    await raw.ready()
    raw.open("x = [")
    assert (await raw.ask("textDocument/inlineCompletion", INLINE))["result"]["items"]
    assert not statistics_path().exists()
    raw.process.send_signal(signal.SIGTERM)
    assert await raw.exit_code() == 128 + signal.SIGTERM
    assert statistics_path().exists()


async def test_server_ends_when_the_client_process_ends(begin: Begin, options: dict[str, Any]) -> None:
    client = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE)
    raw = await begin()
    await raw.initialize(options, client.pid)
    await raw.ready()
    raw.open("x = [")
    assert (await raw.ask("textDocument/inlineCompletion", INLINE))["result"]["items"]
    assert raw.process.returncode is None
    client.kill()
    assert await raw.exit_code() == 1
    assert statistics_path().exists()  # the counts were saved
    await client.wait()


async def test_invisible_client_process_is_not_watched(begin: Begin, options: dict[str, Any]) -> None:
    client = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await client.wait()
    raw = await begin()
    await raw.initialize(options, client.pid)
    await raw.ready()
    raw.open("x = [")
    assert (await raw.ask("textDocument/inlineCompletion", INLINE))["result"]["items"]
    assert (await raw.ask("shutdown"))["result"] is None
    raw.tell("exit")
    assert await raw.exit_code() == 0
