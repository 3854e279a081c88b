"""The token is random, private and kept; it is replaced if other users could read it."""

import os
import stat
import sys
from pathlib import Path

import pytest

from tinycopilot import UserError
from tinycopilot.http import guard
from tinycopilot.http.guard import TOKEN, token
from tinycopilot.paths import NO_HOME, http_token_path

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")


def test_token_is_created_once_and_private() -> None:
    secret, path = token()
    assert path == http_token_path()
    assert TOKEN.fullmatch(secret)
    assert path.read_text() == f"{secret}\n"
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token() == (secret, path)
    path.unlink()
    assert token()[0] != secret


@posix
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602])
def test_token_that_others_can_read_or_write_is_replaced(mode: int) -> None:
    secret, path = token()
    path.chmod(mode)
    other, _ = token()
    assert other != secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"short\n", b"\xff" * 43, b"a b" * 20, b"x" * 10_000])
def test_damaged_token_is_replaced(content: bytes) -> None:
    _, path = token()
    path.write_bytes(content)
    secret, _ = token()
    assert TOKEN.fullmatch(secret)
    assert path.read_text() == f"{secret}\n"


def test_folder_in_its_place_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(guard, "http_token_path", lambda: tmp_path / "file" / "http-token")
    with pytest.raises(UserError, match=r"http-token: the token cannot be written: [A-Z][ a-z]+$"):
        token()


def test_missing_home_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "http_token_path", lambda: NO_HOME / "http-token")
    with pytest.raises(UserError, match="no home folder to keep the token in; set HOME"):
        token()
