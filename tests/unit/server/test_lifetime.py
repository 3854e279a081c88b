"""The end of the client's process is detected."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from tinycopilot_server import lifetime
from tinycopilot_server.lifetime import Wait, waiting_for, watch_client

LIMIT_S = 30.0


@pytest.fixture(autouse=True)
def short_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifetime, "POLL_S", 0.01)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def ended(wait: Wait) -> threading.Thread:
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_end_of_a_process_is_detected_even_for_a_zombie(process: subprocess.Popen[bytes]) -> None:
    wait = waiting_for(process.pid)
    assert wait is not None
    thread = ended(wait)
    thread.join(0.1)
    assert thread.is_alive()
    process.kill()  # its exit code was not read yet: it is a zombie
    thread.join(LIMIT_S)
    assert not thread.is_alive()
    assert process.returncode is None


def test_invisible_process_is_not_watched() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert waiting_for(process.pid) is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows waits for the process's handle")
def test_reused_process_id_is_another_process(
    process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = waiting_for(process.pid)
    assert wait is not None
    monkeypatch.setattr(lifetime, "start_time", lambda _pid: "later")
    thread = ended(wait)
    thread.join(LIMIT_S)
    assert not thread.is_alive()


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
