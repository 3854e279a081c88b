"""The ASGI application: `POST /v1/completions`, `GET /v1/models`, and llama.cpp's `POST /infill`."""

import asyncio
import json
import secrets
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tinycopilot.completion.request import ScoredCharacter
from tinycopilot.http.completer import Completer, Completion
from tinycopilot.http.guard import Guard
from tinycopilot.http.parameters import MODEL, Parameters, RequestError, of_completion, of_infill, read_object

T = TypeVar("T")
Json = dict[str, Any]


def app(completer: Completer, token: str) -> Guard:
    """Return the application; it answers requests with this token."""
    model = {"id": MODEL, "object": "model", "created": int(time.time()), "owned_by": "tinycopilot"}
    routes = [
        Route("/v1/completions", partial(_complete, completer), methods=["POST"]),
        Route("/infill", partial(_infill, completer), methods=["POST"]),
        Route("/v1/models", JSONResponse({"object": "list", "data": [model]}), methods=["GET"]),
        Route(f"/v1/models/{MODEL}", JSONResponse(model), methods=["GET"]),
    ]
    handlers: Mapping[Any, Any] = {
        HTTPException: _unknown,
        RequestError: _refused,
        ClientDisconnect: _gone,
        Exception: _failed,
    }
    routed = Starlette(routes=routes, exception_handlers=handlers)
    routed.router.redirect_slashes = False  # /v1/completions/ is another path
    return Guard(routed, token)


async def _complete(completer: Completer, request: Request) -> Response:
    parameters = of_completion(await read_object(request))
    completion = await unless_disconnected(request, completer.complete(parameters))
    head = {
        "id": f"cmpl-{secrets.token_hex(12)}", "object": "text_completion", "created": int(time.time()), "model": MODEL,
    }  # fmt: skip
    if not parameters.stream:
        choice, usage = _choice(parameters, completion), _usage(parameters, completion)
        return JSONResponse({**head, "choices": [choice], "usage": usage})
    events = [*_events(head, parameters, completion), "[DONE]"]
    data = "".join(f"data: {event}\n\n" for event in events)
    return Response(data, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


async def _infill(completer: Completer, request: Request) -> Response:
    parameters = of_infill(await read_object(request))
    completion = await unless_disconnected(request, completer.complete(parameters))
    text = _with_line_ends(completion.text, parameters)
    return JSONResponse({"content": text, "model": MODEL, "stop": True, "tokens_predicted": len(completion.text)})


def _choice(parameters: Parameters, completion: Completion) -> Json:
    text = _with_line_ends(completion.text, parameters)
    return {
        "text": parameters.prompt + text if parameters.echo else text,
        "index": 0,
        "logprobs": _logprobs(completion.scored, parameters),
        "finish_reason": completion.finish_reason,
    }


def _events(head: Json, parameters: Parameters, completion: Completion) -> Iterator[str]:
    """Yield the events of a stream, as JSON. A suggestion is decided as a whole, so its text is one event."""
    choice = _choice(parameters, completion)
    usage = {"usage": None} if parameters.has_usage_event else {}
    yield json.dumps({**head, "choices": [{**choice, "finish_reason": None}], **usage})
    yield json.dumps({**head, "choices": [{**choice, "text": "", "logprobs": None}], **usage})
    if parameters.has_usage_event:
        yield json.dumps({**head, "choices": [], "usage": _usage(parameters, completion)})


def _usage(parameters: Parameters, completion: Completion) -> Json:
    n_prompt, n_completion = len(parameters.before) + len(parameters.after), len(completion.text)
    return {"prompt_tokens": n_prompt, "completion_tokens": n_completion, "total_tokens": n_prompt + n_completion}


def _with_line_ends(text: str, parameters: Parameters) -> str:
    has_crlf = "\r\n" in parameters.before or "\r\n" in parameters.after
    return text.replace("\n", "\r\n") if has_crlf else text


def _logprobs(scored: Sequence[ScoredCharacter], parameters: Parameters) -> Json | None:
    """Return OpenAI's `logprobs`, one entry per character; `text_offset` counts from the start of the prompt."""
    if parameters.n_logprobs is None:
        return None
    tokens = [_with_line_ends(one.character, parameters) for one in scored]
    offsets = list(accumulate(map(len, tokens), initial=len(parameters.prompt)))
    likeliest = [{_with_line_ends(c, parameters): log_p for c, log_p in one.likeliest} for one in scored]
    return {
        "tokens": tokens,
        "token_logprobs": [one.log_p for one in scored],
        "top_logprobs": likeliest,
        "text_offset": offsets[:-1],
    }


async def unless_disconnected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of `work`. If the client disconnects first, cancel `work` and raise ClientDisconnect.

    Call this after reading the body.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        working.cancel()
        leaving.cancel()


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _refused(_request: Request, error: RequestError) -> Response:
    return error.response()


async def _unknown(_request: Request, error: HTTPException) -> Response:
    """Respond to an unknown path or method."""
    known = "use POST /v1/completions, POST /infill or GET /v1/models"
    message = f"unknown path; {known}" if error.status_code == 404 else f"the path has no such method; {known}"
    return RequestError(error.status_code, message, code="unknown_url", headers=error.headers).response()


async def _failed(_request: Request, _error: Exception) -> Response:
    """Respond to a bug of ours, which the server logs."""
    return RequestError(500, "internal error; the terminal in which the endpoint runs shows it").response()


async def _gone(_request: Request, _error: ClientDisconnect) -> Response:
    """Respond to a client that has disconnected, with nginx's status for that; nobody reads it."""
    return Response(status_code=499)
