"""Malformed messages, and the expected response to each: an error, any response, or none."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from stdio_client import frame, framed

URI = "file:///project/bad.py"
PLACE = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 4}}
NAMED = {"uri": URI, "version": 2}
ITEM = {"uri": URI, "languageId": "python", "version": 1, "text": "x = val"}
HERE = {"start": {"line": 0, "character": 1}, "end": {"line": 0, "character": 2}}
REQUESTS: dict[str, Any] = {
    "textDocument/inlineCompletion": PLACE | {"context": {"triggerKind": 1}},
    "textDocument/completion": PLACE,
    "workspace/executeCommand": {"command": "tinycopilot.status", "arguments": []},
}
NOTEBOOK = {"uri": "file:///a.ipynb", "notebookType": "jupyter-notebook", "version": 1}
CELL = {"kind": 2, "document": "cell:1"}
CELL_TEXT = {"uri": "cell:1", "languageId": "python", "version": 1, "text": "x"}
NOTIFICATIONS: dict[str, Any] = {
    "notebookDocument/didOpen": {"notebookDocument": NOTEBOOK | {"cells": [CELL]}, "cellTextDocuments": [CELL_TEXT]},
    "notebookDocument/didChange": {
        "notebookDocument": NOTEBOOK,
        "change": {
            "cells": {
                "structure": {"array": {"start": 0, "deleteCount": 1, "cells": [CELL]}, "didOpen": [CELL_TEXT]},
                "data": [CELL],
                "textContent": [
                    {"document": {"uri": "cell:1", "version": 2}, "changes": [{"range": HERE, "text": "y"}]}
                ],
            }
        },
    },
    "notebookDocument/didClose": {"notebookDocument": NOTEBOOK, "cellTextDocuments": [{"uri": "cell:1"}]},
    "textDocument/didOpen": {"textDocument": ITEM},
    "textDocument/didChange": {"textDocument": NAMED, "contentChanges": [{"range": HERE, "text": "y"}]},
    "textDocument/didClose": {"textDocument": {"uri": URI}},
    "textDocument/didSave": {"textDocument": {"uri": URI}},
    "workspace/didChangeWatchedFiles": {"changes": [{"uri": URI, "type": 1}]},
    "workspace/didChangeWorkspaceFolders": {"event": {"added": [{"uri": URI, "name": "a"}], "removed": []}},
    "workspace/didChangeConfiguration": {"settings": {}},
    "$/cancelRequest": {"id": 1},
    "$/setTrace": {"value": "off"},
    "initialized": {},
}
JUNK = (
    *(
        None,
        True,
        False,
        -1,
        0,
        1.5,
        2**31,
        2**63,
        10**400,
        1e308,
        float("nan"),
        float("inf"),
        "",
        "-1",
        "\ud800",
        "\0",
    ),
    *("file:///\ud83d.py", "file://%", "file:///a%00b", "http://[", "x" * 3_000, [], {}, [[]], [None], {"": {}}),
    *({"jsonrpc": "2.0", "id": 7, "method": "shutdown"}, {"type_name": "a b"}, {"uri": None}, list(range(99))),
)
LOST = frame({"jsonrpc": "2.0", "method": "$/setTrace", "params": {"value": "off"}})
"""A message whose header may be consumed as part of the preceding message."""


class Expected(Enum):
    """The expected response."""

    ERROR = auto()
    ANSWER = auto()
    """A result or an error, since the mutated message may still be valid."""
    NULL_ERROR = auto()
    """An error without an id: the id is unreadable or invalid."""
    NOTHING = auto()


@dataclass(frozen=True)
class BadMessage:
    """Bytes to send, and the expected response."""

    data: bytes
    expected: Expected
    request_id: int | str | None = None


class Malformed:
    """An endless generator of malformed messages, determined by `seed`."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self._n = 0
        self._kinds: list[Callable[[], BadMessage]] = [
            *(self.mutated_request, self.mutated_request, self.mutated_notification, self.mutated_notification),
            *(self.unknown_method, self.bad_envelope, self.bad_id, self.notification_with_id, self.response),
            *(self.no_json, self.no_object, self.deep, self.out_of_turn, self.unusual_document, self.bad_frame),
        ]

    def next(self) -> BadMessage:
        return self.dice.choice(self._kinds)()

    def new_id(self) -> int | str:
        """Return a new id of an allowed type."""
        self._n += 1
        return self.dice.choice((self._n, f"id {self._n}", -self._n, f"\ud800{self._n}", 2**70 + self._n))

    def request(self, method: object, expected: Expected = Expected.ERROR, **more: object) -> BadMessage:
        request_id = self.new_id()
        return BadMessage(frame({"jsonrpc": "2.0", "id": request_id, "method": method} | more), expected, request_id)

    def mutated(self, params: Any) -> Any:
        """Return a copy with one element removed or replaced."""
        if self.dice.random() < 0.2 or not isinstance(params, dict | list) or not params:
            return self.dice.choice(JUNK)
        copy = json.loads(json.dumps(params))
        key = self.dice.choice(list(copy) if isinstance(copy, dict) else range(len(copy)))
        if self.dice.random() < 0.2:
            del copy[key]
        else:
            copy[key] = self.mutated(copy[key])
        return copy

    def mutated_request(self) -> BadMessage:
        method = self.dice.choice(list(REQUESTS))
        return self.request(method, Expected.ANSWER, params=self.mutated(REQUESTS[method]))

    def mutated_notification(self) -> BadMessage:
        method = self.dice.choice(list(NOTIFICATIONS))
        body = {"jsonrpc": "2.0", "method": method, "params": self.mutated(NOTIFICATIONS[method])}
        return BadMessage(frame(body), Expected.NOTHING)

    def unknown_method(self) -> BadMessage:
        method = self.dice.choice(
            ("", "x/y", "textDocument/hover", "textDocument/didNothing", "$/x", "\ud800", "a" * 999)
        )
        more = self.dice.choice(({}, {"params": self.dice.choice(JUNK)}, {"params": {}, "more": 1}))
        return self.request(method, **more)

    def bad_envelope(self) -> BadMessage:
        """A request without a valid method, `jsonrpc` version or parameters."""
        method, params = self.dice.choice(list(REQUESTS.items()))
        kind = self.dice.randrange(4)
        if kind == 0:
            return self.request(self.dice.choice((None, 1, [], {}, True)), params=params)
        if kind == 1:
            return self.request(method, params=params, jsonrpc=self.dice.choice((None, "1.0", 2.0, [], "")))
        if kind == 2:
            return self.request(method)
        request_id = self.new_id()
        left_out = self.dice.choice(("jsonrpc", "method"))
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        return BadMessage(frame({k: v for k, v in message.items() if k != left_out}), Expected.ERROR, request_id)

    def bad_id(self) -> BadMessage:
        method, params = self.dice.choice(list(REQUESTS.items()))
        bad = self.dice.choice((None, 1.5, True, [], {}, [1], {"a": 1}, float("nan"), 1e300))
        return BadMessage(frame({"jsonrpc": "2.0", "id": bad, "method": method, "params": params}), Expected.NULL_ERROR)

    def notification_with_id(self) -> BadMessage:
        method, params = self.dice.choice(list(NOTIFICATIONS.items()))
        return self.request(method, params=params)

    def response(self) -> BadMessage:
        """A response to a request that was never sent."""
        bad = self.dice.choice((None, 1, 1.5, "a", [], {}))
        more = self.dice.choice(({"result": None}, {"result": {"a": 1}}, {"error": None}, {"error": {"code": "x"}}))
        return BadMessage(frame({"jsonrpc": "2.0", "id": bad} | more), Expected.NOTHING)

    def no_json(self) -> BadMessage:
        whole = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "textDocument/completion", "params": PLACE}).encode()
        cut = whole[: self.dice.randrange(1, len(whole))]
        bodies = (cut, b" ", b"\xff" + whole, whole + b"}", b"nul", b'"', b"{'a': 1}", whole.replace(b"1", b"\xc3"))
        return BadMessage(framed(self.dice.choice((*bodies, b"1" * 5_000, b"\0"))), Expected.NULL_ERROR)

    def no_object(self) -> BadMessage:
        body = self.dice.choice(
            (None, 5, "text", [], [1], [{"jsonrpc": "2.0", "id": 1, "method": "shutdown"}], 1.5, True)
        )
        return BadMessage(frame(body), Expected.NULL_ERROR)

    def deep(self) -> BadMessage:
        """JSON that is nested up to or beyond the parser's limit."""
        if self.dice.random() < 0.5:
            n = self.dice.choice((10_000, 100_000))
            opening, closing = self.dice.choice(((b"[", b"]"), (b'{"a":', b"}")))
            body = b"[" + opening * n + b"1" + closing * n + b"]"  # not a message, if the parser has no limit
            return BadMessage(framed(body), Expected.NULL_ERROR)
        nested: Any = 1
        for _ in range(self.dice.choice((10, 100, 300))):
            nested = self.dice.choice(([nested], {"a": nested}))
        if self.dice.random() < 0.5:
            return self.request("x/y", params=nested)
        command = {"command": "tinycopilot.resume", "arguments": [nested]}
        return self.request("workspace/executeCommand", params=command)

    def out_of_turn(self) -> BadMessage:
        if self.dice.random() < 0.5:
            return self.request("initialize", params={"processId": None, "capabilities": {}})
        return self.request("exit", params=None)

    def unusual_document(self) -> BadMessage:
        """A document whose name or text has a lone surrogate, or whose name is invalid; then a request for it."""
        uri = self.dice.choice(
            ("file:///\ud800.py", "\0", "", "file:///%ff%fe.py", "untitled:1", "file://host/a.py", URI)
        )
        text = self.dice.choice(
            ("x = \ud800 + \udc00 v", "\ud83d", "\ude00 = [", "\0\0 = val", "\ufeffval", "a" * 5_000)
        )
        opened = {"jsonrpc": "2.0", "method": "textDocument/didOpen"}
        first = frame(opened | {"params": {"textDocument": ITEM | {"uri": uri, "text": text}}})
        character = self.dice.choice((0, 1, len(text), 2**31 - 1))
        method = self.dice.choice(("textDocument/inlineCompletion", "textDocument/completion"))
        place = {
            "textDocument": {"uri": uri},
            "position": {"line": self.dice.choice((0, 2**31 - 1)), "character": character},
        }
        asked = self.request(method, Expected.ANSWER, params=place | {"context": {"triggerKind": 1}})
        return BadMessage(first + asked.data, Expected.ANSWER, asked.request_id)

    def bad_frame(self) -> BadMessage:
        """An invalid or unusual header. Messages after it must still be read."""
        request_id = self.new_id()
        body = json.dumps({"jsonrpc": "2.0", "id": request_id, "method": "x/y", "params": PLACE}).encode()
        size = len(body)
        odd = (
            b"content-length: %d\r\n\r\n" % size,
            b"CONTENT-LENGTH:%d\r\n\r\n" % size,
            b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\nContent-Length: %d\r\n\r\n" % size,
            b"Content-Length: %d\r\nContent-Type: application/json\r\n\r\n" % size,
            b"rubbish\r\n\r\nContent-Length: %d\r\n\r\n" % size,
            b"rubbishContent-Length: %d\r\n\r\n" % size,
            b"Content-Length: 0\r\n\r\nContent-Length: %d\r\n\r\n" % size,
        )
        lost = (
            b"Content-Length: -5\r\n\r\n",
            b"Content-Length: %d\r\n\r\n" % 10**19,
            b"Content-Size: 5\r\n\r\n",
            b"\r\n",
        )
        kind = self.dice.randrange(4)
        if kind == 0:
            return BadMessage(self.dice.choice(odd) + body, Expected.ERROR, request_id)
        if kind == 1:
            return BadMessage(self.dice.choice(lost) + body, Expected.NOTHING)
        if kind == 2:
            short = self.dice.randrange(1, size)
            return BadMessage(b"Content-Length: %d\r\n\r\n" % short + body, Expected.NULL_ERROR)
        more = self.dice.randrange(1, 18)
        return BadMessage(b"Content-Length: %d\r\n\r\n" % (size + more) + body + LOST, Expected.NULL_ERROR)
