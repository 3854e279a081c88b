"""A minimal client of a language server over stdio: messages as plain JSON, with times of writing and reading.

pygls's own client validates and converts every message, which takes longer than many responses, and would be measured,
too.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Message = dict[str, Any]

SERVER = (sys.executable, "-m", "tinycopilot_server")
LAST_LINES = 30
MAX_LINE_BYTES = 2**24


@dataclass
class Answer:
    """The response to a request."""

    message: Message
    written_s: float
    """By `time.perf_counter`, like the next."""
    read_s: float

    @property
    def ms(self) -> float:
        """Milliseconds from writing the request to reading the response."""
        return 1e3 * (self.read_s - self.written_s)

    @property
    def result(self) -> Any:
        """The result. Raises KeyError for an error."""
        return self.message["result"]


def frame(message: object) -> bytes:
    """A message with its header."""
    return framed(json.dumps(message).encode())


def framed(body: bytes) -> bytes:
    """The same for bytes."""
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


@dataclass
class StdioClient:
    """A server process and its messages."""

    process: asyncio.subprocess.Process
    started_s: float
    n_answers: Counter[Any] = field(default_factory=Counter)
    """Number of responses for each id; under None, errors for messages with unreadable ids."""
    notified: dict[str, list[Any]] = field(default_factory=dict)
    """Parameters of the server's notifications, by method."""
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    """The end of its stderr."""
    on_line: Callable[[str], None] = lambda _line: None
    """Called with each line of stderr."""
    _waiting: dict[Any, tuple[float, "asyncio.Future[Answer]"]] = field(default_factory=dict)
    _has_news: asyncio.Event = field(default_factory=asyncio.Event)
    _n_requests: int = 0
    _listening: list["asyncio.Task[None]"] = field(default_factory=list)

    @classmethod
    async def start(cls, command: Sequence[str] = SERVER, env: Mapping[str, str] | None = None) -> "StdioClient":
        """Start the server; `env` is added to this process's environment."""
        started_s = time.perf_counter()
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, **(env or {})}, limit=MAX_LINE_BYTES
        )
        client = cls(process, started_s)
        client._listening = [asyncio.create_task(client._listen()), asyncio.create_task(client._listen_to_log())]
        return client

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self.process.pid

    def send(self, data: bytes) -> None:
        """Write raw bytes."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    async def drain(self) -> None:
        """Wait until the server has read most of what was written."""
        assert self.process.stdin is not None
        await self.process.stdin.drain()

    def notify(self, method: str, params: object) -> None:
        """Send a notification."""
        self.send(frame({"jsonrpc": "2.0", "method": method, "params": params}))

    def request(self, method: str, params: object, request_id: Any = None) -> "asyncio.Future[Answer]":
        """Send a request and return its response, which may be an error."""
        if request_id is None:
            request_id = self._n_requests = self._n_requests + 1
        answer = self.expect(request_id)
        self.send(frame({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}))
        return answer

    def expect(self, request_id: Any) -> "asyncio.Future[Answer]":
        """The future response to a request with that id, which is written now."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = (time.perf_counter(), answer)
        return answer

    async def initialize(self, encoding: str = "utf-16", **params: Any) -> Answer:
        """Initialize the server; return the response to `initialize`."""
        capabilities = {"general": {"positionEncodings": [encoding]}}
        answer = await self.request("initialize", {"processId": None, "capabilities": capabilities, **params})
        self.notify("initialized", {})
        return answer

    async def state(self, *wanted: str) -> Any:
        """Wait for a status message with one of these states; return it. Raises EOFError if the server has exited."""
        while True:
            for status in self.notified.get("tinycopilot/status", []):
                if status["state"] in wanted:
                    return status
            if self._listening[0].done():
                raise EOFError("\n".join(self.last_lines))
            self._has_news.clear()
            await self._has_news.wait()

    async def end(self) -> int:
        """Shut down; return the exit code."""
        with contextlib.suppress(ConnectionError):
            await self.request("shutdown", None)
            self.notify("exit", None)
        return await self.gone()

    async def kill(self) -> int:
        """Send SIGKILL; return the exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        return await self.gone()

    async def gone(self) -> int:
        """Wait until the process has exited; return the exit code."""
        code = await self.process.wait()
        await asyncio.gather(*self._listening)
        assert self.process.stdin is not None
        self.process.stdin.close()
        return code

    async def _listen(self) -> None:
        reader = self.process.stdout
        assert reader is not None
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = next(line for line in head.split(b"\r\n") if line.startswith(b"Content-Length: "))
                body = await reader.readexactly(int(size.split()[1]))
                self._take(json.loads(body), time.perf_counter())
        for _, answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionError("the server has exited:\n" + "\n".join(self.last_lines)))
        self._has_news.set()

    def _take(self, message: Message, read_s: float) -> None:
        if "method" not in message:
            request_id = message.get("id")
            self.n_answers[request_id] += 1
            written_s, answer = self._waiting.pop(request_id, (0.0, None))
            if answer is not None and not answer.done():
                answer.set_result(Answer(message, written_s, read_s))
            return
        self.notified.setdefault(message["method"], []).append(message.get("params"))
        if "id" in message:
            self.send(frame({"jsonrpc": "2.0", "id": message["id"], "result": None}))
        self._has_news.set()

    async def _listen_to_log(self) -> None:
        reader = self.process.stderr
        assert reader is not None
        while line := await reader.readline():
            text = line.decode("utf-8", "replace").rstrip()
            self.last_lines.append(text)
            self.on_line(text)
