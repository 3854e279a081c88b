import os
import stat
from pathlib import Path

import pytest

from tinycopilot import private
from tinycopilot.private import replacing


def test_the_old_file_is_there_until_the_new_one_is(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    with replacing(path) as file:
        file.write(b"old")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"new"
    assert [left.name for left in path.parent.iterdir()] == ["b"]


def test_what_was_left_half_written_is_cleared_up_and_what_others_write_now_is_not(tmp_path: Path) -> None:
    path, old, young = tmp_path / "b", tmp_path / ".b.old", tmp_path / ".b.young"
    old.touch()
    young.touch()
    os.utime(old, (0, 0))
    with replacing(path):
        pass
    assert sorted(left.name for left in tmp_path.iterdir()) == [".b.young", "b"]
    assert private.LEFT_S > 60


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(OSError, match="a"), replacing(tmp_path / "a" / "b"):
        pass
