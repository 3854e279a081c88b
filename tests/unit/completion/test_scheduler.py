"""The scheduler: which engine it uses, which changes it counts, and which request it answers."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from types import SimpleNamespace
from typing import Any

import pytest

from tinycopilot.completion.request import Request, Result, Silence, Suggestion, Why
from tinycopilot.completion.scheduler import Scheduler


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler()
    yield scheduler
    scheduler.cancel()
    scheduler.close()
    assert scheduler.join(60)


def use(scheduler: Scheduler, engine: Any) -> None:
    scheduler.submit(lambda: scheduler.use(engine)).result()


def test_submitted_function_gets_the_current_engine(scheduler: Scheduler) -> None:
    use(scheduler, "old")
    may_continue = threading.Event()
    scheduler.submit(may_continue.wait)
    scheduler.submit(lambda: scheduler.use("new"))  # type: ignore[arg-type]
    asked = scheduler.ask(lambda engine: (engine, threading.current_thread().name))
    may_continue.set()
    engine, name = asked.result()
    assert engine == "new"
    assert name.startswith("engine")


def test_change_is_counted_at_once_or_when_done(scheduler: Scheduler) -> None:
    use(scheduler, "one")
    seen, first = list[int](), scheduler.generation
    scheduler.change(lambda _: None)
    assert scheduler.generation == first + 1
    assert scheduler.change_and_wait(lambda engine: seen.append(scheduler.generation) or engine) == "one"  # type: ignore[comparison-overlap]
    assert (seen, scheduler.generation) == ([first + 1], first + 2)
    scheduler.ask(lambda _: None).result()
    for has_changed in (False, True):
        scheduler.change_if(lambda _, has_changed=has_changed: has_changed)
    scheduler.submit(lambda: None).result()
    assert scheduler.generation == first + 3


def test_failed_changes_are_logged(scheduler: Scheduler, caplog: pytest.LogCaptureFixture) -> None:
    use(scheduler, "one")
    for change in (scheduler.change, scheduler.change_if):
        change(lambda engine: engine.drop("a.py"))  # type: ignore[attr-defined]
    scheduler.submit(lambda: None).result()
    assert caplog.text.count("AttributeError: 'str' object has no attribute 'drop'") == 2


def test_concurrent_changes_are_all_counted(scheduler: Scheduler) -> None:
    """The event loop, the indexer and the engine's thread all count changes."""
    use(scheduler, "one")
    first, n_each = scheduler.generation, 2_000
    threads = [
        threading.Thread(target=lambda: [scheduler.change(lambda _: None) for _ in range(n_each)]) for _ in range(3)
    ]
    threads.append(threading.Thread(target=lambda: [scheduler.change_and_wait(lambda _: None) for _ in range(n_each)]))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scheduler.generation == first + 4 * n_each


def test_nothing_changes_without_an_engine_or_after_close(scheduler: Scheduler) -> None:
    seen = list[object]()
    scheduler.change(seen.append)
    assert not scheduler.is_ready
    use(scheduler, "one")
    assert scheduler.is_ready
    may_continue, begun, generation = threading.Event(), threading.Event(), scheduler.generation
    under_way = scheduler.submit(lambda: begun.set() or may_continue.wait())
    begun.wait()
    waiting = scheduler.ask(seen.append)
    scheduler.close()
    assert not scheduler.join(0.01)
    may_continue.set()
    scheduler.change(seen.append)
    assert under_way.result()
    with pytest.raises(CancelledError):
        waiting.result()
    with pytest.raises(RuntimeError):
        scheduler.submit(may_continue.wait)
    assert (seen, scheduler.generation, scheduler.is_ready) == ([], generation, False)


class Endless:
    """Computes until it is cancelled, except for the request "quick"."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.asked = list[tuple[str, Why]]()
        self.ngrams = SimpleNamespace()

    def complete(self, request: Request, cancelled: Callable[[], bool]) -> Result:
        self.asked.append((request.before, request.why))
        self.begun.set()
        while not request.before.startswith("quick"):
            if cancelled():
                return Result(silence=Silence.CANCELLED)
        return Result((Suggestion("!", 1.0),))


def test_latest_request_wins(scheduler: Scheduler) -> None:
    engine, answered = Endless(), list[Silence | None]()
    use(scheduler, engine)
    jobs = [scheduler.complete(Request("endless"), lambda _, result, __: answered.append(result.silence))]
    assert engine.begun.wait(60)
    paused = threading.Thread(target=scheduler.pause)
    paused.start()
    paused.join(0.05)
    assert paused.is_alive()
    for before in ("skipped", "quick"):
        then = lambda _, result, __: answered.append(result.silence)  # noqa: E731
        jobs.append(scheduler.complete(Request(before), then))
    assert jobs[-1].result.result().suggestion == Suggestion("!", 1.0)
    scheduler.submit(lambda: None).result()
    assert answered == [Silence.CANCELLED, Silence.CANCELLED, None]
    paused.join()
    scheduler.close()
    with pytest.raises(CancelledError):
        scheduler.pause()
    assert engine.asked == [("endless", Why.TYPED), ("skipped", Why.TYPED), ("quick", Why.TYPED)]
