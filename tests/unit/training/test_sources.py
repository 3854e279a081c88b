import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycopilot import UserError
from tinycopilot.files.left_out import LeftOut
from tinycopilot.training.sources import documents, split_blocks


def tree(root: Path, *names: str) -> None:
    """Files that contain their own names."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n")


def found(name: object, *suffixes: str) -> list[str]:
    return [document for document, _ in documents(str(name), suffixes or (".py",), LeftOut())]


def complaint(name: object, *suffixes: str) -> str:
    with pytest.raises(UserError) as caught:
        found(name, *suffixes)
    assert "\n" not in str(caught.value)
    assert str(name) in str(caught.value)
    return str(caught.value)


def blocks(text: str) -> list[str]:
    return list(split_blocks(text.splitlines(keepends=True)))


def test_text_file_is_split_into_blocks(tmp_path: Path) -> None:
    text = "a note\n\n# %% one.py\n\nx = 1\n\n# %% two.py\ny = 2\n# %% \nz = 3"
    assert blocks(text) == ["a note\n", "x = 1\n", "y = 2\n", "z = 3\n"]
    assert blocks("\n \n# %% one\nx\n") == ["x\n"]  # whitespace before the first block is not a block
    assert blocks("just text\n") == ["just text\n"]
    (tmp_path / "c.txt").write_text(text)
    expected = [("c.txt", "a note\n"), *(("c.txt", f"{c} = {i}\n") for i, c in enumerate("xyz", 1))]
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "c.txt").write_text(text, encoding)
        assert list(documents(str(tmp_path / "c.txt"), (), LeftOut())) == expected


@given(st.lists(st.sampled_from(["# %% name\n", "# %%\n", "x = 1\n", "\n", "\t \n", "# %% "]), max_size=12))
def test_blocks_keep_every_line(lines: list[str]) -> None:
    """All lines except separators, and blank lines at a block's ends, are in the blocks, in order."""
    kept = [line for block in split_blocks(lines) for line in block.splitlines() if line.strip()]
    assert kept == [line.strip("\n") for line in lines if line.strip() and not line.startswith("# %% ")]


def test_whitespace_only_texts_are_counted(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("# %% a\nx = 1\n# %% b\n\n\n# %% c\n \n")
    left_out = LeftOut()
    assert [text for _, text in documents(str(tmp_path / "c.txt"), (), left_out)] == ["x = 1\n"]
    assert left_out.all_lines() == ("left out: 2 texts with only whitespace (c.txt, c.txt)",)
    (tmp_path / "blank.txt").write_text("\n\n\n")
    assert "the file contains only whitespace" in complaint(tmp_path / "blank.txt")
    (tmp_path / "empty.txt").write_text("")
    assert "the file is empty" in complaint(tmp_path / "empty.txt")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_other_files_in_a_folder_are_counted(tmp_path: Path) -> None:
    tree(tmp_path, "ok.py", "build/a.py", "__pycache__/b.py", ".m.pth.run/c.py", "a.md", "b.md", "c.rs", "d.js", "Make")
    (tmp_path / ".gitignore").write_text("build/\n")
    (tmp_path / "link.py").symlink_to(tmp_path / "ok.py")
    (tmp_path / "empty.py").write_text("")
    os.mkfifo(tmp_path / "pipe.py")
    left_out = LeftOut()
    assert [name for name, _ in documents(str(tmp_path), (".py",), left_out)] == ["ok.py"]
    assert left_out.all_lines() == (
        "left out: 1 file or folder that git ignores (build/)",
        "left out: 1 symbolic link (not followed) (link.py)",
        "left out: 1 pipe, socket or device (pipe.py)",
        "left out: 1 text with only whitespace (empty.py)",
        "left out: 6 files with other extensions (no suffix 2, .md 2, .rs 1 and 1 more extension); "
        "use --ext to read them",
    )
    assert left_out.lines() == ("left out: 1 text with only whitespace (empty.py)",)


@given(st.text("ab\n", max_size=200))
def test_long_text_becomes_several_documents(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tinycopilot.training.sources.BLOCK_CHARS", 20)
        pieces = blocks(text)
    assert "".join(pieces) == text
    longest_line = max(map(len, text.split("\n"))) + 1
    assert all(len(piece) <= 20 + longest_line for piece in pieces)


def test_long_named_file_is_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinycopilot.files.reading.PIECE_CHARS", 100)
    monkeypatch.setattr("tinycopilot.files.reading.MAX_BYTES", 100)
    text = "".join(f"line {i}\n" for i in range(1_000))
    (tmp_path / "f.py").write_text(text)
    pieces = [piece for _, piece in documents(str(tmp_path / "f.py"), (), LeftOut())]
    assert len(pieces) > 50
    assert "".join(pieces) == text
    assert "1 file over" in complaint(tmp_path)  # found in a folder, it is skipped


def test_folder_is_filtered_by_suffix(tmp_path: Path) -> None:
    tree(tmp_path, "b.py", "a.js", "src/c.ts", "src/d.py")
    assert found(tmp_path) == ["b.py", "src/d.py"]
    assert found(tmp_path, ".ts", ".js") == ["a.js", "src/c.ts"]


@pytest.mark.usefixtures("in_folder")
def test_relative_folder_and_home(temporary_home: Path) -> None:
    tree(Path(), "p/a.py", "p/q/b.py")
    assert found("p") == found("./p/") == found("p/../p") == ["a.py", "q/b.py"]
    tree(temporary_home, "code/c.py")
    assert found("~/code") == ["c.py"]


def test_files_left_out_of_a_folder(tmp_path: Path) -> None:
    tree(tmp_path, "ok.py", "cut.min.py", "vendor/x.py", ".env")
    (tmp_path / "binary.py").write_bytes(b"\0\1")
    (tmp_path / "latin.py").write_bytes(b"caf\xe9")
    (tmp_path / "table.py").write_text("[" + "1, " * 1_000 + "]\n")
    left_out = LeftOut()
    assert list(documents(str(tmp_path), (".py",), left_out)) == [("ok.py", "ok.py\n")]
    assert left_out.lines() == (
        "left out: 1 name that suggests secrets (.env)",
        "left out: 1 vendored folder (vendor)",
        "left out: 1 generated file (cut.min.py)",
        "left out: 1 minified file or data table (table.py)",
        "left out: 1 binary file (binary.py)",
        "left out: 1 file that is not UTF-8 (latin.py)",
    )
    assert found(tmp_path / "table.py") == ["table.py"]  # a file that is named is read
    assert "keys or passwords" in complaint(tmp_path / ".env")


def test_folder_without_matching_files_says_what_it_has(tmp_path: Path) -> None:
    tree(tmp_path, "a.rs", "b.rs", "c.toml", "d.pyc", "e.pyc", "f.pyc", "Makefile")
    for name in "def":
        (tmp_path / f"{name}.pyc").write_bytes(b"\0")  # not text: not worth suggesting
    assert complaint(tmp_path) == f"{tmp_path}: no .py files there; it has .rs (2) and .toml (1): give --ext rs"
    assert "no .c or .h files there" in complaint(tmp_path, ".c", ".h")
    (tmp_path / "empty").mkdir()
    assert "no .py files there; name" in complaint(tmp_path / "empty")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.py", ["a.py"]),
        ("src/*", ["src/b.js", "src/c.py", "src/deep/d.py"]),  # any suffix that matches; folders are walked
        ("src/**/*.py", ["src/c.py", "src/deep/d.py"]),
        ("**/*.js", ["src/b.js", "src/deep/e.js"]),
        pytest.param("**/" * 1_000 + "*.js", ["src/b.js", "src/deep/e.js"], id="long"),
        ("**", ["a.py", "src/b.js", "src/c.py", "src/deep/d.py", "src/deep/e.js"]),
        ("s?c/[cd]*", ["src/c.py", "src/deep/d.py"]),
        ("*/deep/*.??", ["src/deep/d.py", "src/deep/e.js"]),
        ("vendor/*.py", ["vendor/v.py"]),  # a folder that is named is read
    ],
)
def test_globs(in_folder: Path, pattern: str, names: list[str]) -> None:
    tree(in_folder, "a.py", "src/b.js", "src/c.py", "src/deep/d.py", "src/deep/e.js", "src/ignored.py")
    tree(in_folder, "vendor/v.py", ".hidden/h.py", "src/.dot.js", "src/prod.env", "build/x.py")
    (in_folder / ".git").mkdir()
    (in_folder / ".gitignore").write_text("build/\nignored.py\n")
    for name in (pattern, str(in_folder / pattern)):
        texts = [text.strip() for _, text in documents(name, (".py",), LeftOut())]
        assert sorted(texts) == names


def test_unmatched_glob_and_file_name_that_looks_like_one(in_folder: Path) -> None:
    tree(in_folder, "a[1].py", "key.pem")
    assert found("a[1].py") == ["a[1].py"]
    for pattern in ("*.rs", "nowhere/*.py", "*.pem"):
        assert "no file matches" in complaint(pattern)
    assert "1 name that suggests secrets" in complaint("*.pem")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site-packages with two packages, a module, a namespace, and two distributions under other names."""
    site = tmp_path / "site-packages"
    broken = "raise SystemExit('imported')\n"
    for name in ("pack_x/__init__.py", "pack_x/inner/a.py", "mod_x.py", "space_x/one/__init__.py", "space_x/two/b.py"):
        tree(site, name)
        (site / name).write_text(f"# {name}\n{broken}")
    tree(site, "pack_x/_vendor/v.py", "space_x/one/deep/__init__.py")
    for dist, files in (
        ("Dist_X", ("pack_x/__init__.py", "pack_x/inner/a.py", "mod_x.py", "../bin/run.py")),
        ("space_x_one", ("space_x/one/__init__.py", "space_x/one/deep/__init__.py")),
    ):
        info = site / f"{dist}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1\n")
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    monkeypatch.syspath_prepend(str(site))
    return site


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("pack_x", ["__init__.py", "inner/a.py"]),
        ("pack_x.inner", ["a.py"]),
        ("pack_x.inner.a", ["a.py"]),
        ("mod_x", ["mod_x.py"]),
        ("space_x", ["one/__init__.py", "one/deep/__init__.py", "two/b.py"]),
        ("dist-x", ["mod_x.py", "__init__.py", "inner/a.py"]),
        ("space.x-one", ["__init__.py", "deep/__init__.py"]),
    ],
)
def test_installed_package_is_not_imported(installed: Path, name: str, names: list[str]) -> None:
    (installed.parent / ".git").mkdir()
    (installed.parent / ".gitignore").write_text("site-packages/\n")  # a module that is named is read
    assert found(f"package:{name}") == names
    assert not {"pack_x", "mod_x", "space_x"} & set(sys.modules)


@pytest.mark.parametrize("name", ["no_such_package_x", "", "sys", "a/b", "..", "pack_x.nowhere"])
def test_missing_package_is_one_line(installed: Path, name: str) -> None:
    assert installed.is_dir()
    assert "pip install" in complaint(f"package:{name}")


@pytest.mark.usefixtures("in_folder")
def test_standard_library_excludes_its_tests() -> None:
    names = found("stdlib", ".js")  # Python, whatever suffix is requested for folders
    assert {"json/decoder.py", "argparse.py"} <= set(names)
    assert not [name for name in names if {"test", "tests", "pydoc_data", "encodings"} & set(name.split("/"))]
    Path("stdlib").mkdir()  # a folder of that name takes precedence
    assert "no .py files" in complaint("stdlib")


@pytest.mark.parametrize("content", [b"", b"  \n\n", b"\0\1\2", "\xe9".encode("latin1")])
def test_empty_source_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.txt"
    path.write_bytes(content)
    for name in (path, tmp_path / "missing.txt", tmp_path, "x" * 5_000, f"{path}/below"):
        assert complaint(name)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_file_in_an_unreadable_folder_is_one_line(tmp_path: Path) -> None:
    tree(tmp_path, "closed/a.py")
    (tmp_path / "closed").chmod(0)
    try:
        assert "cannot be read" in complaint(tmp_path / "closed" / "a.py")
    finally:
        (tmp_path / "closed").chmod(0o700)
