"""`tinycopilot serve --http` as a process on a loopback port; the language server opens none."""

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tinycopilot.cli import main

LIMIT_S = 90
NAME = "quarterly_reconciliation"
CODE = f"def {NAME}(rows):\n    return sum(rows)\n\n\n"


@dataclass
class Served:
    """A running endpoint."""

    port: int
    token: str
    process: asyncio.subprocess.Process
    lines: list[str]

    def ask(self, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        with contextlib.closing(connection):
            given = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
            method, data = ("GET", None) if body is None else ("POST", json.dumps(body))
            connection.request(method, path, data, given)
            response = connection.getresponse()
            return response.status, response.read()

    async def asks(self, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        status, data = await asyncio.to_thread(self.ask, path, body, **headers)
        return status, json.loads(data)

    def status(self, sent: bytes) -> int:
        """The status of the response to these bytes."""
        with socket.create_connection(("127.0.0.1", self.port), LIMIT_S) as raw:
            raw.sendall(sent)
            with raw.makefile("rb") as answer:
                return int(answer.readline().split()[1])


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["foreground", "background"])
async def served(tmp_path: Path, python: Sequence[str], request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    """An endpoint with the bundled model and a workspace. It ignores SIGINT at first, like a shell's background job."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "sums.py").write_text(CODE * 2)
    port = free_port()
    words = ["-m", "tinycopilot", "serve", "--http", str(port), "--workspace", str(tmp_path / "project")]
    before = signal.signal(signal.SIGINT, request.param)  # what the process inherits
    try:
        process = await asyncio.create_subprocess_exec(*python, *words, stderr=asyncio.subprocess.PIPE)
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stderr is not None
    lines = list[str]()
    try:
        while not lines or not lines[-1].startswith("listening"):
            line = await asyncio.wait_for(process.stderr.readline(), LIMIT_S)
            assert line, lines
            lines.append(line.decode().rstrip())
        token = Path(lines[-1].rpartition("the token is in ")[2])
        yield Served(port, token.read_text().strip(), process, lines)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_serves_until_ctrl_c(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert re.fullmatch(r"model: .* \(ships with tinycopilot\)", served.lines[0])
    assert served.lines[-2].startswith("indexed 1 files in ")
    assert f"listening on http://127.0.0.1:{served.port}/v1 (Ctrl-C stops it)" in served.lines[-1]

    body = {"model": "tinycopilot", "prompt": f"{CODE}total = {NAME[:6]}", "max_tokens": 40, "temperature": 0}
    status, answer = await served.asks("/v1/completions", body)
    assert status == 200
    assert answer["choices"][0]["text"].startswith(NAME[6:])
    status, streamed = await asyncio.to_thread(served.ask, "/v1/completions", {**body, "stream": True})
    assert (status, streamed.endswith(b"data: [DONE]\n\n")) == (200, True)
    assert (await served.asks("/v1/models"))[1]["data"][0]["id"] == "tinycopilot"

    assert (await served.asks("/v1/completions", body, Authorization="Bearer x"))[0] == 401
    assert (await served.asks("/v1/completions", body, Host="evil.example"))[0] == 403
    assert (await served.asks("/v1/completions", body, Origin="https://evil.example"))[0] == 403
    assert (await served.asks("/v1/completions", body))[1]["choices"] == answer["choices"]

    assert served.status(b"\x16\x03\x01\x02\x00 hello\r\n\r\n") == 400  # no HTTP at all
    head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {served.token}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 2000000\r\n\r\n"
    assert served.status(head.encode()) == 413  # before any of the body is sent
    assert served.status(head.replace("Host: localhost\r\n", "").encode()) == 400  # HTTP/1.1 demands one

    assert main(["serve", "--http", str(served.port)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"port {served.port} is in use" in line

    if os.name == "posix":
        served.process.send_signal(signal.SIGINT)
        _, rest = await asyncio.wait_for(served.process.communicate(), LIMIT_S)
        assert served.process.returncode == 130
        assert rest.decode().splitlines()[-1] == "tinycopilot: stopped"
        assert b"Traceback" not in rest
