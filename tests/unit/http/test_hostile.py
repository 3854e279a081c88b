"""A thousand generated requests that are wrong in one or more ways are refused before the engine sees them."""

import json
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any, Never

import pytest
from asgi import GOOD, TOKEN, ask

from tinycopilot.http.app import app
from tinycopilot.http.completer import Completion
from tinycopilot.http.parameters import MAX_BODY_BYTES

N_REQUESTS = 1_000
BODY = {"model": "tinycopilot", "prompt": "import o"}


class NeverAsked:
    """Stands in for the completer, which a refused request must not reach."""

    async def complete(self, parameters: object) -> Never:
        raise AssertionError(parameters)


class Answers:
    async def complete(self, _parameters: object) -> Completion:
        return Completion("s")


@dataclass(frozen=True)
class Attempt:
    """A valid request, to be changed."""

    path: str = "/v1/completions"
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=lambda: dict(GOOD))
    twice: tuple[str, str] | None = None
    """An additional header."""
    body: bytes = field(default_factory=lambda: json.dumps(BODY).encode())

    def with_header(self, name: str, value: str | None) -> "Attempt":
        headers = {**self.headers, name: value or ""}
        if value is None:
            del headers[name]
        return replace(self, headers=headers)

    def with_fields(self, **fields: Any) -> "Attempt":
        return replace(self, body=json.dumps({**BODY, **fields}).encode())


HOSTS = (
    *("evil.example", "evil.example:8012", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.2", "0.0.0.0"),
    *("127.0.0.1@evil.example", "evil.example#127.0.0.1", "localhost:8012:1", "localhost:", "127.0.0.1:123456", ""),
    *(
        "[::1]:8012",
        "2130706433",
        "0x7f000001",
        "127.1",
        "localhost ",
        "local\thost",
        "LOCALHOST.",
        "\xb9\xb2\xb7.0.0.1",
    ),
    *("127.0.0.1\n", "127.0.0.1,evil.example", "192.168.0.1", "10.0.0.1:8012", "my-laptop.local", "example.com"),
)
ORIGINS = (
    *("https://evil.example", "http://evil.example:8012", "null", "file://", "http://localhost.evil.example", "*"),
    *("http://127.0.0.1.evil.example", "http://127.0.0.1@evil.example", "chrome-extension://abcdef", "http://[::2]"),
    *("vscode-webview://abc", "http://localhost:1 http://evil.example", "http://localhost/", "javascript:0", ""),
    *("ftp://localhost", "//localhost", "http://localhost\n", "http://LOCALHOST.evil.example", "data:text/html,x"),
)
AUTHORIZATIONS = (
    *(
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer null",
    ),
    *(f"Bearer {TOKEN} {TOKEN}", f"Bearer {TOKEN.upper()}", f"Bearer\t{TOKEN}", f"Bearer: {TOKEN}", "Bearer \xe9\xe8"),
    *(f"Bearer {TOKEN}\n", f"Token {TOKEN}", "Bearer " + "t" * 10_000, f"Bearer {TOKEN},", f"bearer={TOKEN}"),
)
TYPES = (None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx", "*/*")
PATHS = (
    "/",
    "/v1",
    "/v1/chat/completions",
    "/v1/completions/",
    "/V1/completions",
    "/v1/../v1/completions",
    "//",
    "/\xff",
)
NOT_JSON = (
    b"", b"{", b"null", b"[]", b'"text"', b"1", b"\xff\xfe{}", b'{"model": NaN}', b"{'model': 1}", b"{}{}", b"\x00",
    b'{"prompt": "' + b"x" * 50, b'{"a":' * 100_000, b"[" * 100_000, b'{"n": ' + b"9" * 5_000 + b"}",
    b'{"temperature": -Infinity}', b'\xef\xbb\xbf{"model": "tinycopilot"}', json.dumps(BODY).encode("utf-16"),
    b'{"prompt": "\xff"}', b'{"prompt": "a\nb"}',
)  # fmt: skip
WRONG = (1, -1, 0.5, True, False, [], {}, "", "1", [1], [[]], {"a": 1}, 10**30, -(10**30), "\ud800", ["a", "b"])
ALLOWED: dict[str, Callable[[Any], bool]] = {
    "model": lambda _: False,
    "prompt": lambda value: value in ("", "1"),
    "suffix": lambda value: value in ("", "1"),
    "max_tokens": lambda value: value == 1 and type(value) is int,
    "n": lambda value: value == 1 and type(value) is int,
    "best_of": lambda value: value == 1 and type(value) is int,
    "logprobs": lambda value: value == 1 and type(value) is int,
    "temperature": lambda value: value in (1, 0.5) and not isinstance(value, bool),
    "top_p": lambda value: value in (1, 0.5) and not isinstance(value, bool),
    "seed": lambda value: value in (1, -1) and type(value) is int,
    "presence_penalty": lambda _: False,
    "frequency_penalty": lambda _: False,
    "logit_bias": lambda value: value == {},
    "stream": lambda value: isinstance(value, bool),
    "echo": lambda value: isinstance(value, bool),
    "stop": lambda value: value in ("1", []) or value == ["a", "b"],
    "document": lambda value: value == "",
}
"""Which of WRONG are right for a field."""
PAIRS = [(name, value) for name, allows in ALLOWED.items() for value in WRONG if not allows(value)]
LETTERS = "abcdefghijklmnopqrsuvwxyz0123456789-_"  # all of a token but t
METHODS = ("GET", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE")
HUGE = ("max_tokens", "n", "logprobs", "temperature", "top_p", "seed")

Change = Callable[[random.Random, Attempt], Attempt]


def random_token(dice: random.Random) -> str:
    return "".join(dice.choices(LETTERS, k=len(TOKEN)))


def number_in_place(dice: random.Random, number: str) -> bytes:
    return f'{json.dumps(BODY)[:-1]}, "{dice.choice(HUGE)}": {number}}}'.encode()


def without_a_field(dice: random.Random) -> bytes:
    missing = dice.choice(list(BODY))
    return json.dumps({name: value for name, value in BODY.items() if name != missing}).encode()


CHANGES: dict[str, Change] = {
    "host": lambda dice, one: one.with_header("host", dice.choice((None, *HOSTS))),
    "second host": lambda dice, one: replace(one, twice=("host", dice.choice(("127.0.0.1", *HOSTS)))),
    "origin": lambda dice, one: one.with_header("origin", dice.choice(ORIGINS)),
    "token": lambda dice, one: one.with_header("authorization", dice.choice(AUTHORIZATIONS)),
    "random token": lambda dice, one: one.with_header(
        "authorization", "Bearer " + "".join(dice.choices(LETTERS, k=43))
    ),
    "second token": lambda dice, one: replace(one, twice=("authorization", dice.choice((f"Bearer {TOKEN}", "x")))),
    "content type": lambda dice, one: one.with_header("content-type", dice.choice(TYPES)),
    "encoding": lambda dice, one: one.with_header("content-encoding", dice.choice(("gzip", "br", "deflate", "x"))),
    "length": lambda dice, one: one.with_header("content-length", str(dice.randrange(MAX_BODY_BYTES + 1, 10**30))),
    "large body": lambda dice, one: replace(one, body=b" " * (MAX_BODY_BYTES + dice.randrange(1, 99)) + b"{}"),
    "path": lambda dice, one: replace(one, path=dice.choice(PATHS)),
    "method": lambda dice, one: replace(one, method=dice.choice(METHODS)),
    "malformed": lambda dice, one: replace(one, body=dice.choice(NOT_JSON)),
    "garbage": lambda dice, one: replace(one, body=dice.randbytes(dice.randrange(200))),
    "wrong value": lambda dice, one: one.with_fields(**dict([dice.choice(PAIRS)])),
    "huge": lambda dice, one: replace(
        one, body=number_in_place(dice, dice.choice("-1") + "9" * dice.randrange(20, 400))
    ),
    "infinite": lambda dice, one: replace(one, body=number_in_place(dice, dice.choice(("1e999", "-1e999")))),
    "missing": lambda dice, one: replace(one, body=without_a_field(dice)),
    "model": lambda dice, one: one.with_fields(model=dice.choice(("gpt-4", "tinycopilot2", "a" * 9_999))),
    "stops": lambda dice, one: one.with_fields(stop=["x"] * dice.randrange(33, 999)),
    "usage": lambda dice, one: one.with_fields(stream=True, stream_options=dice.choice((1, [], {"include_usage": 1}))),
    "echo": lambda dice, one: one.with_fields(echo=True, logprobs=dice.randrange(6)),
    "document": lambda dice, one: one.with_fields(document=dice.choice(("a.py", "../a.py", "/a\0.py", "~/a.py"))),
}
WANTED: dict[str, Collection[int]] = {
    **dict.fromkeys(("host", "second host", "origin"), (403,)),
    **dict.fromkeys(("token", "random token", "second token"), (401,)),
    **dict.fromkeys(("content type", "encoding"), (415,)),
    **dict.fromkeys(("length", "large body"), (413,)),
    **dict.fromkeys(("path", "model"), (404,)),
    "method": (405,),
    "wrong value": (400, 404),
}
"""Statuses other than 400."""


async def status_of(attempt: Attempt) -> int:
    headers = [*attempt.headers.items(), *([attempt.twice] if attempt.twice else [])]
    answer = await ask(app(NeverAsked(), TOKEN), attempt.path, attempt.body, method=attempt.method, headers=headers)  # type: ignore[arg-type]
    assert answer.error["message"]
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert TOKEN.encode() not in answer.body
    return answer.status


async def test_a_thousand_hostile_requests_are_refused() -> None:
    dice, statuses = random.Random(0), set[int]()
    for number in range(N_REQUESTS):
        name = list(CHANGES)[number % len(CHANGES)]
        status = await status_of(CHANGES[name](dice, Attempt()))
        assert status in WANTED.get(name, (400,)), name
        statuses.add(status)
    assert statuses == {400, 401, 403, 404, 405, 413, 415}


async def test_several_things_wrong_at_once_are_refused() -> None:
    dice = random.Random(1)
    for _ in range(200):
        attempt = Attempt()
        for name in dice.sample(list(CHANGES), 3):
            attempt = CHANGES[name](dice, attempt)
        assert 400 <= await status_of(attempt) < 500


@pytest.mark.parametrize(("name", "values"), [("host", HOSTS), ("origin", ORIGINS), ("authorization", AUTHORIZATIONS)])
async def test_each_bad_header_is_refused(name: str, values: tuple[str | None, ...]) -> None:
    for value in values:
        assert await status_of(Attempt().with_header(name, value)) in (401, 403), value


async def test_each_wrong_value_is_refused() -> None:
    for name, value in PAIRS:
        assert await status_of(Attempt().with_fields(**{name: value})) in (400, 404), (name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", "127.0.0.1:8012"), ("host", "localhost"), ("host", "LocalHost:1"), ("origin", "http://localhost:3000"),
        ("origin", "https://127.0.0.1"), ("origin", "http://[::1]:80"), ("authorization", f"bearer  {TOKEN}"),
        ("content-type", "application/json; charset=utf-8"), ("content-type", "Application/JSON"),
    ],
)  # fmt: skip
async def test_good_headers_are_accepted(name: str, value: str) -> None:
    """Unchanged requests succeed; otherwise, the tests above could pass by refusing everything."""
    attempt = Attempt().with_header(name, value)
    answer = await ask(app(Answers(), TOKEN), body=attempt.body, headers=attempt.headers.items())  # type: ignore[arg-type]
    assert answer.json["choices"][0]["text"] == "s"


async def test_allowed_values_are_accepted() -> None:
    for name, allows in ALLOWED.items():
        for value in filter(allows, WRONG):
            answer = await ask(app(Answers(), TOKEN), body=Attempt().with_fields(**{name: value}).body)  # type: ignore[arg-type]
            assert answer.status == 200, (name, value)


async def test_invalid_content_length_is_ignored() -> None:
    for length in ("\xb2", "-1", "1e9", "", "+5", "1_0"):
        headers = [*GOOD, ("content-length", length)]
        answer = await ask(app(Answers(), TOKEN), body=BODY, headers=headers)  # type: ignore[arg-type]
        assert answer.status == 200, length


async def test_body_at_the_limit_is_accepted() -> None:
    body = json.dumps(BODY).encode().ljust(MAX_BODY_BYTES)
    assert (await ask(app(Answers(), TOKEN), body=body)).status == 200  # type: ignore[arg-type]
