"""Folders that are built to block, exhaust memory or escape: each is read in bounded time, or skipped."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

import tinycopilot
from tinycopilot.atomic import NotRegularError, open_regular
from tinycopilot.files.gitignore import GLOB_EFFORT, MAX_EFFORT
from tinycopilot.files.left_out import MAX_BYTES, MAX_DEPTH, LeftOut, Reason
from tinycopilot.files.reading import NotTextError, read_pieces, read_source, read_written
from tinycopilot.files.walking import source_files

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX file types"),
    pytest.mark.timeout(20),
]


def names(root: Path, left_out: LeftOut | None = None) -> list[str]:
    return [name for name, _ in read_written(source_files(root, left_out=left_out), root, left_out or LeftOut())]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "o.py").write_text("outside = 1\n")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.py").write_text("a = 1\n")
    return tmp_path / "root"


@pytest.mark.parametrize("kind", ["zero", "stdin", "fifo", "link to fifo", "socket", "folder", "circle", "rules"])
def test_gitignore_that_is_not_a_regular_file_is_ignored_as_by_git(root: Path, kind: str) -> None:
    path = root / ".gitignore"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(os.path.relpath(path))
    else:
        os.mkfifo(root / "fifo")
        (root / "rules").write_text("*.py\n")
        targets = {"zero": "/dev/zero", "stdin": "/dev/stdin", "link to fifo": "fifo", "circle": ".gitignore"}
        path.symlink_to(targets.get(kind, "rules"))
    assert names(root) == ["a.py"]
    assert names(root / ".") == ["a.py"]


@pytest.mark.parametrize("text", ["a\n" * (MAX_BYTES // 2 + 1), "a*b*c\n" * (MAX_EFFORT // (GLOB_EFFORT + 5) + 1)])
def test_folder_with_an_unusable_gitignore_is_skipped(root: Path, text: str) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "b.py").write_text("b = 1\n")
    (root / "sub" / ".gitignore").write_text(text)
    left_out = LeftOut()
    assert names(root, left_out) == ["a.py"]
    assert [line for line in left_out.lines() if "sub/.gitignore" in line]
    (root / ".git").mkdir()
    (root / ".gitignore").write_text(text)
    assert names(root / "sub") == []


def test_only_regular_files_are_opened(root: Path) -> None:
    os.mkfifo(root / "fifo.py")
    (root / "zero.py").symlink_to("/dev/zero")
    (root / "circle.py").symlink_to("circle.py")
    (root / "up").symlink_to("..")
    assert names(root) == ["a.py"]
    for path in (root / "fifo.py", Path("/dev/zero"), root / "zero.py"):
        with pytest.raises(NotTextError, match="not a regular file") as caught:
            read_source(path)
        assert caught.value.reason is Reason.UNREADABLE
    for path in (root / "circle.py", root / "fifo.py", root / "zero.py", root):
        with pytest.raises(OSError):
            open_regular(path)


@pytest.mark.parametrize("becomes", ["fifo", "link", "link to a device", "folder", "nothing", "large", "closed"])
def test_file_replaced_before_reading(root: Path, becomes: str) -> None:
    def changed(paths: Iterator[Path]) -> Iterator[Path]:
        for path in paths:
            path.unlink()
            if becomes == "fifo":
                os.mkfifo(path)
            elif becomes.startswith("link"):
                path.symlink_to("/dev/zero" if "device" in becomes else root.parent / "outside" / "o.py")
            elif becomes == "folder":
                path.mkdir()
            elif becomes == "large":
                path.write_text("x = 1\n" * MAX_BYTES)
            elif becomes == "closed":
                path.write_text("x = 1\n")
                path.chmod(0)
            yield path

    left_out = LeftOut()
    found = list(read_written(changed(source_files(root)), root, left_out))
    if becomes != "closed" or os.geteuid() != 0:  # root may read everything
        assert found == []
        assert len(left_out.lines()) == 1


def test_file_replaced_by_a_fifo_before_opening(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_open = os.open

    def open_late(path: str, flags: int) -> int:
        Path(path).unlink()
        os.mkfifo(path)
        return real_open(path, flags)

    monkeypatch.setattr(os, "open", open_late)
    with pytest.raises(NotRegularError):
        open_regular(root / "a.py")


def test_folder_replaced_by_a_link_before_entering(root: Path) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "o.py").write_text("inside = 1\n")

    def swap() -> None:
        (root / "sub").rename(root / "old")
        (root / "sub").symlink_to(root.parent / "outside")

    found = source_files(root)
    assert next(found).name == "a.py"
    swap()
    assert list(found) == []
    (root / "sub").unlink()
    (root / "old").rename(root / "sub")
    paths, left_out = list(source_files(root)), LeftOut()
    swap()
    assert [name for name, _ in read_written(paths, root, left_out)] == ["a.py"]
    assert left_out.lines() == ("left out: 1 file that cannot be read (sub/o.py)",)


def test_entry_of_unknown_kind_hides_no_other_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan, stale = os.scandir, Mock(**{"is_dir.side_effect": OSError})  # such as a stale entry on a network drive
    stale.name = "stale.py"
    monkeypatch.setattr(os, "scandir", lambda place: contextlib.nullcontext([*scan(place), stale]))
    assert names(root) == ["a.py"]


def test_file_that_grows_while_reading(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinycopilot.files.reading.PIECE_CHARS", 100)
    path = root / "a.py"
    n_pieces = 0
    with pytest.raises(NotTextError, match="too large") as caught:
        for _ in read_pieces(path, max_bytes=1_000):
            n_pieces += 1
            with path.open("a") as file:
                file.write("x = 1\n" * 100)
    assert caught.value.reason is Reason.HUGE
    assert n_pieces < 20


def test_sparse_file_of_100_gigabytes(root: Path) -> None:
    for name, head in (("empty.py", b""), ("text.py", b"x = 1\n" * 10_000)):
        with (root / name).open("wb") as file:
            file.write(head)
            try:
                file.truncate(100 * 2**30)
            except OSError:
                pytest.skip("not supported by the file system")
    left_out = LeftOut()
    assert names(root, left_out) == ["a.py"]
    assert left_out.lines() == ("left out: 2 files over 1 MB (empty.py, text.py)",)
    for name in ("empty.py", "text.py"):
        with pytest.raises(NotTextError, match="binary"):
            read_source(root / name)


@pytest.mark.slow
def test_folders_1500_deep(root: Path) -> None:
    """Deeper than the stack, and with paths longer than the system opens (4,096 bytes)."""
    here = os.open(root, os.O_RDONLY)
    for depth in range(1_500):
        os.mkdir("deep", dir_fd=here)
        below = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
        if depth <= MAX_DEPTH:
            os.close(os.open("b.py", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    left_out, since = LeftOut(), time.perf_counter()
    try:
        assert len(names(root, left_out)) == 1 + MAX_DEPTH
        assert time.perf_counter() - since < 10
        assert len(left_out.lines()) == 1
        assert f"over {MAX_DEPTH} levels deep (..." in left_out.lines()[0]
    finally:
        subprocess.run(["rm", "-rf", root / "deep"], check=True)  # pytest cannot


def test_names_of_255_bytes_in_any_encoding(root: Path) -> None:
    expected = {b"a.py"}
    for stem in (b"x" * 252, b"\xff" * 252, b"\xe4\xb8\xad" * 84, b"\n" * 252, b"'\"\\*?[]{}" * 28, b"\x1b" * 252):
        name = os.fsencode(root) + b"/" + stem[:252] + b".py"
        try:
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
        except OSError:
            continue  # the file system requires UTF-8
        expected.add(name.rpartition(b"/")[2])
    (root / ".gitignore").write_bytes(b"\xff*\n")
    left_out = LeftOut()
    found = {os.fsencode(name) for name in names(root, left_out)}
    assert found == {name for name in expected if not name.startswith(b"\xff")}
    left_out.add(Reason.BINARY, os.fsdecode(b"\xff\n.py"))
    assert all(line.encode() and "\n" not in line for line in left_out.lines())


def test_tree_deleted_during_the_walk(root: Path) -> None:
    for i in range(5):
        (root / f"d{i}").mkdir()
        (root / f"d{i}" / "b.py").write_text("b = 1\n")
    left_out = LeftOut()
    found = source_files(root, left_out=left_out)
    assert next(found).name == "a.py"
    for i in range(1, 5):
        (root / f"d{i}" / "b.py").unlink()
        (root / f"d{i}").rmdir()
    assert [path.name for path in found] == ["b.py"]
    assert left_out.lines() == ("left out: 4 files that cannot be read (d1/, d2/, d3/ and 1 more)",)


def test_started_programs_do_not_import_from_the_working_folder() -> None:
    """`python -m` would import a numpy.py of the folder that a command is run in."""
    package = Path(tinycopilot.__file__).parent
    sources = [path.read_text("utf-8") for top in (package, package.parent / "server") for path in top.rglob("*.py")]
    starts = sum(source.count('sys.executable, "-P", "-m"') for source in sources)
    assert starts == sum(
        source.count('sys.executable, "-') - source.count('sys.executable, "-I"') for source in sources
    )
    assert starts
