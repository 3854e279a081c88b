import os
from pathlib import Path

import pytest

from tinycopilot.files import MAX_BYTES, NotTextError, read_source, source_files


def tree(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_py", ".py").replace("dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in source_files(root)]


def test_python_files_in_order_and_gitignores_on_the_way_down(tmp_path: Path) -> None:
    tree(
        tmp_path,
        a_py="1", readme="no", build__gen_py="1", pkg__b_py="1", pkg__skipped_py="1", pkg__deep__kept_py="1",
        pkg__deep__skipped_py="1", node_modules__x_py="1", dot_git__y_py="1",
    )  # fmt: skip
    (tmp_path / ".gitignore").write_text("build/\nskipped.py\n")
    (tmp_path / "pkg" / "deep" / ".gitignore").write_text("!skipped.py\n")
    assert names(tmp_path) == ["a.py", "pkg/b.py", "pkg/deep/kept.py", "pkg/deep/skipped.py"]


def test_the_repositorys_gitignore_counts_in_its_subfolders(tmp_path: Path) -> None:
    tree(tmp_path, src__local_py="SECRET = 1", src__main_py="1")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("src/local.py\n")
    assert names(tmp_path / "src") == ["main.py"]
    (tmp_path / ".gitignore").write_text("src/\n")
    assert names(tmp_path / "src") == ["local.py", "main.py"]  # who names an ignored folder means it


def test_lines_that_are_no_patterns_and_entries_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("!\n\\\n[z-a]\nskipped.py\n")
    tree(tmp_path, a_py="1", skipped_py="1")
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()
    assert names(tmp_path) == ["a.py"]


def test_secrets_large_files_and_links_are_left_out(tmp_path: Path) -> None:
    tree(tmp_path, credentials_py="KEY = 1", ok_py="1")
    (tmp_path / "big.py").write_text("x" * (MAX_BYTES + 1))
    (tmp_path / "link.py").symlink_to(tmp_path / "ok.py")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert names(tmp_path) == ["ok.py"]


def test_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "f.py"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert read_source(path) == "a\nb\nc\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x7fELF\0\0", "binary"),
        ("caf\xe9\n".encode("latin1"), "not UTF-8 text (byte 3)"),
        ("abc".encode("utf-16"), "binary"),
        (None, "no such file"),
    ],
)
def test_what_is_not_text_gets_one_line(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "f.py"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NotTextError) as caught:
        read_source(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [".env", ".env.local", "id_rsa", "server.pem", "credentials.py"])
def test_secrets_are_not_read_even_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("PASSWORD = 'x'\n")
    with pytest.raises(NotTextError, match="keys or passwords"):
        read_source(tmp_path / name)


def test_a_folder_cannot_be_read_as_a_file(tmp_path: Path) -> None:
    with pytest.raises(NotTextError, match="cannot be read"):
        read_source(tmp_path)
