"""Each invalid port, folder and flag is reported in one clear line."""

import errno
import os
import socket
from pathlib import Path

import pytest

from tinycopilot import UserError, extras
from tinycopilot.cli import main
from tinycopilot.http.completer import Completer
from tinycopilot.http.serve import listening


def test_listens_on_loopback_only() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with listening(port) as listener:
        assert listener.getsockname() == ("127.0.0.1", port)
        assert listener.proto == socket.IPPROTO_TCP  # otherwise asyncio leaves Nagle's algorithm on


def test_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"^port {port} is in use; choose another one, from 1024 to 65535"):
            listening(port)


@pytest.mark.parametrize(
    ("number", "reason"),
    [(errno.EACCES, "needs more permissions"), (errno.ENETDOWN, f"cannot be used ({os.strerror(errno.ENETDOWN)})")],
)
def test_port_without_permission(number: int, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(socket.socket):
        def bind(self, address: object) -> None:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "socket", Refusing)
    with pytest.raises(UserError) as caught:
        listening(80)
    assert str(caught.value) == f"port 80 {reason}; choose another one, from 1024 to 65535, after --http"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--http", "8012", "--language", "klingon"], "--language: unknown language 'klingon'"),
        (["--workspace", "."], "--workspace and --language need --http"),
        (["--language", "rust"], "--workspace and --language need --http"),
        (["--tcp", "8012", "--workspace", "."], "--workspace and --language need --http"),
    ],
)
def test_wrong_flags_are_one_line(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *words]) == 2
    [printed] = capsys.readouterr().err.splitlines()
    assert line in printed


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "99999999999999999999"])
def test_wrong_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", f"--http={port}"])
    assert "must be a port number from 1 to 65535" in capsys.readouterr().err


def test_without_the_extra_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(extras, "HTTP", ("no-such-package-xyz>=1",))
    assert main(["serve", "--http", "8012"]) == 2
    assert '-m pip install "no-such-package-xyz>=1"' in capsys.readouterr().err


def test_folder_of_secrets_is_no_workspace(tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    with pytest.raises(UserError, match="likely to contain secrets"):
        Completer(lambda: pytest.fail("not reached"), tmp_path / ".ssh")


def test_missing_workspace_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert main(["serve", "--http", str(port), "--workspace", str(tmp_path / "missing")]) == 2
    assert "missing: not a folder" in capsys.readouterr().err
