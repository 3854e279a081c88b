"""JSON-RPC on top of pygls: answer each request exactly once, however malformed, and skip invalid headers."""

import contextlib
import logging
import re
from typing import Any, BinaryIO

from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInvalidRequest,
    JsonRpcMethodNotFound,
    JsonRpcServerNotInitialized,
)
from pygls.protocol import LanguageServerProtocol

MAX_BYTES = 2**30
"""A header with a larger Content-Length is wrong, and is skipped."""
NOT_UTF8 = re.compile("[\udc80-\udcff]")
"""The characters into which `surrogateescape` decodes invalid bytes."""
HEADER = re.compile(rb"content-length:[ \t]*(\d+)[ \t]*\r?\n\Z", re.IGNORECASE)

log = logging.getLogger(__name__)


class Protocol(LanguageServerProtocol):
    """Validates each message before pygls handles it."""

    def structure_message(self, data: Any) -> Any:
        """Return `data` unchanged: pygls calls this for each nested object, which could look like a message."""
        return data

    def handle_message(self, message: Any) -> None:
        """Handle a message, or answer it with an error; responses and notifications are never answered."""
        try:
            structured = self._structured(message)
            if self.fm.builtin_features.get(message.get("method")) == self.lsp_shutdown:
                # pygls does this at a shutdown, too, but fails, since cancelling a command removes it.
                for future in list(self._request_futures.values()):
                    future.cancel()
            super().handle_message(structured)
        except JsonRpcException as error:
            log.info("refused, error %d", error.code)  # its message may quote what was sent
            if is_to_be_answered(message):
                self.refuse(id_of(message), error)
        except Exception:  # for example a cancellation without a valid id
            log.info("invalid message", exc_info=True)
        # pygls never releases the result of a notification: two kilobytes for each `$/setTrace`.
        for msg_id in [msg_id for msg_id, future in self._request_futures.items() if future.done()]:
            del self._request_futures[msg_id]

    def _structured(self, message: Any) -> Any:
        """Return the message as lsprotocol's type. Raises JsonRpcException."""
        if problem := why_invalid(message):
            raise JsonRpcInvalidRequest(problem)
        if "method" not in message:
            return super().structure_message(message)
        is_request, method = "id" in message, message["method"]
        if is_request:
            self._check_turn(method)
        structured = super().structure_message({"params": None, **message})
        if is_request and not hasattr(structured, "id"):
            raise JsonRpcInvalidRequest(f"{method} is a notification: it has no id")
        return structured

    def _check_turn(self, method: str) -> None:
        """Raises JsonRpcException if a request cannot be handled now, or at all."""
        handler = self.fm.builtin_features.get(method, self.fm.features.get(method))
        is_first, has_begun = handler == self.lsp_initialize, self._workspace is not None
        if self._shutdown:
            raise JsonRpcInvalidRequest("shutting down")
        if not has_begun and not is_first:
            raise JsonRpcServerNotInitialized(f"{method}: the server is not initialized")
        if has_begun and is_first:
            raise JsonRpcInvalidRequest(f"{method}: the server is already initialized")
        if handler is None:
            raise JsonRpcMethodNotFound.of(method)

    def refuse(self, request_id: str | int | None, error: JsonRpcException) -> None:
        """Answer with an error. (pygls omits an id that is null.)"""
        content = {"code": error.code, "message": error.message}
        self._send_data({"jsonrpc": self.VERSION, "id": request_id, "error": content})


def why_invalid(message: Any) -> str:
    """Return why `message` is not a JSON-RPC 2.0 message; "" if it is one."""
    if not isinstance(message, dict):
        return "a message must be an object"
    if message.get("jsonrpc") != "2.0":
        return 'jsonrpc must be "2.0"'
    if not isinstance(message.get("method", ""), str):
        return "method must be a string"
    if "id" in message and id_of(message) is None and is_to_be_answered(message):
        return "id must be a string or an integer"
    return "" if "method" in message or not is_to_be_answered(message) else "method is missing"


def is_to_be_answered(message: Any) -> bool:
    """Whether the client seems to expect a response."""
    if not isinstance(message, dict):
        return True
    return "id" in message and not ("method" not in message and ("result" in message or "error" in message))


def id_of(message: Any) -> str | int | None:
    """Return the message's id; None if it has no valid one."""
    found = message.get("id") if isinstance(message, dict) else None
    return found if isinstance(found, str | int) and not isinstance(found, bool) else None


class ResyncInput:
    """An input stream for pygls that resynchronizes after a wrong Content-Length.

    The rest of a message then precedes the next header on the same line. Header names may be in any case, and a
    length above MAX_BYTES is skipped. Invalid UTF-8 is replaced: Neovim sends the text of binary files as it is.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readline(self) -> bytes:
        """Read a line; if it ends with a header, return only that."""
        line = self._stream.readline()
        if (found := HEADER.search(line)) is None:
            return line
        n_bytes = int(found[1][:20])  # int refuses thousands of digits
        if n_bytes > MAX_BYTES:
            log.warning("skipped: Content-Length of at least %d bytes", n_bytes)
            return b"\n"
        return b"Content-Length: %d\r\n" % n_bytes

    def read(self, n_bytes: int) -> bytes:
        """Read `n_bytes` bytes, fewer only at the end of the stream; each that is not UTF-8 becomes `?`, one unit."""
        data = self._stream.read(n_bytes)
        try:
            data.decode(errors="surrogatepass")
        except UnicodeDecodeError:
            return NOT_UTF8.sub("?", data.decode(errors="surrogateescape")).encode()
        return data


class TolerantOutput:
    """An output stream for pygls that ignores a broken pipe: the end of input reports that the client has exited.

    On Windows, that is not a BrokenPipeError, but an OSError with errno EINVAL.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> None:
        """Write `data`, if there is a reader."""
        with contextlib.suppress(OSError):
            self._stream.write(data)

    def flush(self) -> None:
        """Flush, if there is a reader."""
        with contextlib.suppress(OSError):
            self._stream.flush()

    def close(self) -> None:
        """Close."""
        with contextlib.suppress(OSError):
            self._stream.close()
