"""Guard: check `Host`, `Origin` and access token, to refuse other hosts' web pages and other users.

It does so before any other processing.

Any web page can make a browser send requests to 127.0.0.1, and any program on the machine can connect to the port.

- `Host` must name this machine: with DNS rebinding, a page's own host name resolves to 127.0.0.1.
- `Origin`, which browsers send and editors do not, must be a page of this machine, if present.
- `Authorization` must carry the token, which other users and web pages cannot read.
"""

import hmac
import re
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from tinycopilot.http.errors import RequestError

HOST = re.compile(rb"(localhost|127\.0\.0\.1)(:\d{1,5})?", re.IGNORECASE)
ORIGIN = re.compile(rb"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)
BEARER = re.compile(rb"bearer +([!-~]+)", re.IGNORECASE)


class Guard:
    """ASGI middleware that passes on only requests with the right headers."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on."""
        try:
            self._check(scope["headers"])
        except RequestError as error:
            await error.response()(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _check(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        values: dict[bytes, list[bytes]] = {b"host": [], b"origin": [], b"authorization": []}
        for name, value in headers:
            values.get(name.lower(), []).append(value)
        hosts, origins, tokens = values.values()
        if len(hosts) != 1 or not HOST.fullmatch(hosts[0]):
            raise RequestError(403, "the Host header must be 127.0.0.1 or localhost", code="forbidden_host")
        if len(origins) > 1 or not all(map(ORIGIN.fullmatch, origins)):
            raise RequestError(403, "requests from other hosts' web pages are refused", code="forbidden_origin")
        if len(tokens) != 1 or not self._is_right(tokens[0]):
            message = (
                "missing or wrong token; send the header `Authorization: Bearer TOKEN`, with the token from its file"
            )
            headers_of_401 = {"WWW-Authenticate": "Bearer"}
            raise RequestError(401, message, code="invalid_api_key", headers=headers_of_401)

    def _is_right(self, authorization: bytes) -> bool:
        """Whether the token is correct, compared in constant time."""
        sent = BEARER.fullmatch(authorization)
        return sent is not None and hmac.compare_digest(sent[1], self._token)
