"""Parameters: read the JSON body of a request, of limited size, and check its fields. One character is one token.

Some clients send a fill-in-the-middle prompt, with the markers of some model, instead of `prompt` and `suffix`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Never

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from tinycopilot.completion.request import CompleterSettings, plain_line_ends

Json = Mapping[str, Any]

MAX_BODY_BYTES: Final = 1_000_000
_CLOSE: Final = {"Connection": "close"}  # the rest of the body is not read
MODEL: Final = "tinycopilot"
"""The id of the only model."""
DEFAULT_MAX_TOKENS: Final = CompleterSettings.max_chars
MAX_TOKENS: Final = 100_000
MAX_LOGPROBS: Final = 5
MAX_STOPS: Final = 32
MAX_STOP_CHARS: Final = 1_000
MARKERS: Final = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen, CodeGemma
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder
    ("<PRE> ", " <SUF>", " <MID>"),  # Code Llama
    ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),  # GLM
    (
        "<\N{FULLWIDTH VERTICAL LINE}fim\N{LOWER ONE EIGHTH BLOCK}begin\N{FULLWIDTH VERTICAL LINE}>",  # DeepSeek
        "<\N{FULLWIDTH VERTICAL LINE}fim\N{LOWER ONE EIGHTH BLOCK}hole\N{FULLWIDTH VERTICAL LINE}>",
        "<\N{FULLWIDTH VERTICAL LINE}fim\N{LOWER ONE EIGHTH BLOCK}end\N{FULLWIDTH VERTICAL LINE}>",
    ),
)
"""Fill-in-the-middle markers: before the prefix, between prefix and suffix, and after the suffix."""


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


@dataclass(frozen=True)
class Parameters:
    """A request for a completion."""

    before: str
    """The text before the cursor."""
    after: str = ""
    max_chars: int = DEFAULT_MAX_TOKENS
    """Maximum length of the completion."""
    stop: tuple[str, ...] = ()
    """The completion ends before the first occurrence of any of these, with \\n for every line end."""
    n_logprobs: int | None = None
    """Number of most probable characters to report at each position; None: report no probabilities."""
    echo: bool = False
    """Whether the response repeats `prompt`."""
    stream: bool = False
    """Whether the response is a sequence of server-sent events."""
    has_usage_event: bool = False
    """With `stream`: whether the last event reports the number of tokens."""
    prompt: str = ""
    """The prompt as sent, for `echo`."""
    document: str = ""
    """Path of the file; "" if it is unknown."""


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


def of_completion(body: Json) -> Parameters:
    """Read the body of `POST /v1/completions`. Raises RequestError.

    Unknown fields are ignored; null is a missing field.
    `temperature`, `top_p` and `seed` have no effect: the most likely text is chosen.
    """
    model = _text(body, "model")
    if model is None:
        raise _wrong("model", f'a string: "{MODEL}"')
    if model != MODEL:
        raise RequestError(404, f"there is only the model {MODEL!r}", param="model", code="model_not_found")
    for name in ("n", "best_of"):
        _integer(body, name, 1, 1)
    _number(body, "temperature", 0, 2)
    _number(body, "top_p", 0, 1)
    _integer(body, "seed", -(2**63), 2**63 - 1)
    for name in ("presence_penalty", "frequency_penalty"):
        _number(body, name, 0, 0)
    if body.get("logit_bias") not in (None, {}):
        raise _wrong("logit_bias", "empty: it is not supported")
    prompt, suffix = _prompt(body), _text(body, "suffix")
    sides = sides_of(prompt) if suffix is None else None
    before, after = sides or (prompt, suffix or "")
    n_logprobs, echo = _integer(body, "logprobs", 0, MAX_LOGPROBS), _truth(body, "echo")
    if echo and n_logprobs is not None:
        raise RequestError(400, "echo and logprobs cannot be combined", param="echo")
    stream, n_chars = _truth(body, "stream"), _integer(body, "max_tokens", 0, MAX_TOKENS)
    return Parameters(
        before, after, DEFAULT_MAX_TOKENS if n_chars is None else n_chars, _stop(body), n_logprobs,
        echo, stream, stream and _has_usage_event(body), prompt, _document(body),
    )  # fmt: skip


def of_infill(body: Json) -> Parameters:
    """Read the body of `POST /infill`, as llama.cpp's server defines it. Raises RequestError.

    `input_extra`, text of other files, is not used: --workspace names a folder to index.
    """
    before = (_text(body, "input_prefix") or "") + (_text(body, "prompt") or "")
    n_chars = _integer(body, "n_predict", -1, MAX_TOKENS)
    if n_chars is None or n_chars < 0:  # -1: no limit
        n_chars = DEFAULT_MAX_TOKENS
    if _truth(body, "stream"):
        raise _wrong("stream", "false: /infill does not stream")
    return Parameters(before, _text(body, "input_suffix") or "", n_chars, _stop(body), document=_document(body))


def sides_of(prompt: str) -> tuple[str, str] | None:
    """Return the text before and after the cursor; None if the prompt is not a fill-in-the-middle prompt."""
    for prefix, suffix, middle in MARKERS:
        if prompt.startswith(prefix) and prompt.endswith(middle) and prompt.count(suffix) == 1:
            before, _, after = prompt[len(prefix) : -len(middle)].partition(suffix)
            return before, after
    return None


def _prompt(body: Json) -> str:
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    return _string("prompt", prompt, "a string, or a list of one string")


def _stop(body: Json) -> tuple[str, ...]:
    stop = body.get("stop")
    stops = [] if stop is None else [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or len(stops) > MAX_STOPS:
        raise _wrong("stop", f"a string, or a list of at most {MAX_STOPS} strings")
    if not all(isinstance(one, str) and 0 < len(one) <= MAX_STOP_CHARS for one in stops):
        raise _wrong("stop", f"strings of 1 to {MAX_STOP_CHARS:,} characters")
    return tuple(plain_line_ends(_string("stop", one)) for one in stops)


def _has_usage_event(body: Json) -> bool:
    options = body.get("stream_options")
    if not isinstance(options, dict | None):
        raise _wrong("stream_options", "an object")
    return _truth(options or {}, "include_usage")


def _document(body: Json) -> str:
    document = _text(body, "document") or ""
    if document and ("\0" in document or not Path(document).is_absolute()):
        raise _wrong("document", "the absolute path of the file")
    return document


def _wrong(name: str, wanted: str) -> RequestError:
    return RequestError(400, f"{name} must be {wanted}", param=name)


def _string(name: str, value: Any, wanted: str = "a string") -> str:
    """Return the value of a field. A lone surrogate, which is not a character, is an error."""
    if not isinstance(value, str):
        raise _wrong(name, wanted)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _wrong(name, "valid Unicode: it has a lone surrogate") from None
    return value


def _text(body: Json, name: str) -> str | None:
    return None if body.get(name) is None else _string(name, body[name])


def _truth(body: Json, name: str) -> bool:
    value = body.get(name)
    if not isinstance(value, bool | None):
        raise _wrong(name, "true or false")
    return bool(value)


def _integer(body: Json, name: str, low: int, high: int) -> int | None:
    value: int | None = _number(body, name, low, high, int, "an integer")
    return value


def _number(body: Json, name: str, low: float, high: float, kind: Any = int | float, what: str = "a number") -> Any:
    value = body.get(name)
    is_number = isinstance(value, kind) and not isinstance(value, bool)
    if value is not None and not (is_number and low <= value <= high):
        raise _wrong(name, f"{low}" if low == high else f"{what} from {low} to {high}")
    return value
