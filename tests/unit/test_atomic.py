import os
import stat
from pathlib import Path

import pytest

from tinycopilot.atomic import ABANDONED_AFTER_S, atomic_write, open_owned


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
