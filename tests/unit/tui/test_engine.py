"""The engine's thread, first with a stand-in for the Engine that counts, then with a real one."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from engine_requests import suggest

from tinycopilot.completion import indexing
from tinycopilot.completion.engine import Request, Result, Silence, Why
from tinycopilot.completion.indexing import Project
from tinycopilot.completion.ngram import NGramModel
from tinycopilot.completion.request import CompleterSettings, Suggestion
from tinycopilot.completion.scheduler import Scheduler
from tinycopilot.completion.segments import Alphabet
from tinycopilot.paths import ModelPaths
from tinycopilot.tui.engine import EngineWorker, Status, SuggestionResponse, load_engine


class Endless:
    """Computes until it is cancelled, except for the request "quick"; counts cancellations."""

    def __init__(self) -> None:
        self.ngrams = NGramModel(Alphabet("\nx"))
        self.begun = threading.Event()
        self.asked: list[str] = []
        self.n_cancelled = 0

    def complete(self, request: Request, cancelled: Callable[[], bool]) -> Result:
        self.asked.append(request.before)
        self.begun.set()
        while request.before != "quick":
            if cancelled():
                self.n_cancelled += 1
                return Result(silence=Silence.CANCELLED)
        alternatives = [Suggestion(f"other {i}", 0.1) for i in range(2)] if request.why is Why.INVOKED else []
        return Result((Suggestion(f"{request.after}{request.document}", 1.0), *alternatives))


class Listener(queue.Queue[SuggestionResponse | Status]):
    """Receives the engine's events, and sends requests."""

    def start(self, load: Callable[[], Any], project: Project) -> EngineWorker:
        self.engine = EngineWorker(load, project)
        self.engine.start(self.put)
        return self.engine

    def until(self, message: str) -> None:
        while True:
            news = self.get(timeout=60)
            if isinstance(news, Status) and news.message == message:
                return
            assert not (isinstance(news, Status) and news.has_failed), news

    def answer(self) -> SuggestionResponse:
        while not isinstance(news := self.get(timeout=60), SuggestionResponse):
            assert not news.has_failed, news.message
        return news


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.engine.close()
    assert not any(thread.name.startswith(("engine", "indexer")) for thread in threading.enumerate())


def test_newest_request_is_answered_and_the_older_one_cancelled(listener: Listener) -> None:
    endless = Endless()
    asked = listener.start(lambda: endless, Project("a.py"))
    listener.until("ready")  # the indexer's last event
    asked.request_suggestion(Request("endless", ""))
    assert endless.begun.wait(60)
    newest = Request("quick", "x")
    asked.request_suggestion(newest)
    answer = listener.answer()
    assert answer.request is newest
    assert answer.suggestions == (Suggestion("xa.py", 1.0),)
    assert answer.took_ms >= 0
    assert endless.n_cancelled == 1
    assert listener.empty()


def test_alternatives_are_computed_on_request_only(listener: Listener) -> None:
    asked = listener.start(Endless, Project())
    asked.request_suggestion(Request("quick", "x"))
    assert len(listener.answer().suggestions) == 1
    asked.request_suggestion(Request("quick", "x", why=Why.INVOKED))
    assert [other.text for other in listener.answer().suggestions[1:]] == ["other 0", "other 1"]


def test_only_the_newest_request_during_loading_is_answered(listener: Listener) -> None:
    endless, may_load = Endless(), threading.Event()

    def load() -> Endless:
        assert may_load.wait(60)
        return endless

    asked = listener.start(load, Project())
    listener.until("loading the model ...")
    for word in ("one", "two", "quick"):
        asked.request_suggestion(Request(word, ""))
    may_load.set()
    assert listener.answer().request.before == "quick"
    assert endless.asked == ["one", "two", "quick"]  # the engine learns from each keystroke
    assert endless.n_cancelled == 2


def test_closing_cancels_the_computation(listener: Listener) -> None:
    endless = Endless()
    asked = listener.start(lambda: endless, Project())
    asked.request_suggestion(Request("endless", ""))
    assert endless.begun.wait(60)
    asked.close()
    assert endless.n_cancelled == 1


def test_errors_are_reported(listener: Listener) -> None:
    def load() -> None:
        raise ValueError("no good")

    listener.start(load, Project())
    assert listener.get(timeout=60) == Status("loading the model ...")
    assert listener.get(timeout=60) == Status("no good", has_failed=True)


def test_request_while_an_error_stops_the_engine_is_ignored(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, complete = listener.start(Endless, Project()), Scheduler.complete

    def fail_first(scheduler: Scheduler, *arguments: Any) -> Any:
        scheduler.close()
        return complete(scheduler, *arguments)

    listener.until("ready")
    monkeypatch.setattr(Scheduler, "complete", fail_first)
    asked.request_suggestion(Request("quick", ""))
    assert listener.empty()


def test_real_model_answers(listener: Listener, pair: ModelPaths) -> None:
    settings = CompleterSettings(eagerness=1, min_confidence=0, max_chars=9)
    asked = listener.start(partial(load_engine, pair, settings), Project())
    asked.request_suggestion(Request("x = [", "]\n"))
    expected = suggest(load_engine(pair, settings), "x = [", "]\n")
    assert listener.answer().suggestions == ((expected,) if expected else ())


def folder_with(path: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (path / f"{name}.py").write_text(text)
    return path


@pytest.mark.parametrize("first_chars", [1, 1_000_000])
def test_other_workspace_files_are_indexed(
    first_chars: int, pair: ModelPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "FIRST_CHARS", first_chars)
    folder = folder_with(tmp_path, one="x = 1\n", two="y = 2\n", edited="z = 3\n")
    (folder / ".env").write_text("KEY = 4\n")
    loaded = load_engine(pair, CompleterSettings())
    Project("edited.py", folder).index(lambda function: function(loaded.ngrams))
    indexed = [name for name in ("one.py", "two.py", "edited.py", ".env") if name in loaded.ngrams]
    assert indexed == ["one.py", "two.py"]
    Project("edited.py", tmp_path / "nothing").index(lambda function: function(loaded.ngrams))
    assert "one.py" in loaded.ngrams


def test_requests_are_answered_during_indexing(
    listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_answered = threading.Event()

    def read(*_: Any) -> Iterator[tuple[str, str]]:
        assert is_answered.wait(60)
        yield from ()

    monkeypatch.setattr(indexing, "read_written", read)
    asked = listener.start(Endless, Project("a.py", tmp_path))
    listener.until("reading the workspace ...")
    asked.request_suggestion(Request("quick", ""))
    listener.answer()
    is_answered.set()
    listener.until("ready")


def test_indexing_waits_during_a_request(listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless, steps, may_read = Endless(), list[str](), threading.Event()

    def read(*_: Any) -> Iterator[tuple[str, str]]:
        assert may_read.wait(60)
        yield "one.py", "x = 1"
        steps.append("one.py was indexed")

    monkeypatch.setattr(indexing, "read_written", read)
    asked = listener.start(lambda: endless, Project("a.py", tmp_path))
    asked.request_suggestion(Request("endless", ""))
    assert endless.begun.wait(60)
    may_read.set()
    time.sleep(0.3)  # on a slow machine the indexer may not even have started
    assert steps == []
    asked.request_suggestion(Request("quick", ""))
    listener.answer()
    listener.until("ready")
    assert steps == ["one.py was indexed"]
