"""Questions, with a stand-in for the Engine that counts: what is cancelled, shared, superseded."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace

import pytest
from tinycopilot_server.completer_thread import CompleterThread
from tinycopilot_server.folders import Folders
from tinycopilot_server.indexing import Indexer
from tinycopilot_server.memory import Memory
from tinycopilot_server.questions import LONG_CHARS, Questions
from tinycopilot_server.settings import Settings

from tinycopilot.completion.engine import Request, Result, Silence, Why
from tinycopilot.completion.truncation import CompleterSettings, Suggestion


class Endless:
    """Computes until it is cancelled, unless asked for "quick"; prepares until `is_prepared` is set; notes the rest."""

    def __init__(self) -> None:
        self.n_calls = 0
        self.n_ahead = 0
        self.ended = 0
        self.begun = threading.Event()
        self.documents = list[str | None]()
        self.told = list[tuple[str, str]]()
        self.held = set[str]()
        self.is_prepared = threading.Event()
        self.ngrams = SimpleNamespace(
            needs_compaction=False,
            max_chars=Settings().max_workspace_chars,
            drop=self._drop,
            limit=lambda max_chars: self.told.append(("limit", str(max_chars))),
        )

    def _drop(self, name: str) -> bool:
        self.told.append(("drop", name))
        return name in self.held

    def configure(self, settings: CompleterSettings) -> None:
        self.told.append(("configure", str(settings.max_lines)))

    def hold(self, document: str, _text: str) -> None:
        self.told.append(("hold", document))

    def prepare(self, document: str, _text: str) -> Callable[[], None]:
        self.is_prepared.wait()
        return lambda: self.told.append(("offer", document))

    def complete(self, request: Request, cancelled: Callable[[], bool]) -> Result:
        if request.why is Why.AHEAD:
            self.n_ahead += not cancelled()
            return Result(silence=Silence.UNSURE)
        if request.selected is not None:
            text = "/".join((str(request.document), request.before, request.after, *request.selected))
            return Result((Suggestion(text, 1.0),))
        if request.why is Why.INVOKED:
            return Result(tuple(Suggestion(text, 0.1) for text in ("this", "other 0", "other 1")))
        return self.suggest(request, cancelled)

    def suggest(self, request: Request, cancelled: Callable[[], bool]) -> Result:
        self.documents.append(request.document)
        self.n_calls += 1
        self.begun.set()
        while request.before != "quick":
            if cancelled():
                self.ended += 1
                return Result(silence=Silence.CANCELLED)
        return Result((Suggestion(request.after, 1.0),))


class Asked(Questions):
    """With all that they need."""

    def __init__(self) -> None:
        self.thread = CompleterThread()
        self.memory = Memory(self.thread, Indexer(self.thread.ask_memory, Folders(), lambda _name: False))
        super().__init__(self.thread, self.memory)

    def close(self) -> None:
        self.cancel()
        self.memory.close()
        self.thread.close()


@pytest.fixture
async def asked() -> AsyncIterator[tuple[Asked, Endless]]:
    asked, endless = Asked(), Endless()
    asked.thread.use(endless)  # type: ignore[arg-type]
    yield asked, endless
    asked.close()


async def begun(endless: Endless) -> None:
    await asyncio.get_running_loop().run_in_executor(None, endless.begun.wait)


async def test_a_newer_question_ends_the_older_one(asked: tuple[Asked, Endless]) -> None:
    questions, endless = asked
    older = asyncio.create_task(questions.suggest(1, "a.py", "endless", ""))
    await begun(endless)
    assert await questions.suggest(2, "a.py", "quick", "x") == Suggestion("x", 1.0)
    assert await older is None  # answered, not dropped
    assert endless.ended == 1


async def test_a_cancelled_request_ends_its_computation(asked: tuple[Asked, Endless]) -> None:
    questions, endless = asked
    task = asyncio.create_task(questions.suggest(1, "a.py", "endless", ""))
    await begun(endless)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await questions.suggest(2, "a.py", "quick", "y") == Suggestion("y", 1.0)  # the thread is free again
    assert endless.ended == 1


async def test_two_requests_for_one_place_share_one_computation(asked: tuple[Asked, Endless]) -> None:
    questions, endless = asked
    answers = await asyncio.gather(*(questions.suggest(1, "a.py", "quick", "z") for _ in range(3)))
    assert answers == [Suggestion("z", 1.0)] * 3
    assert await questions.suggest(1, "a.py", "quick", "z") == Suggestion("z", 1.0)
    assert endless.n_calls == 1


async def test_one_of_two_that_wait_may_go(asked: tuple[Asked, Endless]) -> None:
    questions, endless = asked
    first, second = (asyncio.create_task(questions.suggest(1, "a.py", "endless", "")) for _ in range(2))
    await begun(endless)
    first.cancel()
    await asyncio.sleep(0)
    assert questions._job is not None
    assert not questions._job.cancelled.is_set()  # the second still waits
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert await questions.suggest(2, "a.py", "quick", "") == Suggestion("", 1.0)
    assert endless.ended == 1


async def test_asked_again_after_a_cancel_it_computes_again(asked: tuple[Asked, Endless]) -> None:
    questions, endless = asked
    task = asyncio.create_task(questions.suggest(1, "a.py", "endless", ""))
    await begun(endless)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    endless.begun.clear()
    again = asyncio.create_task(questions.suggest(1, "a.py", "endless", ""))
    await begun(endless)
    assert endless.n_calls == 2
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)


async def test_without_a_model_there_is_no_suggestion() -> None:
    assert await Asked().suggest(1, "a.py", "quick", "x") is None


async def test_the_completer_is_told_which_document_it_is(asked: tuple[Asked, Endless]) -> None:
    questions, endless = asked
    await questions.suggest(1, "b.py", "quick", "")
    await questions.suggest(2, None, "quick", "")
    assert endless.documents == ["b.py", None]


async def test_what_the_memory_was_told_makes_an_answer_old(asked: tuple[Asked, Endless]) -> None:
    questions, endless = asked
    await questions.suggest(1, "a.py", "quick", "z")
    questions.memory.hold("b.py", "text")
    questions.memory.drop("c.py")
    await questions.suggest(1, "a.py", "quick", "z")
    assert endless.n_calls == 2
    assert endless.told == [("hold", "b.py"), ("drop", "c.py")]


async def test_an_answer_is_old_only_if_what_is_kept_out_was_there(asked: tuple[Asked, Endless]) -> None:
    questions, endless = asked
    questions.memory.keep_out("long.txt")
    await questions.suggest(1, None, "quick", "z")
    questions.memory.keep_out("long.txt")
    await questions.suggest(1, None, "quick", "z")
    assert endless.n_calls == 1
    endless.held.add("long.txt")
    questions.memory.keep_out("long.txt")
    await asyncio.get_running_loop().run_in_executor(None, questions.thread.run(lambda: None).result)
    await questions.suggest(1, None, "quick", "z")
    assert endless.n_calls == 2


async def test_a_question_about_a_long_document_waits_until_it_is_prepared(asked: tuple[Asked, Endless]) -> None:
    questions, endless = asked
    questions.prepare("short.py", "x")
    questions.prepare("long.py", "x" * LONG_CHARS)
    waiting = asyncio.create_task(questions.suggest(1, "long.py", "quick", ""))
    assert await questions.suggest(2, "short.py", "quick", "y") == Suggestion("y", 1.0)  # others do not wait
    assert not waiting.done()
    endless.is_prepared.set()
    assert await waiting == Suggestion("", 1.0)
    assert endless.told == [("offer", "long.py")]


async def test_after_closing_nothing_is_computed_or_told(asked: tuple[Asked, Endless]) -> None:
    questions, endless = asked
    for _ in range(2):
        questions.close()
    questions.memory.hold("b.py", "text")
    questions.memory.look(None)
    assert endless.told == []


async def test_others_are_those_of_the_last_question(asked: tuple[Asked, Endless]) -> None:
    questions, _ = asked
    assert await questions.others(1) == []
    await questions.suggest(1, "a.py", "quick", "x")
    assert [other.text for other in await questions.others(1)] == ["other 0", "other 1"]
    await questions.suggest(2, "a.py", "quick", "y")
    assert await questions.others(1) == []
    questions.memory.hold("b.py", "")
    assert await questions.others(2) == []  # something has changed


async def test_work_is_done_ahead_once_for_each_suggestion(asked: tuple[Asked, Endless]) -> None:
    questions, endless = asked
    await questions.suggest(1, "a.py", "quick", "x")
    await questions.suggest(1, "a.py", "quick", "x")
    await questions.others(1)  # after whatever waits in the thread
    assert endless.n_ahead == 1


async def test_no_document_that_was_dropped_meanwhile_is_looked_at_ahead(
    asked: tuple[Asked, Endless], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document that was closed, or has come to hold a secret, while the answer was computed."""
    questions, endless = asked
    suggest = endless.suggest

    def dropped_meanwhile(request: Request, cancelled: Callable[[], bool]) -> Result:
        questions.memory.drop("a.py")
        return suggest(request, cancelled)

    monkeypatch.setattr(endless, "suggest", dropped_meanwhile)
    await questions.suggest(1, "a.py", "quick", "x")
    await asyncio.get_running_loop().run_in_executor(
        None, questions.thread.run(lambda: None).result
    )  # after whatever waits there
    assert endless.told == [("drop", "a.py")]
    assert endless.n_ahead == 0


async def test_settings_hold_from_the_next_question_on(asked: tuple[Asked, Endless]) -> None:
    questions, endless = asked
    await questions.suggest(1, "a.py", "quick", "x")
    questions.memory.configure(Settings(max_lines=7))
    await questions.suggest(1, "a.py", "quick", "x")
    assert endless.told == [("configure", "7"), ("limit", "12000000")]
    assert endless.n_calls == 2  # the first answer was by other settings


async def test_who_wants_nothing_kept_has_nothing_held(asked: tuple[Asked, Endless]) -> None:
    questions, endless = asked
    questions.memory.configure(Settings(max_workspace_chars=0))
    questions.memory.hold("b.py", "")
    questions.memory.configure(Settings())
    questions.memory.hold("c.py", "")
    await questions.suggest(1, "a.py", "quick", "x")
    assert [name for what, name in endless.told if what == "hold"] == ["c.py"]


async def test_it_may_be_asked_as_if_something_else_stood_there(asked: tuple[Asked, Endless]) -> None:
    questions, endless = asked
    assert await questions.suggest(1, "a.py", "b", "a", ("other b", "other a")) == Suggestion(
        "a.py/b/a/other b/other a", 1.0
    )
    assert endless.n_calls == 0
    await questions.others(1)  # after whatever waits in the thread
    assert endless.n_ahead == 0
