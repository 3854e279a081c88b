"""The engine's thread, first with a stand-in for the Engine that counts, then with a real one."""

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import suggest

from tinycopilot.completion.engine import Engine, Request, Result, Silence, Why
from tinycopilot.completion.truncation import CompleterSettings, Suggestion
from tinycopilot.places import ModelPaths
from tinycopilot.play import engine
from tinycopilot.play.engine import Answer, EngineThread, State, Surroundings, loader
from tinycopilot.play.ghost import Question


class Endless:
    """Computes until it is cancelled, unless asked for "quick"; counts what was cancelled."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.asked: list[str] = []
        self.n_cancelled = 0

    def complete(self, request: Request, cancelled: Callable[[], bool]) -> Result:
        if request.why is Why.AHEAD:
            return Result(silence=Silence.UNSURE)
        self.asked.append(request.before)
        self.begun.set()
        while request.before != "quick":
            if cancelled():
                self.n_cancelled += 1
                return Result(silence=Silence.CANCELLED)
        others = [Suggestion(f"other {i}", 0.1) for i in range(2)] if request.why is Why.INVOKED else []
        return Result((Suggestion(f"{request.after}{request.document}", 1.0), *others))


class Listener(queue.Queue[Answer | State]):
    """Hears what an engine tells, and asks it."""

    def start(self, load: Callable[[], Any], surroundings: Surroundings) -> EngineThread:
        self.engine = EngineThread(load, surroundings)
        self.engine.start(self.put)
        return self.engine

    def until(self, message: str) -> None:
        while True:
            news = self.get(timeout=60)
            if isinstance(news, State) and news.message == message:
                return

    def answer(self) -> Answer:
        while not isinstance(news := self.get(timeout=60), Answer):
            assert not news.has_failed, news.message
        return news


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.engine.close()
    assert not any(thread.name == "completer" for thread in threading.enumerate())


def test_the_newest_question_is_answered_and_the_older_one_given_up(listener: Listener) -> None:
    endless = Endless()
    asked = listener.start(lambda: endless, Surroundings("a.py"))
    asked.ask(Question("endless", ""))
    assert endless.begun.wait(60)
    newest = Question("quick", "x")
    asked.ask(newest)
    answer = listener.answer()
    assert answer.question is newest
    assert answer.suggestion == Suggestion("xa.py", 1.0)
    assert answer.took_ms >= 0
    assert endless.n_cancelled == 1
    assert listener.empty()


def test_others_are_found_for_who_wants_them_alone(listener: Listener) -> None:
    asked = listener.start(Endless, Surroundings())
    asked.ask(Question("quick", "x"))
    assert listener.answer().others == ()
    asked.ask(Question("quick", "x", wants_others=True))
    assert [other.text for other in listener.answer().others] == ["other 0", "other 1"]


def test_what_is_asked_while_the_model_is_loaded_is_answered_then_and_only_the_newest(listener: Listener) -> None:
    endless, may_load = Endless(), threading.Event()

    def load() -> Endless:
        assert may_load.wait(60)
        return endless

    asked = listener.start(load, Surroundings())
    listener.until("loading the model ...")
    for word in ("one", "two", "quick"):
        asked.ask(Question(word, ""))
    may_load.set()
    listener.answer()
    assert endless.asked == ["quick"]


def test_a_question_that_is_taken_back_is_given_up(listener: Listener) -> None:
    endless = Endless()
    asked = listener.start(lambda: endless, Surroundings())
    asked.ask(Question("endless", ""))
    assert endless.begun.wait(60)
    asked.ask(None)
    asked.ask(Question("quick", ""))
    assert listener.answer().question.before == "quick"
    assert endless.n_cancelled == 1


def test_closing_gives_up_what_is_computed(listener: Listener) -> None:
    endless = Endless()
    asked = listener.start(lambda: endless, Surroundings())
    asked.ask(Question("endless", ""))
    assert endless.begun.wait(60)
    asked.close()
    assert endless.n_cancelled == 1


def test_whatever_goes_wrong_is_told(listener: Listener) -> None:
    def load() -> None:
        raise ValueError("no good")

    listener.start(load, Surroundings())
    assert listener.get(timeout=60) == State("loading the model ...")
    assert listener.get(timeout=60) == State("no good", has_failed=True)


def test_a_real_model_suggests(listener: Listener, pair: ModelPaths) -> None:
    settings = CompleterSettings(eagerness=1, min_confidence=0, max_chars=9)
    asked = listener.start(loader(pair, settings), Surroundings())
    asked.ask(Question("x = [", "]\n"))
    expected = suggest(loader(pair, settings)(), "x = [", "]\n")
    assert listener.answer().suggestion == expected


def folder_with(path: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (path / f"{name}.py").write_text(text)
    return path


@pytest.mark.parametrize("first_chars", [1, 1_000_000])
def test_the_other_files_of_a_workspace_are_known_and_not_the_one_that_is_edited(
    first_chars: int, pair: ModelPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "FIRST_CHARS", first_chars)
    folder = folder_with(tmp_path, one="x = 1\n", two="y = 2\n", edited="z = 3\n")
    (folder / ".env").write_text("KEY = 4\n")
    loaded = loader(pair, CompleterSettings())()
    for _ in Surroundings("edited.py", folder).hold(loaded):
        pass
    held = [name for name in ("one.py", "two.py", "edited.py", ".env") if name in loaded.ngrams]
    assert held == ["one.py", "two.py"]
    for _ in Surroundings("edited.py", tmp_path / "nothing").hold(loaded):
        pass
    assert "one.py" in loaded.ngrams


def test_what_is_done_elsewhere_is_waited_for_even_where_nobody_asks_on() -> None:
    may_end, done = threading.Event(), []

    def work() -> None:
        assert may_end.wait(60)
        done.append("work")

    steps = engine._elsewhere(work)
    next(steps)
    assert done == []
    threading.Timer(0.05, may_end.set).start()
    steps.close()  # type: ignore[attr-defined]
    assert done == ["work"]


def test_questions_are_answered_while_the_workspace_is_read(
    listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_answered = threading.Event()

    def hold(_surroundings: Surroundings, _engine: Engine) -> Iterator[None]:
        while not is_answered.is_set():
            yield

    monkeypatch.setattr(Surroundings, "hold", hold)
    asked = listener.start(Endless, Surroundings("a.py", tmp_path))
    listener.until("reading the workspace ...")
    asked.ask(Question("quick", ""))
    listener.answer()
    is_answered.set()
    listener.until("ready")
