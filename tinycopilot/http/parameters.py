"""Parameters: the fields of a request, with checks of their limits. One character is one token."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tinycopilot.completion.request import CompleterSettings, plain_line_ends
from tinycopilot.http.errors import RequestError
from tinycopilot.http.fim import sides_of

MODEL: Final = "tinycopilot"
"""The id of the only model."""
DEFAULT_MAX_TOKENS: Final = CompleterSettings.max_chars
MAX_TOKENS: Final = 100_000
MAX_LOGPROBS: Final = 5
MAX_STOPS: Final = 32
MAX_STOP_CHARS: Final = 1_000


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


def of_completion(body: Mapping[str, Any]) -> Parameters:
    """Read the body of `POST /v1/completions`. Unknown fields are ignored. Raises RequestError.

    `temperature`, `top_p` and `seed` have no effect: the most likely text is chosen.
    """
    fields = _Fields(body)
    model = fields.text("model")
    if model is None:
        raise fields.wrong("model", f'a string: "{MODEL}"')
    if model != MODEL:
        raise RequestError(404, f"there is only the model {MODEL!r}", param="model", code="model_not_found")
    for name in ("n", "best_of"):
        fields.integer(name, 1, 1)
    fields.number("temperature", 0, 2)
    fields.number("top_p", 0, 1)
    fields.integer("seed", -(2**63), 2**63 - 1)
    for name in ("presence_penalty", "frequency_penalty"):
        fields.number(name, 0, 0)
    if body.get("logit_bias") not in (None, {}):
        raise fields.wrong("logit_bias", "empty: it is not supported")
    prompt, suffix = _prompt(fields), fields.text("suffix")
    sides = sides_of(prompt) if suffix is None else None
    before, after = sides or (prompt, suffix or "")
    n_logprobs, echo = fields.integer("logprobs", 0, MAX_LOGPROBS), fields.truth("echo")
    if echo and n_logprobs is not None:
        raise RequestError(400, "echo and logprobs cannot be combined", param="echo")
    stream = fields.truth("stream")
    return Parameters(
        before, after, fields.integer("max_tokens", 0, MAX_TOKENS, DEFAULT_MAX_TOKENS) or 0, _stop(fields), n_logprobs,
        echo, stream, stream and _has_usage_event(fields), prompt, _document(fields),
    )  # fmt: skip


def of_infill(body: Mapping[str, Any]) -> Parameters:
    """Read the body of `POST /infill`, as llama.cpp's server defines it. Raises RequestError.

    `input_extra`, text of other files, is not used: --workspace names a folder to index.
    """
    fields = _Fields(body)
    before = (fields.text("input_prefix") or "") + (fields.text("prompt") or "")
    n_chars = fields.integer("n_predict", -1, MAX_TOKENS, DEFAULT_MAX_TOKENS)
    if n_chars is None or n_chars < 0:  # -1: no limit
        n_chars = DEFAULT_MAX_TOKENS
    if fields.truth("stream"):
        raise fields.wrong("stream", "false: /infill does not stream")
    after = fields.text("input_suffix") or ""
    return Parameters(before, after, n_chars, _stop(fields), document=_document(fields))


def _prompt(fields: "_Fields") -> str:
    prompt = fields.body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise fields.wrong("prompt", "a string, or a list of one string")
    return fields.unicode("prompt", prompt)


def _stop(fields: "_Fields") -> tuple[str, ...]:
    stop = fields.body.get("stop")
    stops = [] if stop is None else [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or len(stops) > MAX_STOPS:
        raise fields.wrong("stop", f"a string, or a list of at most {MAX_STOPS} strings")
    if not all(isinstance(one, str) and 0 < len(one) <= MAX_STOP_CHARS for one in stops):
        raise fields.wrong("stop", f"strings of 1 to {MAX_STOP_CHARS:,} characters")
    return tuple(plain_line_ends(fields.unicode("stop", one)) for one in stops)


def _has_usage_event(fields: "_Fields") -> bool:
    options = fields.body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        raise fields.wrong("stream_options", "an object")
    return _Fields(options).truth("include_usage")


def _document(fields: "_Fields") -> str:
    document = fields.text("document") or ""
    if document and ("\0" in document or not Path(document).is_absolute()):
        raise fields.wrong("document", "the absolute path of the file")
    return document


class _Fields:
    """The fields of a JSON object; null counts as missing. Its methods raise RequestError for a wrong value."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body

    def wrong(self, name: str, wanted: str) -> RequestError:
        return RequestError(400, f"{name} must be {wanted}", param=name)

    def unicode(self, name: str, text: str) -> str:
        """Return the text. A lone surrogate, which is not a character, is an error."""
        try:
            text.encode()
        except UnicodeEncodeError:
            raise self.wrong(name, "valid Unicode: it has a lone surrogate") from None
        return text

    def text(self, name: str) -> str | None:
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.wrong(name, "a string")
        return self.unicode(name, value)

    def truth(self, name: str) -> bool:
        value = self.body.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return bool(value)

    def integer(self, name: str, low: int, high: int, default: int | None = None) -> int | None:
        value = self.number(name, low, high, int, "an integer")
        return default if value is None else value

    def number(self, name: str, low: float, high: float, kind: Any = int | float, what: str = "a number") -> Any:
        value = self.body.get(name)
        is_number = isinstance(value, kind) and not isinstance(value, bool)
        if value is not None and not (is_number and low <= value <= high):
            raise self.wrong(name, f"{low}" if low == high else f"{what} from {low} to {high}")
        return value
