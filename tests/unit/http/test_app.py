"""Completions over HTTP, in this process, with the bundled model."""

import asyncio
import dataclasses
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asgi import TOKEN, Answer, ask

from tinycopilot.completion.engine import Engine, Request, Why
from tinycopilot.completion.ngram import NGramModel
from tinycopilot.completion.request import CompleterSettings, Result, Silence
from tinycopilot.http import completer as completer_module
from tinycopilot.http.app import app
from tinycopilot.http.completer import Completer, until_stop
from tinycopilot.http.guard import Guard
from tinycopilot.paths import bundled_model

CODE = "def read(path):\n    return path.read_text()\n" * 4


PROMPT = CODE + "def read(path):\n    return pa"
"""Repeats itself, so that any model completes it."""


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load(bundled_model(), CompleterSettings())


@pytest.fixture(scope="module")
def completer(engine: Engine) -> Iterator[Completer]:
    completer = Completer(engine.copy)
    yield completer
    completer.close()


@pytest.fixture(scope="module")
def served(completer: Completer) -> Guard:
    return app(completer, TOKEN)


def body(prompt: str = PROMPT, **fields: Any) -> dict[str, Any]:
    return {"model": "tinycopilot", "prompt": prompt, **fields}


def fresh(engine: Engine, before: str, after: str = "", n: int = 120) -> str:
    """The engine's own suggestion."""
    engine = engine.copy()
    engine.configure(dataclasses.replace(engine.settings, max_chars=n))
    suggestion = engine.complete(Request(before, after, "", Why.REPLAYED)).suggestion
    return suggestion.text if suggestion else ""


async def test_completion_is_the_engines_suggestion(served: Guard, engine: Engine) -> None:
    wanted = fresh(engine, PROMPT, n=7)
    assert wanted
    answer = (await ask(served, body=body(max_tokens=7))).json
    assert (answer["object"], answer["model"], answer["id"][:5]) == ("text_completion", "tinycopilot", "cmpl-")
    assert answer["choices"] == [
        {"text": wanted, "index": 0, "logprobs": None, "finish_reason": "length" if len(wanted) == 7 else "stop"}
    ]
    n = len(PROMPT)
    assert answer["usage"] == {
        "prompt_tokens": n,
        "completion_tokens": len(wanted),
        "total_tokens": n + len(wanted),
    }
    assert (await ask(served, body=body(max_tokens=7))).json["choices"] == answer["choices"]


async def test_suffix_and_infill_and_markers_of_other_models_are_the_same_request(
    served: Guard, engine: Engine
) -> None:
    before, after = PROMPT, ".read_text()\n"
    wanted = fresh(engine, before, after)
    assert wanted
    asked = await ask(served, body=body(before, suffix=after))
    assert asked.json["choices"][0]["text"] == wanted
    for prompt in (
        f"<|fim_prefix|>{before}<|fim_suffix|>{after}<|fim_middle|>",
        f"<fim_prefix>{before}<fim_suffix>{after}<fim_middle>",
        f"<PRE> {before} <SUF>{after} <MID>",
    ):
        answer = (await ask(served, body=body(prompt, stop=["<|endoftext|>", "<fim_prefix>"], temperature=None))).json
        assert answer["choices"][0]["text"] == wanted
        assert answer["usage"]["prompt_tokens"] == len(before + after)
    sides = {"input_prefix": PROMPT[:-4], "prompt": PROMPT[-4:], "input_suffix": after, "input_extra": [{"text": "x"}]}
    infill = await ask(served, "/infill", {**sides, "n_predict": 120, "top_k": 40, "samplers": ["infill"]})
    assert infill.body.startswith(b'{"content":"')  # llama.vim looks for these characters
    assert infill.json["content"] == wanted


async def test_markers_in_the_middle_of_code_are_code(served: Guard, engine: Engine) -> None:
    prompt = f"a = '<fim_suffix>'\n{PROMPT}"
    answer = (await ask(served, body=body(prompt, max_tokens=9))).json
    assert answer["usage"]["prompt_tokens"] == len(prompt)
    assert answer["choices"][0]["text"] == fresh(engine, prompt, n=9)


async def test_stop_and_max_tokens_cut(served: Guard) -> None:
    async def choice(**fields: Any) -> tuple[str, str]:
        [found] = (await ask(served, body=body(**fields))).json["choices"]
        return found["text"], found["finish_reason"]

    whole, _ = await choice(max_tokens=12)
    assert len(whole) > 2
    assert await choice(max_tokens=12, stop=["never there", whole[2]]) == (whole[: whole.index(whole[2])], "stop")
    assert await choice(max_tokens=12, stop=whole[0]) == ("", "stop")
    assert await choice(max_tokens=0) == ("", "length")
    for n in range(1, 12):
        text, reason = await choice(max_tokens=n)
        assert len(text) <= n
        assert reason == ("length" if len(text) == n else "stop")


def test_text_ends_before_the_first_stop() -> None:
    assert until_stop("abcdef", ("ef", "cd")) == "ab"
    assert until_stop("abcdef", ("x",)) == until_stop("abcdef", ()) == "abcdef"


async def test_echo_repeats_the_prompt(served: Guard) -> None:
    plain = (await ask(served, body=body())).json["choices"][0]["text"]
    assert (await ask(served, body=body(echo=True))).json["choices"][0]["text"] == PROMPT + plain


async def test_stream_has_the_same_text(served: Guard) -> None:
    plain = (await ask(served, body=body(logprobs=1))).json
    answer = await ask(served, body=body(logprobs=1, stream=True, stream_options={"include_usage": True}))
    assert answer.headers["content-type"].startswith("text/event-stream")
    text, end, usage = answer.events
    assert text["choices"] == [{**plain["choices"][0], "finish_reason": None}]
    assert (end["choices"][0]["text"], end["choices"][0]["finish_reason"]) == ("", "stop")
    assert (usage["choices"], usage["usage"]) == ([], plain["usage"])
    assert len((await ask(served, body=body(stream=True))).events) == 2


async def test_logprobs_are_those_of_the_engine(served: Guard) -> None:
    choice = (await ask(served, body=body(logprobs=3, max_tokens=8))).json["choices"][0]
    found, text = choice["logprobs"], choice["text"]
    assert "".join(found["tokens"]) == text != ""
    assert found["text_offset"] == list(range(len(PROMPT), len(PROMPT) + len(text)))
    for token, log_p, top in zip(found["tokens"], found["token_logprobs"], found["top_logprobs"], strict=True):
        assert len(top) == 3
        assert top[token] == log_p == max(top.values()) <= 0  # decoding is greedy
        assert sum(map(math.exp, top.values())) <= 1 + 1e-6
    choice = (await ask(served, body=body(logprobs=0, max_tokens=8))).json["choices"][0]
    assert choice["logprobs"]["top_logprobs"] == [{}] * len(text)


async def test_line_ends_are_the_clients(served: Guard) -> None:
    unix = (await ask(served, body=body(PROMPT))).json["choices"][0]["text"]
    windows = (await ask(served, body=body(PROMPT.replace("\n", "\r\n")))).json["choices"][0]["text"]
    assert windows == unix.replace("\n", "\r\n")
    assert "\n" in unix
    stopped = await ask(served, body=body(PROMPT.replace("\n", "\r\n"), stop="\r\n"))
    assert stopped.json["choices"][0]["text"] == unix.partition("\n")[0]


async def test_models(served: Guard) -> None:
    [model] = (await ask(served, "/v1/models", method="GET")).json["data"]
    assert (model["id"], model["object"], model["owned_by"]) == ("tinycopilot", "model", "tinycopilot")
    assert (await ask(served, "/v1/models/tinycopilot", method="GET")).json == model
    assert (await ask(served, "/v1/models/gpt", method="GET")).status == 404


async def test_secret_document_is_not_completed(served: Guard, tmp_path: Path) -> None:
    async def text(name: str) -> str:
        return str((await ask(served, body=body(document=str(tmp_path / name)))).json["choices"][0]["text"])

    assert await text("ordinary.py") != ""
    assert [await text(name) for name in (".env", "id_rsa", ".ssh/config.py")] == ["", "", ""]
    (tmp_path / "ordinary_link.py").symlink_to(tmp_path / ".env")
    assert await text("ordinary_link.py") == ""


async def test_values_behind_a_link_are_not_completed(served: Guard, tmp_path: Path) -> None:
    (tmp_path / "link.py").symlink_to(tmp_path / "passwords.py")
    (tmp_path / "other.py").symlink_to(tmp_path / "places.py")
    values = "".join(f'user_{n} = "a"\n' for n in range(20)) + "user_2"
    answers = [await ask(served, body=body(values, document=str(tmp_path / name))) for name in ("link.py", "other.py")]
    assert [bool(answer.json["choices"][0]["text"]) for answer in answers] == [False, True]


async def test_nothing_is_learned(completer: Completer, served: Guard) -> None:
    engine = completer._scheduler.engine
    assert engine is not None
    before = engine.mixture.as_rows()
    for n in range(len(CODE) - 20, len(CODE)):
        await ask(served, body=body(CODE[:n]))
    assert engine.mixture.as_rows() == before


class Endless:
    """Computes until it is cancelled."""

    def __init__(self, engine: Engine) -> None:
        self.settings, self.ngrams = engine.settings, engine.ngrams
        self.begun, self.ended = threading.Event(), threading.Event()

    def configure(self, _settings: object) -> None:
        pass

    def complete(self, _request: Request, cancelled: Callable[[], bool]) -> Result:
        self.begun.set()
        while not cancelled():
            time.sleep(0.001)
        self.ended.set()
        return Result(silence=Silence.CANCELLED)


async def test_client_that_leaves_cancels_its_request(engine: Engine) -> None:
    endless, disconnect = Endless(engine), asyncio.Event()
    completer = Completer(lambda: endless)  # type: ignore[arg-type, return-value]
    try:
        asking = asyncio.ensure_future(ask(app(completer, TOKEN), body=body(), disconnect=disconnect))
        assert await asyncio.to_thread(endless.begun.wait, 60)
        assert not asking.done()
        disconnect.set()
        assert (await asyncio.wait_for(asking, 60)).status == 499
        assert await asyncio.to_thread(endless.ended.wait, 60)
    finally:
        completer.close()


async def test_too_many_waiting_requests_are_refused_and_all_end_when_their_clients_leave(engine: Engine) -> None:
    endless, disconnect = Endless(engine), asyncio.Event()
    completer = Completer(lambda: endless)  # type: ignore[arg-type, return-value]
    served = app(completer, TOKEN)
    try:
        asked = [
            asyncio.ensure_future(ask(served, body=body(), disconnect=disconnect))
            for _ in range(completer_module.MAX_WAITING)
        ]
        assert await asyncio.to_thread(endless.begun.wait, 60)
        answer = await ask(served, body=body())
        assert (answer.status, answer.error["message"]) == (503, "16 requests are waiting already; try again")
        disconnect.set()
        assert {answer.status for answer in await asyncio.wait_for(asyncio.gather(*asked), 60)} == {499}
    finally:
        completer.close()


def indexed(completer: Completer) -> NGramModel:
    engine = completer._scheduler.engine
    assert engine is not None
    return engine.ngrams


async def test_workspace_below_a_folder_of_secrets_is_completed(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "secrets" / "team" / "project"
    (folder / "package").mkdir(parents=True)
    completer = Completer(engine.copy, folder)
    try:
        texts = [
            (await ask(app(completer, TOKEN), body=body(document=str(path)))).json["choices"][0]["text"]
            for path in (folder / "package" / "a.py", tmp_path / "secrets" / "other" / "a.py")
        ]
        assert [bool(text) for text in texts] == [True, False]
    finally:
        completer.close()


async def test_workspace_is_indexed_without_secrets_and_ignored_files(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("ignored.py\n")
    names = ("a.py", "b.ts", "ignored.py", ".env", "id_rsa", "data.json", "node_modules/c.js")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"name = '{name}'\n{CODE}")
    completer = Completer(engine.copy, tmp_path)
    try:
        completer.workspace.scan()
        assert completer.workspace.n_files == 2
        ngrams, root = indexed(completer), tmp_path.resolve()
        held = {name for name in names if ngrams.text(str(root / name)) is not None}
        assert held == {"a.py", "b.ts"}

        document = str(root / "a.py")
        await ask(app(completer, TOKEN), body=body("unsaved = 1\n", document=document))
        assert ngrams.text(document) == "unsaved = 1\n"  # the client's text counts, not that on disk
        await ask(app(completer, TOKEN), body=body("x = 1\n"))
        completer.workspace._indexer.submit(lambda: None).result(60)
        assert ngrams.text(document) == f"name = 'a.py'\n{CODE}"
    finally:
        completer.close()


async def test_changed_files_are_found_by_later_requests(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinycopilot.http.workspace.RESCAN_S", 0.0)
    completer = Completer(engine.copy, tmp_path)
    try:
        completer.workspace.scan()
        (tmp_path / "new.py").write_text(CODE)
        await ask(app(completer, TOKEN), body=body())
        completer.workspace._indexer.submit(lambda: None).result(60)
        assert indexed(completer).text(str(tmp_path.resolve() / "new.py")) == CODE
    finally:
        completer.close()


async def test_request_as_zed_sends_it(served: Guard, engine: Engine) -> None:
    """As of crates/edit_prediction/src/fim.rs and open_ai_compatible.rs, and with the fields that its answer needs."""
    markers = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
    prompt = markers[0] + PROMPT + markers[1] + "\n" + markers[2]
    sent = {"max_tokens": 120, "stop": ["<|endoftext|>", markers[0], markers[2], markers[1]]}
    answer = (await ask(served, body=body(prompt, **sent))).json
    assert answer["choices"][0]["text"] == fresh(engine, PROMPT, "\n") != ""
    assert {type(answer[name]) for name in ("id", "object", "model")} == {str}
    assert type(answer["created"]) is int
    assert {type(answer["usage"][f"{name}_tokens"]) for name in ("prompt", "completion", "total")} == {int}


async def test_bug_is_reported_in_the_same_shape() -> None:
    class Broken:
        async def complete(self, _parameters: object) -> None:
            raise ValueError("secret detail")

    answer = await failing(app(Broken(), TOKEN))  # type: ignore[arg-type]
    assert (answer.status, answer.error["type"]) == (500, "server_error")
    assert b"secret detail" not in answer.body


async def failing(served: Guard) -> Answer:
    """Return the response; the exception is also raised to the server, which logs it."""

    async def log(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(ValueError, match="secret detail"):
            await served(scope, receive, send)

    return await ask(log, body=body())
