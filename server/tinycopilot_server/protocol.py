"""pygls's protocol, but every request is answered, once, whatever it looks like; and a wrong header is survived."""

import contextlib
import logging
import re
from typing import Any, BinaryIO

from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInvalidRequest,
    JsonRpcMethodNotFound,
    JsonRpcParseError,
    JsonRpcServerNotInitialized,
)
from pygls.protocol import LanguageServerProtocol

MAX_BYTES = 2**30
"""No message is longer: a header that says so is a mistake, and to wait for so much would be the end."""
HEADER = re.compile(rb"content-length:[ \t]*(\d{1,20})[ \t]*\r?\n\Z", re.IGNORECASE)

log = logging.getLogger(__name__)


class Protocol(LanguageServerProtocol):
    """What comes over the wire, as far as it is JSON, is looked at here before pygls sees it."""

    def structure_message(self, data: Any) -> Any:
        """As it is: pygls calls this for each object within a message, and one may look like a message itself."""
        return data

    def handle_message(self, message: Any) -> None:
        """Hand on a message, or say what is wrong with it; a response is never answered, nor is a notification."""
        try:
            super().handle_message(self._structured(message))
        except JsonRpcException as error:
            log.info("refused, error %d", error.code)  # its message may quote what was sent
            if is_to_be_answered(message):
                self.refuse(id_of(message), error)
        except Exception:  # a cancellation of something that is no id, and the like
            log.info("a message made no sense", exc_info=True)
        self._forget_what_is_done()

    def _forget_what_is_done(self) -> None:
        """pygls keeps for ever what came of a notification: two kilobytes for each `$/setTrace`."""
        for msg_id in [msg_id for msg_id, future in self._request_futures.items() if future.done()]:
            del self._request_futures[msg_id]

    def _structured(self, message: Any) -> Any:
        """Raises JsonRpcException."""
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
        """Whether a request can be answered now, and ever. Raises JsonRpcException."""
        handler = self.fm.builtin_features.get(method, self.fm.features.get(method))
        is_first, has_begun = handler == self.lsp_initialize, self._workspace is not None
        if self._shutdown:
            raise JsonRpcInvalidRequest("shutting down")
        if not has_begun and not is_first:
            raise JsonRpcServerNotInitialized(f"{method} was asked before the server was initialized")
        if has_begun and is_first:
            raise JsonRpcInvalidRequest(f"{method} was asked before")
        if handler is None:
            raise JsonRpcMethodNotFound.of(method)

    def refuse(self, request_id: str | int | None, error: JsonRpcException) -> None:
        """Answer with an error. (pygls leaves out an id that is null.)"""
        told = {"code": error.code, "message": error.message}
        self._send_data({"jsonrpc": self.VERSION, "id": request_id, "error": told})

    def refuse_unreadable(self, error: Exception) -> None:
        """Something came that is no JSON, or none that can be read: nobody knows whose it was."""
        self.refuse(None, JsonRpcParseError(f"this cannot be read: {error}"))


def why_invalid(message: Any) -> str:
    """Why this is no message of JSON-RPC 2.0; empty if it is one."""
    if not isinstance(message, dict):
        return "a message is one object"
    if message.get("jsonrpc") != "2.0":
        return "a message says jsonrpc: 2.0"
    if not isinstance(message.get("method", ""), str):
        return "a method is a text"
    if "id" in message and id_of(message) is None and is_to_be_answered(message):
        return "an id is a text or a whole number"
    return "" if "method" in message or not is_to_be_answered(message) else "a request has a method"


def is_to_be_answered(message: Any) -> bool:
    """Whether somebody waits for an answer, as far as one can tell."""
    if not isinstance(message, dict):
        return True
    return "id" in message and not ("method" not in message and ("result" in message or "error" in message))


def id_of(message: Any) -> str | int | None:
    """The message's id; None where it has none, or one that cannot be."""
    found = message.get("id") if isinstance(message, dict) else None
    return found if isinstance(found, str | int) and not isinstance(found, bool) else None


class Framed:
    """A stream as pygls reads it, that finds its way back after a wrong Content-Length.

    What is left of a message then stands before the next header, in one line with it. Names in headers are read in
    any case, and a length of more than MAX_BYTES is passed over.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readline(self) -> bytes:
        """One line; of one that ends with a header, the header alone."""
        line = self._stream.readline()
        if (found := HEADER.search(line)) is None:
            return line
        n_bytes = int(found[1])
        if n_bytes > MAX_BYTES:
            log.warning("passed over: a message that is said to have %d bytes", n_bytes)
            return b"\n"
        return b"Content-Length: %d\r\n" % n_bytes

    def read(self, n_bytes: int) -> bytes:
        """So many bytes, fewer only where the stream ends."""
        return self._stream.read(n_bytes)


class Heard:
    """A stream as pygls writes it, to a client that may have gone: no error, and the end of its own stream says so."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> None:
        """All of it, or nothing that anybody would read."""
        with contextlib.suppress(BrokenPipeError):
            self._stream.write(data)

    def flush(self) -> None:
        """The same for what was written before."""
        with contextlib.suppress(BrokenPipeError):
            self._stream.flush()

    def close(self) -> None:
        """The same at the end."""
        with contextlib.suppress(BrokenPipeError):
            self._stream.close()
