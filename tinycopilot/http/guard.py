"""Guard: check `Host`, `Origin` and access token before all else, to refuse other hosts' web pages and other users.

Any web page can make a browser send requests to 127.0.0.1, and any program on the machine can connect to the port.

- `Host` must name this machine: with DNS rebinding, a page's own host name resolves to 127.0.0.1.
- `Origin`, which browsers send and editors do not, must be a page of this machine, if present.
- `Authorization` must carry the token, which is in a private file (mode 0600) that other users and web pages cannot
  read.
"""

import hmac
import os
import re
import secrets
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tinycopilot import UserError
from tinycopilot.atomic import atomic_write, open_owned
from tinycopilot.http.parameters import RequestError
from tinycopilot.paths import http_token_path, require_home

HOST = re.compile(r"(localhost|127\.0\.0\.1)(:\d{1,5})?", re.ASCII | re.IGNORECASE)
ORIGIN = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.ASCII | re.IGNORECASE)
BEARER = re.compile(r"bearer +([!-~]+)", re.ASCII | re.IGNORECASE)
N_BYTES = 32
"""Random bytes in a token."""
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
MAX_FILE_BYTES = 1_000


class Guard:
    """ASGI middleware that passes on only requests with the right headers."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on."""
        try:
            self._check(Headers(scope=scope))
        except RequestError as error:
            await error.response()(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _check(self, headers: Headers) -> None:
        hosts, origins, tokens = map(headers.getlist, ("host", "origin", "authorization"))
        if len(hosts) != 1 or not HOST.fullmatch(hosts[0]):
            raise RequestError(403, "the Host header must be 127.0.0.1 or localhost", code="forbidden_host")
        if len(origins) > 1 or not all(map(ORIGIN.fullmatch, origins)):
            raise RequestError(403, "requests from other hosts' web pages are refused", code="forbidden_origin")
        sent = BEARER.fullmatch(tokens[0]) if len(tokens) == 1 else None
        if sent is None or not hmac.compare_digest(sent[1], self._token):  # in constant time
            raise RequestError(
                401,
                "missing or wrong token; send the header `Authorization: Bearer TOKEN`, with the token from its file",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )


def token() -> tuple[str, Path]:
    """Return the token, and the path to its file, which is created if necessary.

    The token stays the same until the file is deleted, because editors store it in their settings. If other users can
    read or write the file, the token is replaced. Raises UserError if the file cannot be written.
    """
    path = http_token_path()
    require_home(path, what_for="keep the token in")
    if (found := _read(path)) is not None:
        return found, path
    new = secrets.token_urlsafe(N_BYTES)
    try:
        with atomic_write(path) as file:
            file.write(f"{new}\n".encode())
    except OSError as error:
        raise UserError(f"{path}: the token cannot be written: {error.strerror}") from None
    return new, path


def _read(path: Path) -> str | None:
    """Return the token in the file; None if there is none, or if other users can read or write the file."""
    try:
        with open_owned(path) as file:
            is_private = os.name != "posix" or os.fstat(file.fileno()).st_mode & 0o077 == 0
            text = file.read(MAX_FILE_BYTES).decode("ascii", "replace").strip()
    except OSError:
        return None
    return text if is_private and TOKEN.fullmatch(text) else None
