import errno
import os
import stat
from pathlib import Path

import pytest

from tinycopilot.atomic import ABANDONED_AFTER_S, REPLACE_WAITS_S, atomic_write, open_owned, replace_file


def test_old_file_remains_until_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    with atomic_write(path) as file:
        file.write(b"old")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"new"
    assert [left.name for left in path.parent.iterdir()] == ["b"]


def test_mode_of_a_file_that_is_not_private_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    before = os.umask(0o027)
    try:
        with atomic_write(path, is_private=False):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    with atomic_write(path, is_private=False):
        pass
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "missing" / "a", is_private=False):
        pass


def test_stale_temporary_files_are_removed_and_active_ones_kept(tmp_path: Path) -> None:
    names = (".b.old.part", ".b.young.part", ".b.swp")
    for name in names:
        (tmp_path / name).touch()
    for name in (".b.old.part", ".b.swp"):  # the last is another program's
        os.utime(tmp_path / name, (0, 0))
    with atomic_write(tmp_path / "b"):
        pass
    assert sorted(left.name for left in tmp_path.iterdir()) == [".b.swp", ".b.young.part", "b"]
    assert ABANDONED_AFTER_S > 60


def test_uncreatable_folder_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(OSError, match="a"), atomic_write(tmp_path / "a" / "b"):
        pass


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX file owners")
def test_file_of_another_user_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.json"
    path.write_text("{}")
    with open_owned(path) as file:
        assert file.read() == b"{}"
    status, another = path.stat(), 12_345
    os.chown(path, another, -1) if os.geteuid() == 0 else monkeypatch.setattr(os, "geteuid", lambda: status.st_uid + 1)
    with pytest.raises(PermissionError, match="another user"):
        open_owned(path)


def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "index")
    with pytest.raises(OSError, match="not a regular file"):
        open_owned(tmp_path / "index")


def replace_like_windows(monkeypatch: pytest.MonkeyPatch, n_failures: int) -> list[float]:
    """Let the first replacements fail, as on Windows while a virus scanner has the file open; return the waits."""
    left, waits, real = [n_failures], list[float](), os.replace

    def replace(source: str, target: str) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise PermissionError(errno.EACCES, "Access is denied")
        real(source, target)

    monkeypatch.setattr("tinycopilot.atomic.os.name", "nt")
    monkeypatch.setattr("tinycopilot.atomic.time.sleep", waits.append)
    monkeypatch.setattr("os.replace", replace)
    return waits


def test_file_that_another_process_has_open_is_replaced_later_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new").write_text("new")
    with monkeypatch.context() as patch:
        waits = replace_like_windows(patch, 2)
        replace_file(tmp_path / "new", tmp_path / "old")
    assert waits == list(REPLACE_WAITS_S[:2])
    assert (tmp_path / "old").read_text() == "new"
    (tmp_path / "new").write_text("newer")
    with monkeypatch.context() as patch, pytest.raises(PermissionError):
        replace_like_windows(patch, 10)
        replace_file(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_text() == "new"
