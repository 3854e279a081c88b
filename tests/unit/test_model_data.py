"""The shipped model's training text: a valid list, and no excluded text in it."""

import io
import json
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
PERMISSIVE = {
    "MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "PSF-2.0", "Matplotlib (PSF-based)", "MIT OR Apache-2.0",
    "public domain",
}  # fmt: skip


@pytest.fixture(scope="module")
def data() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        return __import__("model_data")


def lines(word: str, n: int = 30) -> str:
    return "".join(f"{word}_{i} = compute({i}, '{word}')\n" for i in range(n))


def test_held_out_list_is_valid(data: ModuleType) -> None:
    listed = json.loads(data.MANIFEST.read_text("utf-8"))
    names = [source["name"] for source in listed["sources"]]
    heldout = {entry["package"] for entry in json.loads(data.LISTING.read_text("utf-8"))}
    assert len(set(names)) == len(names)
    assert not heldout & set(names)
    assert set(listed["text"]["packages_never_learned_from"]) == heldout
    for source in listed["sources"]:
        assert source["license"] in PERMISSIVE, source["name"]
        assert source["taken"]["files"] > 0
        if source["kind"] != "stdlib":
            assert len(source["sha256"]) == 64
            assert source["bytes"] > 0
            assert source["version"].partition("+")[0].partition("-")[0] in source["file"]
    chars = listed["text"]["chars_by_language"]
    assert sum(chars.values()) == listed["text"]["chars"]
    assert 0.15 < 1 - chars[".py"] / listed["text"]["chars"] < 0.25  # about a fifth is not Python


def test_excluded_sources(data: ModuleType) -> None:
    heldout = lines("heldout")
    passes = data.Filter([("click/core.py", heldout)], {"click"})
    documents = {
        "a.py": lines("own"),
        "b.py": lines("own"),
        "click/other.py": lines("vendored"),
        "pip/_internal/click.py": lines("vendored_file"),
        "renamed.py": lines("before") + heldout[40:600] + lines("after"),
        "reindented.py": lines("own", 29) + "end = True\n",
        "half_new.py": lines("own", 10) + lines("new"),
        "gpl.c": "/* under the GNU General Public License */\n" + lines("gpl"),
        "clicked.py": lines("clicked"),
        "blank.py": "\n\n",
    }
    reasons = {name: passes.reason(name, text) for name, text in documents.items()}
    assert reasons == {
        "a.py": None,
        "b.py": "a copy",
        "click/other.py": "a held-out package, vendored",
        "pip/_internal/click.py": "a held-out package, vendored",
        "renamed.py": "shares a passage with a held-out package",
        "reindented.py": "more than half a copy",
        "half_new.py": None,
        "gpl.c": "names a license that is not permissive",
        "clicked.py": None,
        "blank.py": "empty",
    }


@given(st.text("ab \n", max_size=600), st.text("ab \n", max_size=600), st.text("xy\n", min_size=260, max_size=400))
def test_passage_is_found_anywhere(data: ModuleType, before: str, after: str, passage: str) -> None:
    """Compared with the definition: a line of the passage and the text after it occur in both."""
    inside = data.shingles(f"{before}\n{passage}\n{after}")
    starts = [i for i in range(len(passage)) if (i == 0 or passage[i - 1] == "\n") and passage[i] != "\n"]
    assert bool(inside & data.shingles(passage)) == any(i + data.SHINGLE_CHARS <= len(passage) for i in starts)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("numpy/tests/test_x.py", True), ("src/fmt/print_test.go", True), ("lib/a.spec.ts", True),
        ("conftest.py", True), ("numpy/core.py", False), ("src/testimony.go", False), ("latest/x.py", False),
    ],
)  # fmt: skip
def test_tests_are_told_apart_from_sources(data: ModuleType, name: str, expected: bool) -> None:
    assert data.is_test(name) == expected


def test_large_source_is_sampled_reproducibly(data: ModuleType) -> None:
    documents = [(f"{i}.py", lines(f"word{i}")) for i in range(40)]
    size = len(documents[0][1])
    sample = data.at_most(documents, 10 * size)
    assert sum(len(text) for _, text in sample) <= 10 * size
    assert 8 <= len(sample) < 12
    assert sample == data.at_most(documents, 10 * size)
    assert sorted(data.at_most(documents[::-1], 10 * size)) == sorted(sample)
    assert data.at_most(documents, 10**6) == documents


def test_held_out_text_of_python_and_other_languages(data: ModuleType) -> None:
    documents = [("one", f"{i}.{kind}", lines(f"{kind}{i}", 200)) for i in range(100) for kind in ("py", "rs")]
    kept = data.hold_out(documents)
    for kind in ("py", "rs"):
        chars = sum(len(text) for source, name, text in documents if (source, name) in kept and name.endswith(kind))
        assert 0.9 * data.HELD_OUT_CHARS < chars <= data.HELD_OUT_CHARS


def make_archive(path: Path, files: dict[str, str]) -> None:
    if path.suffix == ".whl":
        with zipfile.ZipFile(path, "w") as wheel:
            for name, text in files.items():
                wheel.writestr(name, text)
        return
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))


@pytest.mark.parametrize("kind", ["whl", "tgz"])
def test_archive_becomes_documents(kind: str, data: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "downloads").mkdir()
    files = {
        "p/a.py": lines("a"), "p/tests/test_a.py": lines("t"), "p/_vendor/click.py": lines("v"),
        "p/notes.md": "# Notes\n", "p/data.json": "{}", "p/.env": "KEY=1\n",
        "p/skipped/b.py": lines("b"), "../escape.py": lines("e"),
    }  # fmt: skip
    make_archive(tmp_path / "downloads" / f"p-1.{kind}", files)
    source = {
        "name": "p", "version": "1", "kind": "pip", "file": f"p-1.{kind}", "languages": [".py"],
        "leave_out": ["*/skipped/*"],
    }  # fmt: skip
    assert [name for name, _ in data.documents_of(source, tmp_path)] == ["p/a.py", "p/notes.md"]
    assert source["left_out"]["tests"] == 1  # type: ignore[index]
    assert not (tmp_path / "escape.py").exists()
    assert list((tmp_path / "unpacked").iterdir()) == []


def test_prepared_text_is_reproducible(data: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "heldout_documents", lambda _folder: ([("click/core.py", lines("heldout"))], {"click"}))
    monkeypatch.setattr(data, "HELD_OUT_CHARS", 1_500)
    digests = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        (folder / "downloads").mkdir(parents=True)
        make_archive(folder / "downloads" / "p-1.whl", {f"p/{i}.py": lines(f"p{i}") for i in range(9)})
        make_archive(folder / "downloads" / "q-2.tgz", {f"q/{i}.ts": lines(f"q{i}") for i in range(9)})
        found = {"sources": [
            {"name": "p", "version": "1", "kind": "pip", "file": "p-1.whl", "languages": [".py"]},
            {"name": "q", "version": "2", "kind": "npm", "file": "q-2.tgz", "languages": [".ts"]},
        ]}  # fmt: skip
        data.prepare(found, folder)
        assert found["text"]["held_out_chars"].keys() == {"python", "other"}  # type: ignore[call-overload]
        digests.append(found["text"]["sha256"])  # type: ignore[call-overload]
    assert digests[0] == digests[1]


def test_file_with_another_digest_is_refused(data: ModuleType, tmp_path: Path) -> None:
    make_archive(tmp_path / "p-1.whl", {"p/a.py": "x = 1\n"})
    with pytest.raises(SystemExit, match="not the listed file"):
        data.get({"kind": "pip", "name": "p", "version": "1", "file": "p-1.whl", "sha256": "0" * 64}, tmp_path)
