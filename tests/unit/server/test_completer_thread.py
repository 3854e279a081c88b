"""The engine's thread: what is done with which engine, and what counts as told."""

import threading
from concurrent.futures import CancelledError

import pytest
from tinycopilot_server.completer_thread import CompleterThread


def having(completer: str) -> CompleterThread:
    thread = CompleterThread()
    thread._engine = completer  # type: ignore[assignment]
    return thread


def test_it_is_the_completer_in_use_by_then() -> None:
    thread, may_go_on = having("old"), threading.Event()
    thread.run(may_go_on.wait)
    thread.run(lambda: thread.use("new"))  # type: ignore[arg-type]
    asked = thread.ask(lambda completer: (completer, threading.current_thread().name))
    may_go_on.set()
    completer, name = asked.result()
    assert completer == "new"
    assert name.startswith("engine")
    thread.close()


def test_what_it_is_told_counts_at_once_and_what_is_waited_for_when_it_is_done() -> None:
    thread, seen = having("one"), list[int]()
    thread.tell(lambda _: None)
    assert thread.n_told == 1
    assert thread.tell_and_wait(lambda completer: seen.append(thread.n_told) or completer) == "one"  # type: ignore[comparison-overlap]
    assert (seen, thread.n_told) == ([1], 2)
    thread.ask(lambda _: None).result()
    assert thread.n_told == 2
    thread.close()


def test_closed_or_without_a_completer_it_is_told_nothing() -> None:
    thread, told = CompleterThread(), list[object]()
    thread.tell(told.append)
    thread._engine = "one"  # type: ignore[assignment]
    assert thread.is_ready
    may_go_on, begun = threading.Event(), threading.Event()
    under_way = thread.run(lambda: begun.set() or may_go_on.wait())
    begun.wait()
    waiting = thread.ask(told.append)
    thread.close()
    may_go_on.set()
    thread.tell(told.append)
    assert under_way.result()
    with pytest.raises(CancelledError):
        waiting.result()
    with pytest.raises(RuntimeError):
        thread.run(may_go_on.wait)
    assert (told, thread.n_told, thread.is_ready) == ([], 0, False)
