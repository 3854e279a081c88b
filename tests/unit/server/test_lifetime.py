"""The client's process, watched in each way that this system offers."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from tinycopilot_server import lifetime
from tinycopilot_server.lifetime import Wait, polling, waiting_for, watch_client

LIMIT_S = 30.0
WAYS: list[Callable[[int], Wait | None]] = [waiting_for, lambda pid: polling(pid, poll_s=0.01)]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def ended(wait: Wait) -> threading.Thread:
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("way", WAYS)
def test_end_of_a_process_is_detected_even_for_a_zombie(
    way: Callable[[int], Wait | None], process: subprocess.Popen[bytes]
) -> None:
    wait = way(process.pid)
    assert wait is not None
    thread = ended(wait)
    thread.join(0.1)
    assert thread.is_alive()
    process.kill()  # its exit code was not read yet: it is a zombie
    thread.join(LIMIT_S)
    assert not thread.is_alive()
    assert process.returncode is None


@pytest.mark.parametrize("way", WAYS)
def test_invisible_process_is_not_watched(way: Callable[[int], Wait | None]) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert way(process.pid) is None


def test_reused_process_id_is_another_process(
    process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = polling(process.pid, poll_s=0.01)
    assert wait is not None
    monkeypatch.setattr(lifetime, "start_time", lambda _pid: "later")
    thread = ended(wait)
    thread.join(LIMIT_S)
    assert not thread.is_alive()


def test_polling_without_kernel_support(process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pid: int) -> Wait:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(lifetime, "_by_pidfd", refuse)
    monkeypatch.setattr(lifetime, "_by_kqueue", refuse)
    polled = list[int]()
    monkeypatch.setattr(lifetime, "polling", polled.append)
    waiting_for(process.pid)
    assert polled == ([] if sys.platform == "win32" else [process.pid])


def test_on_end_is_called(process: subprocess.Popen[bytes]) -> None:
    told = threading.Event()
    thread = watch_client(process.pid, told.set)
    assert thread is not None
    assert not told.wait(0.1)
    process.kill()
    assert told.wait(LIMIT_S)
    thread.join(LIMIT_S)


@pytest.mark.parametrize("pid", [None, 0, -1, os.getpid(), 2**30], ids=["none", "0", "-1", "own", "2**30"])
def test_invalid_process_ids_are_not_watched(pid: int | None) -> None:
    assert watch_client(pid, lambda: None) is None
