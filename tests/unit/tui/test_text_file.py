"""A file is saved byte for byte except for the edits; binary and special files are refused."""

import os
import stat
from pathlib import Path

import pytest

from tinycopilot import UserError
from tinycopilot.tui.text_file import TextFile


def edited(path: Path, data: bytes, text: str) -> bytes:
    path.write_bytes(data)
    TextFile(path).save(text)
    return path.read_bytes()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"x\n",
        b"a\r\nb\r\n",
        b"a\rb\r",
        b"\xef\xbb\xbfx\r\n",
        b"a\r\nb\nc\rd",
        b"\n\r\n\r",
        b"a\x0cb\xe2\x80\xa8c\n",
        "\ufeffa\r\n\u0a0a\nc".encode("utf-16-le"),
        "\ufeffa\r\n\u0a0a\nc".encode("utf-16-be"),
    ],
)
def test_saving_an_unchanged_file_keeps_its_bytes(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(data)
    file = TextFile(path)
    file.save(file.text)
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    ("data", "text", "saved"),
    [
        (b"a\r\nb\r\n", "a\nnew\nb\n", b"a\r\nnew\r\nb\r\n"),
        (b"a\r\nb", "a\nb\nc\n", b"a\r\nb\r\nc\r\n"),
        (b"a\rb\r", "a\nc\n", b"a\rc\r"),
        (b"a\r\nb\n", "a\r\nb\nc\n", b"a\r\nb\nc\n"),
        (b"", "a\nb\n", b"a\nb\n"),
        (b"\xef\xbb\xbfx\n", "y\n", b"\xef\xbb\xbfy\n"),
        ("\ufeffx\r\n".encode("utf-16-be"), "\N{SNAKE}\n", "\ufeff\N{SNAKE}\r\n".encode("utf-16-be")),
    ],
)
def test_line_ends_and_encoding_are_kept(data: bytes, text: str, saved: bytes, tmp_path: Path) -> None:
    assert edited(tmp_path / "a.py", data, text) == saved


def test_new_file_exists_once_saved(tmp_path: Path) -> None:
    file = TextFile(tmp_path / "new.py")
    assert file.text == ""
    assert not (tmp_path / "new.py").exists()
    file.save("x = 1\n")
    assert (tmp_path / "new.py").read_bytes() == b"x = 1\n"
    file.save("x = 2\n")  # its own write is not a change by another program
    assert (tmp_path / "new.py").read_bytes() == b"x = 2\n"
    assert [path.name for path in tmp_path.iterdir()] == ["new.py"]


def test_permissions_and_links_are_kept(tmp_path: Path) -> None:
    path, link = tmp_path / "a.py", tmp_path / "link.py"
    path.write_text("x\n")
    path.chmod(0o640)
    link.symlink_to(path)
    TextFile(link).save("y\n")
    assert link.is_symlink()
    assert path.read_text() == "y\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_read_only_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("x\n")
    path.chmod(0o444)
    file = TextFile(path)
    for _ in range(2):
        with pytest.raises(UserError, match="not saved: the file is read-only"):
            file.save("y\n")
    assert path.read_text() == "x\n"
    path.chmod(0o644)
    file.save("y\n")
    assert path.read_text() == "y\n"


def test_file_changed_by_another_program_is_overwritten_only_on_the_second_save(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("x\n")
    file = TextFile(path)
    path.write_text("theirs, longer\n")
    with pytest.raises(UserError, match="another program"):
        file.save("mine\n")
    assert path.read_text() == "theirs, longer\n"
    file.save("mine\n")
    assert path.read_text() == "mine\n"


def test_failed_save_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.py"
    path.write_text("x\n")
    file = TextFile(path)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(UserError, match="No space left"):
        patch.setattr(os, "fsync", full)
        file.save("y\n")
    with pytest.raises(UserError, match="line 2"):
        file.save("y\n\udc80")
    assert path.read_text() == "x\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.py"]
    file.save("y\n")
    assert path.read_text() == "y\n"


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.bin", b"\0\1", "binary file"),
        ("latin1.py", b"caf\xe9", "not UTF-8"),
        (".env", b"KEY=1", "secret file"),
        (".env", None, "secret file"),
        (".ssh/a.py", None, "secret file"),
        ("huge.py", b"x = 1\n" * 200_000, "too large"),
        ("a.min.js", b"x = 1;" * 10_000, "too long for play"),
        ("mixed.py", b"x = 1\r" * 10_000 + b"\n", "too long for play"),
        ("no_folder/a.py", None, "not found"),
        (".", None, "a folder"),
    ],
)
def test_binary_file_is_refused(name: str, data: bytes | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UserError, match=says) as caught:
        TextFile(path)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_endless_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    with pytest.raises(UserError, match="not a regular file"):
        TextFile(tmp_path / "pipe.py")
