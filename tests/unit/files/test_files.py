import os
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycopilot import UserError
from tinycopilot.files import reading
from tinycopilot.files.gitignore import Patterns
from tinycopilot.files.left_out import MAX_BYTES, LeftOut, Reason
from tinycopilot.files.masking import MASK
from tinycopilot.files.reading import NotTextError, read_pieces, read_source, read_written, why_not_written
from tinycopilot.files.walking import normalize_suffixes, source_files

ROOT = Path(__file__).resolve().parents[3]


def tree(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_py", ".py").replace("dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in source_files(root)]


def test_python_files_in_order_with_nested_gitignores(tmp_path: Path) -> None:
    tree(
        tmp_path,
        a_py="1", readme="no", build__gen_py="1", pkg__b_py="1", pkg__skipped_py="1", pkg__deep__kept_py="1",
        pkg__deep__skipped_py="1", node_modules__x_py="1", dot_git__y_py="1",
    )  # fmt: skip
    (tmp_path / ".gitignore").write_text("build/\nskipped.py\n")
    (tmp_path / "pkg" / "deep" / ".gitignore").write_text("!skipped.py\n")
    assert names(tmp_path) == ["a.py", "pkg/b.py", "pkg/deep/kept.py", "pkg/deep/skipped.py"]


def test_repository_gitignore_applies_in_subfolders(tmp_path: Path) -> None:
    tree(tmp_path, src__local_py="SECRET = 1", src__main_py="1")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("src/local.py\n")
    assert names(tmp_path / "src") == ["main.py"]
    (tmp_path / ".gitignore").write_text("src/\n")
    assert names(tmp_path / "src") == ["local.py", "main.py"]  # an ignored folder is read if it is named


def test_repository_and_global_lists_apply_below_gitignores(tmp_path: Path, temporary_home: Path) -> None:
    tree(tmp_path, **dict.fromkeys(("a_py", "b_py", "c_py", "d_py", "sub__a_py", "sub__b_py"), "1"))
    (tmp_path / ".git" / "info").mkdir(parents=True)
    (tmp_path / ".git" / "info" / "exclude").write_text("b.py\n!c.py\n/d.py\n")
    (temporary_home / ".config" / "git").mkdir(parents=True)
    (temporary_home / ".config" / "git" / "ignore").write_text("a.py\nc.py\n!b.py\n")
    assert names(tmp_path) == ["c.py"]
    (tmp_path / ".gitignore").write_text("!/a.py\nc.py\n")
    assert names(tmp_path) == ["a.py"]
    (tmp_path / ".git").rename(tmp_path / "sub" / ".git")  # a repository below the folder
    (tmp_path / ".gitignore").unlink()
    assert names(tmp_path) == ["a.py", "b.py", "c.py", "d.py"]
    assert names(tmp_path / "sub") == []


@pytest.mark.parametrize(
    ("xdg", "user", "expected"),
    [
        ("", "", "default"),
        ("[core]\n\texcludesFile = ~/one\n", "", "one"),
        (
            "[core]\nexcludesfile=~/two\n",
            '[user]\nexcludesfile = ~/two\n[CORE] excludesfile = "~/one" # mine\r\n',
            "one",
        ),
        ("", '[core "x"]\nexcludesfile = ~/one\n', "default"),
        ("", "[core]\nexcludesfile = ~/a\0b\n", None),
        ("", "[core]\nexcludesfile = one\n", None),
        ("", "[core]\nexcludesfile =\n", None),
    ],
)
def test_global_list_is_found_as_git_does(
    tmp_path: Path,
    temporary_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    xdg: str,
    user: str,
    expected: str | None,
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(temporary_home / "xdg"))
    folder = temporary_home / "xdg" / "git"
    folder.mkdir(parents=True)
    (folder / "config").write_text(xdg)
    (folder / "ignore").write_text("default.py\n")
    (temporary_home / ".gitconfig").write_text(user)
    for name in ("one", "two"):
        (temporary_home / name).write_text(f"{name}.py\n")
    tree(tmp_path, default_py="1", one_py="1", two_py="1")
    (tmp_path / ".git").mkdir()
    assert names(tmp_path) == [f"{name}.py" for name in ("default", "one", "two") if name != expected]


@pytest.mark.parametrize("is_worktree", [True, False])
def test_list_of_a_worktree_or_submodule(tmp_path: Path, is_worktree: bool) -> None:
    git = tmp_path / "main" / ".git" / "kept"
    git.mkdir(parents=True)
    if is_worktree:
        (git / "commondir").write_text("..\n")
    info = (git.parent if is_worktree else git) / "info"
    info.mkdir()
    (info / "exclude").write_text("a.py\n")
    tree(tmp_path, tree__a_py="1", tree__b_py="1")
    (tmp_path / "tree" / ".git").write_text(f"gitdir: {git if is_worktree else '../main/.git/kept'}\n")
    assert names(tmp_path / "tree") == ["b.py"]


def test_invalid_patterns_and_entries_are_skipped(tmp_path: Path) -> None:
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


def lines(root: Path) -> tuple[str, ...]:
    left_out = LeftOut()
    list(source_files(root, left_out=left_out))
    return left_out.lines()


def test_skipped_files_are_reported_except_gitignored(tmp_path: Path) -> None:
    tree(tmp_path, dot_env="KEY=1", pkg__server="1", dot_ssh__config="1", skipped_py="1", ok_py="1")
    tree(tmp_path, vendor__a_py="1", pkg__node_modules__x_py="1", Third_Party__b_py="1", dot_venv__c_py="1")
    tree(tmp_path, env__pyvenv="1", env__lib_py="1")
    (tmp_path / "env" / "pyvenv").rename(tmp_path / "env" / "pyvenv.cfg")
    (tmp_path / "pkg" / "server").rename(tmp_path / "pkg" / "server.PEM")
    (tmp_path / "big.py").write_text("x" * (MAX_BYTES + 1))
    (tmp_path / ".gitignore").write_text("skipped.py\n")
    (tmp_path / "link.key").symlink_to(tmp_path / "ok.py")
    assert names(tmp_path) == ["ok.py"]
    assert lines(tmp_path) == (
        "left out: 3 names that suggest secrets (.env, .ssh/, pkg/server.PEM)",
        "left out: 3 vendored folders (Third_Party, vendor, pkg/node_modules)",
        "left out: 1 file over 1 MB (big.py)",
    )


def test_explicitly_named_vendored_folder_is_read(tmp_path: Path) -> None:
    tree(tmp_path, vendor__a_py="1")
    assert names(tmp_path) == []
    assert names(tmp_path / "vendor") == ["a.py"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_folder_is_reported(tmp_path: Path) -> None:
    tree(tmp_path, closed__a_py="1", b_py="1")
    (tmp_path / "closed").chmod(0)
    try:
        assert names(tmp_path) == ["b.py"]
        assert lines(tmp_path) == ("left out: 1 file that cannot be read (closed/)",)
    finally:
        (tmp_path / "closed").chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows allows no such names")
def test_suffixes_are_printable(tmp_path: Path) -> None:
    (tmp_path / "a.\x1b[2j\n").touch()
    left_out = LeftOut()
    assert list(source_files(tmp_path, left_out=left_out)) == []
    assert left_out.all_lines() == ("left out: 1 file with other extensions (.?[2j? 1); use --ext to read them",)


def test_other_suffixes_are_counted(tmp_path: Path) -> None:
    tree(tmp_path, a_py="1")
    for name in ("a.rs", "b.RS", "c.toml", "Makefile", ".env"):
        (tmp_path / name).write_text("1")
    left_out = LeftOut()
    assert [path.name for path in source_files(tmp_path, (".toml",), left_out)] == ["c.toml"]
    assert left_out.other_suffixes == {".rs": 2, ".py": 1, "": 1}
    assert [path.name for path in source_files(tmp_path, (".rs", ".py"))] == ["a.py", "a.rs", "b.RS"]


def test_many_files_are_counted_and_three_named() -> None:
    left_out, more = LeftOut(), LeftOut()
    for i in range(1_200):
        left_out.add(Reason.DUPLICATE, f"{i}\n\x1b.py")
    more.add(Reason.DUPLICATE, "x.py")
    more.add(Reason.BINARY, "y.py")
    left_out.include(more)
    assert left_out.lines() == (
        "left out: 1 binary file (y.py)",
        "left out: 1,201 duplicates (0??.py, 1??.py, 2??.py and 1,198 more)",
    )


def test_suffix_descriptions() -> None:
    assert normalize_suffixes(["py", ".JS", "c,h", "d.ts", "c++", "py"]) == (".py", ".js", ".c", ".h", ".d.ts", ".c++")
    for word in ("", "a/b", "*", "*.py", ".", "py,", "a b"):
        with pytest.raises(UserError) as caught:
            normalize_suffixes(["py", word])
        assert "\n" not in str(caught.value)
        assert "--ext py" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.py", "# @generated by a tool\nx = 1\n", Reason.GENERATED),
        ("a.go", "// Code generated by protoc-gen-go. DO NOT EDIT.\n", Reason.GENERATED),
        ("a.py", "# Please do not edit:\n# this was generated.\n", Reason.GENERATED),
        ("a.c", "/* Autogenerated from x.y */\n", Reason.GENERATED),
        ("a.c", "\n\n * This file is automatically generated; leave it\n", Reason.GENERATED),
        ("a.py", "# **** THIS IS A GENERATED FILE ****\n", Reason.GENERATED),
        ("a_pb2.py", "x = 1\n", Reason.GENERATED),
        ("jquery.min.js", "x = 1\n", Reason.GENERATED),
        ("a.py", "# The names are automatically generated from those.\n", None),
        ("a.py", '"""Edit the generated file names."""\n', None),
        ("a.py", "x = 1\n" * 300 + "# @generated\n", None),  # not at the start, so not the file's header
        ("a.js", "x = 1;\n" * 200 + "y" * 2_001 + "\n", Reason.LONG_LINES),
        ("a.js", "x = 1;\n" * 200 + "y" * 2_000 + "\n", None),
        ("a.js", ("y" * 210 + "\n") * 10, Reason.LONG_LINES),
        ("a.js", ("y" * 190 + "\n") * 20, None),
        ("a.js", ("y" * 210 + "\n") * 9, None),
        ("a.md", ("y" * 2_100 + "\n\n") * 9, None),
        ("a.py", "", None),
    ],
)
def test_generated_text_is_detected(name: str, text: str, reason: Reason | None) -> None:
    assert why_not_written(name, text) == reason


def test_this_project_is_not_generated() -> None:
    sources = [path for path in source_files(ROOT) if why_not_written(path.name, read_source(path))]
    assert sources == []


def test_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "f.py"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert read_source(path) == "a\nb\nc\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x7fELF\0\0", "binary"),
        ("caf\xe9\n".encode("latin1"), "not UTF-8 text (byte 3)"),
        ("abc".encode("utf-16-le"), "binary"),  # without a byte order mark it is not recognized as text
        ("abc".encode("utf-32"), "binary"),
        (b"\xff\xfea\0\0\0", "binary"),
        (b"\xff\xfe\xfa" * 10, "not UTF-8 text (byte 0)"),  # no such characters
        ("abc".encode("utf-16") + b"d", "damaged UTF-16 (byte 8: truncated data)"),
        (b"\xff\xfea\0\x00\xd8b\0", "damaged UTF-16 (byte 4: illegal UTF-16 surrogate)"),
        (b"\xfe\xff\0a\xd8\0", "damaged UTF-16 (byte 4: unexpected end of data)"),
        (None, "no such file"),
    ],
)
def test_file_that_is_not_text_is_one_line(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "f.py"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NotTextError) as caught:
        read_source(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [".env", ".env.local", "id_rsa", "server.pem", "credentials.py"])
def test_secret_file_is_refused_even_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("PASSWORD = 'x'\n")
    with pytest.raises(NotTextError, match="keys or passwords"):
        read_source(tmp_path / name)


def test_link_to_a_secret_is_a_secret(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PASSWORD = 'x'\n")
    (tmp_path / "settings.py").symlink_to(tmp_path / ".env")
    with pytest.raises(NotTextError, match="keys or passwords"):
        read_source(tmp_path / "settings.py")


KEY_BODY = "".join(f"MIIE{i:04}{'aB3dE6gH' * 7}\n" for i in range(20))


@pytest.mark.parametrize("kind", ["", "RSA ", "OPENSSH ", "ENCRYPTED "])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("piece_chars", [100, 333, reading.PIECE_CHARS])
def test_file_with_a_private_key_is_read_without_the_key(
    tmp_path: Path, kind: str, encoding: str, piece_chars: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PIECE_CHARS", piece_chars)
    path, before, after = tmp_path / "deploy.py", 'x = 1\nKEY = """', '"""\ny = 2\n'
    begin, end = f"-----BEGIN {kind}PRIVATE" + " KEY-----\n", f"-----END {kind}PRIVATE KEY-----\n"
    path.write_text(before + begin + KEY_BODY + end + after, encoding)
    text = read_source(path)
    assert text.startswith(before)
    assert text.endswith(end + after)
    assert "aB3dE6gH" not in text
    path.write_text(path.read_text(encoding).replace("PRIVATE", "PUBLIC"), encoding)
    assert KEY_BODY in read_source(path)


def test_secrets_are_masked_unless_the_file_is_edited(tmp_path: Path) -> None:
    path = tmp_path / "deploy.py"
    path.write_text('a = 1\npassword = "x8Kq2LmZp0Rt"\nb = 2\n')
    assert read_source(path) == f'a = 1\npassword = "{MASK * 12}"\nb = 2\n'
    assert read_source(path, as_it_is=True) == path.read_text()
    left_out = LeftOut()
    assert [name for name, _ in read_written([path], tmp_path, left_out)] == ["deploy.py"]
    assert left_out.lines() == ("left out: 1 secret masked in a file that is otherwise read (deploy.py)",)


def test_a_secret_on_the_first_line_of_a_piece_is_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deploy.py"
    path.write_text('a = 1\npassword = \\\n    "x8Kq2LmZp0Rt"\nb = 2\n')
    for piece_chars in range(13, 40):
        monkeypatch.setattr("tinycopilot.files.reading.PIECE_CHARS", piece_chars)
        assert read_source(path) == f'a = 1\npassword = \\\n    "{MASK * 12}"\nb = 2\n'


@pytest.mark.parametrize("piece_chars", [1, 2, 3, 5, 8, 100])
def test_pieces_are_complete_and_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece_chars: int) -> None:
    monkeypatch.setattr("tinycopilot.files.reading.PIECE_CHARS", piece_chars)
    path = tmp_path / "f.py"
    path.write_bytes("\ufeffa\u00e9\r\nb\N{SNAKE}\rc\n\n d\r\n\r\ne\r".encode())
    assert "".join(read_pieces(path)) == "a\u00e9\nb\N{SNAKE}\nc\n\n d\n\ne\n"
    path.write_text("one\ntwo\nthree\n")
    if piece_chars >= 5:  # longer lines are split
        assert all(piece.endswith("\n") for piece in read_pieces(path))
    path.write_bytes(b"\xef\xbb\xbfone\ntwo\n\xff\n")
    with pytest.raises(NotTextError, match="byte 11"):
        read_source(path)


@given(
    st.text(st.sampled_from("a\u00e9\u0a0a\u0a15\u0d0a\N{SNAKE}\r\n"), max_size=60),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"]),
    st.integers(1, 20),
    st.booleans(),
)
def test_each_encoding_gives_the_same_text_in_whole_lines(
    text: str, encoding: str, piece_chars: int, keep_line_ends: bool
) -> None:
    mark = "\ufeff" if encoding.startswith("utf-16") else ""
    expected = text if keep_line_ends else text.replace("\r\n", "\n").replace("\r", "\n")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("tinycopilot.files.reading.PIECE_CHARS", piece_chars)
        path = Path(folder, "f.py")
        path.write_bytes((mark + text).encode(encoding))
        pieces = list(read_pieces(path, keep_line_ends))
        patch.setattr("tinycopilot.files.reading.PIECE_CHARS", 1_000)
        whole = list(read_pieces(path, keep_line_ends))
    assert "".join(pieces) == "".join(whole) == expected
    assert all(pieces) and len(whole) <= 2


def test_utf16_line_stays_in_one_piece_wherever_the_read_splits(tmp_path: Path) -> None:
    """U+0A0A is encoded as two bytes 10, neither of which is a line end."""
    path = tmp_path / "f.txt"
    line = "\u0a0a" * 40 + "\n"
    for encoding in ("utf-16-le", "utf-16-be"):
        path.write_bytes(("\ufeff" + line * 30).encode(encoding))
        for piece_chars in range(50, 66):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("tinycopilot.files.reading.PIECE_CHARS", piece_chars)
                pieces = list(read_pieces(path))
            assert len(pieces) > 10
            assert all(piece.endswith("\n") for piece in pieces)


def test_folder_is_not_readable_as_a_file(tmp_path: Path) -> None:
    with pytest.raises(NotTextError, match="cannot be read"):
        read_source(tmp_path)


@pytest.mark.parametrize(
    ("lines", "name", "matches"),
    [
        ([], "/home/me/project/a.py", False),
        (["*.md"], "/home/me/project/docs/a.md", True),
        (["docs/"], "/home/me/project/docs/a.md", True),
        (["/docs/*.md"], "/home/me/project/docs/a.md", True),
        (["/docs/*.md"], "/home/me/project/other/docs/a.md", False),
        (["*.md", "!a.md"], "/home/me/project/a.md", False),
        (["/home/me/**"], "/home/me/elsewhere/a.py", True),
        (["elsewhere"], "/home/me/elsewhere/a.py", True),
        (["/home/", "me/", "project/"], "/home/me/project/a.py", False),  # the folders above the workspace
        (["/*", "!/package"], "/home/me/project/package/a.py", False),
        (["/*", "!/package"], "/home/me/project/other/a.py", True),
        (["project2"], "/home/me/project/a.py", False),
        (["*.py"], "untitled:Untitled-1", False),
    ],
)
def test_patterns_follow_gitignore_rules(lines: list[str], name: str, matches: bool) -> None:
    assert Patterns(lines).match(name, ["/home/me/project"]) == matches


def test_case_is_ignored_where_paths_ignore_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: `realpath` returns the case on disk, and the server's names are in lower case."""
    tree(tmp_path, widget_py="1", over__b_py="1")
    (tmp_path / ".gitignore").write_text("OVER/\n")
    real = os.path.realpath
    monkeypatch.setattr("os.path.normcase", lambda path: os.fspath(path).lower())
    monkeypatch.setattr("os.path.realpath", lambda path: real(path).replace("widget.py", "Widget.py"))
    assert [name for name, _ in read_written([tmp_path / "widget.py"], tmp_path, LeftOut())] == ["widget.py"]
    assert names(tmp_path) == ["widget.py"]
    for pattern in ("Private/", "ÜBER/", "*.PY", "[A-Z]?ivate/x*"):
        name = f"/home/me/{'über' if pattern == 'ÜBER/' else 'private'}/x.py"
        assert Patterns([pattern]).match(name, ["/home/me"])


def test_names_and_patterns_on_macos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder lists decomposed characters, which git composes; the case is ignored."""
    monkeypatch.setattr("sys.platform", "darwin")
    tree(tmp_path, build__a_py="1", cafe_py="1", zoe_py="1")
    (tmp_path / "cafe.py").rename(tmp_path / "cafe\u0301.py")
    (tmp_path / ".gitignore").write_text("Build/\ncaf\u00e9.py\n")
    assert names(tmp_path) == ["zoe.py"]
    assert Patterns(["Private/"]).match("/home/me/private/x.py", ["/home/me"])


def test_invalid_pattern_is_named() -> None:
    with pytest.raises(UserError, match=r"'!' is invalid"):
        Patterns(["a", "!"])


def test_long_name_is_abbreviated_at_the_start() -> None:
    left_out = LeftOut()
    left_out.add(Reason.TOO_DEEP, "d/" * 300 + "e")
    (line,) = left_out.lines()
    assert "(...d/d" in line
    assert line.endswith("/d/e)")
    assert len(line) < 160
