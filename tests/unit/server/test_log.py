import logging
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tinycopilot_server import serve

from tinycopilot.paths import log_path


@pytest.fixture(autouse=True)
def loggers_as_they_were() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:]
    yield
    for handler in [h for h in root.handlers if h not in before]:
        root.removeHandler(handler)
        handler.close()


def test_log_rotates_and_is_private(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "MAX_BYTES", 1_000)
    serve.begin_log()
    for i in range(100):
        logging.getLogger("tinycopilot_server.test").info("line %d", i)
    files = sorted(log_path().parent.iterdir())
    assert [path.name for path in files] == ["server.log", "server.log.1", "server.log.2"]
    assert "line 99" in files[0].read_text()
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.stat().st_size <= 1_000


def test_undecodable_file_name_can_be_logged(tmp_path: Path) -> None:
    file = serve.PrivateFile(tmp_path / "log", encoding="utf-8", errors="backslashreplace")
    file.handle(logging.makeLogRecord({"msg": "\ud800"}))  # separately: pytest's reports cannot contain it
    file.close()
    assert (tmp_path / "log").read_text() == "\\ud800\n"


def test_unwritable_log_file_is_skipped() -> None:
    log_path().parent.parent.mkdir(parents=True, exist_ok=True)
    log_path().parent.write_text("a file")
    serve.begin_log()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
@pytest.mark.timeout(10)
def test_pipe_in_place_of_the_log_file_is_skipped() -> None:
    log_path().parent.mkdir(parents=True)
    os.mkfifo(log_path())
    serve.begin_log()
    logging.getLogger("tinycopilot_server.test").warning("line")


def test_lines_are_kept_if_the_file_cannot_be_renamed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on Windows, where another server has the file open."""

    def rename(source: str, target: str) -> None:
        raise PermissionError(f"{source} -> {target}")

    monkeypatch.setattr(serve, "MAX_BYTES", 1_000)
    monkeypatch.setattr(os, "rename", rename)
    serve.begin_log()
    for i in range(100):
        logging.getLogger("tinycopilot_server.test").info("line %d", i)
    assert [line.split()[-1] for line in log_path().read_text().splitlines()] == [str(i) for i in range(100)]
    assert "Logging error" not in capsys.readouterr().err
