"""Messages that are handled before pygls sees them."""

import asyncio
import errno
import gc
import io
from concurrent.futures import Future
from typing import Any
from unittest.mock import Mock

import pytest
from tinycopilot_server import protocol
from tinycopilot_server.protocol import ResyncInput, TolerantOutput, id_of, is_to_be_answered, why_invalid
from tinycopilot_server.server import TinyCopilotServer


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "id": 1, "method": "a"},
        {"jsonrpc": "2.0", "id": "b", "method": "a", "params": None},
        {"jsonrpc": "2.0", "method": "a"},
        {"jsonrpc": "2.0", "id": 1, "result": None},
        {"jsonrpc": "2.0", "id": None, "error": {}},
    ],
)
def test_valid_and_invalid_messages(message: dict[str, Any]) -> None:
    assert why_invalid(message) == ""
    assert is_to_be_answered(message) == ("id" in message and "method" in message)


@pytest.mark.parametrize("message", [None, 1, "a", [], [{"jsonrpc": "2.0", "id": 1, "method": "a"}]])
def test_message_that_is_not_an_object_is_refused_without_an_id(message: object) -> None:
    assert why_invalid(message)
    assert is_to_be_answered(message)
    assert id_of(message) is None


@pytest.mark.parametrize(
    ("wrong", "request_id"),
    [
        ({"jsonrpc": "1.0"}, 1),
        ({"jsonrpc": None}, 1),
        ({"method": 3}, 1),
        ({"method": None}, 1),
        ({"id": 1.5}, None),
        ({"id": True}, None),
        ({"id": None}, None),
        ({"id": [1]}, None),
    ],
)
def test_invalid_request_is_answered(wrong: dict[str, Any], request_id: int | None) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "a"} | wrong
    assert why_invalid(message)
    assert is_to_be_answered(message)
    assert id_of(message) == request_id


def test_bare_id_is_answered_and_invalid_response_is_not() -> None:
    assert why_invalid({"jsonrpc": "2.0", "id": 1})
    assert is_to_be_answered({"jsonrpc": "2.0", "id": 1})
    assert not is_to_be_answered({"id": [], "result": None})


def test_notifications_leave_no_futures() -> None:
    def n_futures() -> int:
        gc.collect()
        return sum(issubclass(type(one), Future | asyncio.Future) for one in gc.get_objects())  # some lie about it

    server = TinyCopilotServer()
    before = n_futures()
    for _ in range(3):
        server.protocol.handle_message({"jsonrpc": "2.0", "method": "$/setTrace", "params": {"value": "off"}})
    assert n_futures() <= before
    server.shutdown()


def lines(data: bytes) -> list[bytes]:
    framed = ResyncInput(io.BytesIO(data))
    return list(iter(framed.readline, b""))


@pytest.mark.parametrize(
    "header",
    [b"Content-Length: 12\r\n", b"content-length:12\r\n", b"CONTENT-LENGTH:\t12 \r\n", b"Content-Length: 12\n"],
)
@pytest.mark.parametrize("left_over", [b"", b'{"a": "Content-Length: 7"}', b"\xff"])
def test_header_is_found_after_leftover_bytes(header: bytes, left_over: bytes) -> None:
    assert lines(left_over + header + b"\r\n") == [b"Content-Length: 12\r\n", b"\r\n"]


def test_other_lines_are_unchanged() -> None:
    others = [b"Content-Type: text/plain\r\n", b"ontent-Length: 5\r\n", b"Content-Length: -5\r\n", b"\r\n"]
    assert lines(b"".join(others)) == others


@pytest.mark.parametrize("digits", [str(protocol.MAX_BYTES + 1), "1" * 20, "1" * 21, "9" * 10_000])
def test_excessive_length_is_skipped(digits: str) -> None:
    assert lines(f"Content-Length: {digits}\r\n\r\n".encode()) == [b"\n", b"\r\n"]


def test_read_returns_n_bytes() -> None:
    framed = ResyncInput(io.BytesIO(b"abc\ndef"))
    assert (framed.readline(), framed.read(2), framed.read(9)) == (b"abc\n", b"de", b"f")


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"a\xffb\xc3", b"a?b?"),
        (b"\xc3(\xe2\x82", b"?(??"),
        (b"\xff" + "é…🙂".encode(), b"?" + "é…🙂".encode()),
        (b"\xed\xa0\x80", b"\xed\xa0\x80"),  # a lone surrogate, as JavaScript strings can contain
    ],
)
def test_invalid_utf8_is_replaced_byte_by_byte(sent: bytes, read: bytes) -> None:
    assert ResyncInput(io.BytesIO(sent)).read(len(sent)) == read


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(errno.EINVAL, "Invalid argument")])
def test_output_without_a_reader_is_ignored(error: OSError) -> None:
    """On Windows, a broken pipe is EINVAL."""

    stream = Mock()
    stream.write.side_effect = stream.flush.side_effect = stream.close.side_effect = error
    output = TolerantOutput(stream)
    output.write(b"a")
    output.flush()
    output.close()
