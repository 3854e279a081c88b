"""Requests to an ASGI application in this process. (HTTP clients would correct or reject invalid requests.)"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message

Headers = Sequence[tuple[str, str]]
TOKEN = "t" * 43
GOOD: Headers = (
    ("host", "127.0.0.1:8012"),
    ("authorization", f"Bearer {TOKEN}"),
    ("content-type", "application/json"),
)
"""Headers of a valid request."""


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error object, as in OpenAI's API; its structure is checked."""
        [(name, error)] = self.json.items()
        assert name == "error"
        assert error.keys() == {"message", "type", "param", "code"}
        assert "\n" not in error["message"]
        assert error["type"] == ("server_error" if self.status >= 500 else "invalid_request_error")
        return error

    @property
    def events(self) -> list[Any]:
        """The data of all server-sent events, parsed, without the final [DONE]."""
        *events, done, rest = self.body.decode().split("\n\n")
        assert (done, rest) == ("data: [DONE]", "")
        return [json.loads(event.removeprefix("data: ")) for event in events]


async def ask(
    app: ASGIApp,
    path: str = "/v1/completions",
    body: object = b"",
    *,
    method: str = "POST",
    headers: Iterable[tuple[str, str]] = GOOD,
    disconnect: asyncio.Event | None = None,
) -> Answer:
    """Send a request, with `body` as bytes or to be sent as JSON. The client disconnects when `disconnect` is set."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    pieces = [data[i : i + 65_536] for i in range(0, len(data), 65_536)] or [b""]
    sent = list[Message]()

    async def receive() -> Message:
        if pieces:
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}
        await (disconnect or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": raw,
        "client": ("127.0.0.1", 50_000), "server": ("127.0.0.1", 8012),
    }  # fmt: skip
    await app(scope, receive, send)
    start, *rest = sent
    response_headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], response_headers, b"".join(message.get("body", b"") for message in rest))
