"""JSON bodies: that of a request, of limited size; that of an error, in the format of OpenAI's API."""

import json
from collections.abc import Mapping
from typing import Any, Never

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

MAX_BODY_BYTES = 1_000_000
_CLOSE = {"Connection": "close"}  # the rest of the body is not read


class RequestError(HTTPException):
    """A request that is refused."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`param`: the JSON field at fault. `code`: OpenAI's name of the error, if it has one."""
        super().__init__(status, message, headers)
        self.param, self.code = param, code

    def response(self) -> JSONResponse:
        """Return the response, in OpenAI's format."""
        kind = "server_error" if self.status_code >= 500 else "invalid_request_error"
        error = {"message": self.detail, "type": kind, "param": self.param, "code": self.code}
        return JSONResponse({"error": error}, self.status_code, self.headers)


async def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body. Raises RequestError, or starlette's ClientDisconnect."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RequestError(415, "the header Content-Type must be application/json", headers=_CLOSE)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestError(415, "compressed bodies are not supported", headers=_CLOSE)
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > MAX_BODY_BYTES:
        raise _too_large()
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
    return parse_object(bytes(body))


def _too_large() -> RequestError:
    return RequestError(413, f"the body has more than {MAX_BODY_BYTES:,} bytes; send less of the text", headers=_CLOSE)


def parse_object(body: bytes) -> dict[str, Any]:
    """Parse a JSON object in UTF-8. Raises RequestError."""
    try:
        found = json.loads(body.decode(), parse_constant=_refuse)
    except RecursionError:
        raise RequestError(400, "the body is nested too deeply") from None
    except ValueError as error:  # not UTF-8, not JSON, or an integer of thousands of digits
        problem = f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else "cannot be read"
        raise RequestError(400, f"the body is not valid JSON ({problem})") from None
    if not isinstance(found, dict):
        raise RequestError(400, "the body must be a JSON object")
    return found


def _refuse(constant: str) -> Never:
    """Reject NaN and Infinity, which are not JSON."""
    raise ValueError(constant)
