"""The scanner finds files in the folders, and their changes."""

import os
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest
from tinycopilot_server import scanner
from tinycopilot_server.documents import document_name, name_of, opened_as
from tinycopilot_server.scanner import Change, Found, Scanner, place_of, scope_of
from tinycopilot_server.session import Folders
from tinycopilot_server.settings import Settings

from tinycopilot.files.gitignore import Patterns
from tinycopilot.files.left_out import LeftOut
from tinycopilot.files.reading import read_written
from tinycopilot.paths import workspace_model


def nothing() -> None:
    """A pause that does not wait."""


class Scan:
    """Repeated scans of a folder, and the changes that each finds, by relative path."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folders = Folders()
        self.folders.set_roots([root.as_uri()])
        self.scanner = Scanner(self.folders, lambda name: name in map(self.name, self.open))
        self.open: set[str] = set()
        self.found = Found()

    def name(self, path: str) -> str:
        return name_of(self.root / path)

    def all_changes(
        self,
        within: Collection[str] | None = None,
        max_chars: float = 1_000,
        pause: Callable[[], None] = nothing,
    ) -> list[Change]:
        self.found = Found()
        names = None if within is None else {self.name(path) for path in within}
        return list(self.scanner.changes(names, self.found, max_chars, pause))

    def __call__(self, within: Collection[str] | None = None) -> dict[str, str | None]:
        changes = self.all_changes(within)
        return {Path(change.name).relative_to(name_of(self.root)).as_posix(): change.text for change in changes}


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    """A scanner of four files: b.py, older than a.py, and two in a subfolder."""
    for i, path in enumerate(("package/deep/d.py", "package/c.py", "b.py", "a.py")):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# {path}\n")
        os.utime(file, (1_000 + i, 1_000 + i))
    return Scan(tmp_path)


def test_unreadable_folder_is_reported(scan: Scan) -> None:
    scan.folders.set_roots([scan.root.as_uri(), "file:///" + "x" * 300, "file:///%00", "untitled:x", ""])
    assert scan.folders.roots == (name_of(scan.root),)


def test_file_forgotten_during_a_scan_is_not_read(scan: Scan) -> None:
    names = list[str]()
    for change in scan.scanner.changes(None, scan.found, 1_000, nothing):
        scan.folders.forgotten.add(scan.name("package/c.py"))
        names += [Path(change.name).name] if change.text else []
    assert names == ["a.py", "b.py", "d.py"]


def test_link_is_excluded_by_the_path_that_was_opened(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "opened").symlink_to(tmp_path / "real")
    folders = Folders()
    folders.set_roots([(tmp_path / "opened").as_uri()])
    folders.choose(Settings(exclude=("/private",)))
    name = str(tmp_path / "elsewhere" / "a.py")
    for link, is_excluded in (
        ("opened/private/a.py", True),
        ("real/private/a.py", True),
        ("opened/public/a.py", False),
    ):
        assert folders.excludes(name, str(tmp_path / link)) is is_excluded


def test_most_recently_changed_files_come_first(scan: Scan) -> None:
    assert list(scan()) == ["a.py", "b.py", "package/c.py", "package/deep/d.py"]
    assert (scan.found.n_files, scan.found.n_chars) == (4, 7 + 7 + 15 + 20)
    assert scan() == {}


def test_only_changed_new_and_deleted_files_are_reported(scan: Scan) -> None:
    scan()
    (scan.root / "a.py").write_text("changed = 1\n")
    (scan.root / "new.py").write_text("new = 1\n")
    (scan.root / "b.py").unlink()
    assert scan() == {"a.py": "changed = 1\n", "new.py": "new = 1\n", "b.py": None}


def test_named_files_are_read_even_if_unchanged(scan: Scan) -> None:
    scan()
    (scan.root / "b.py").unlink()
    assert scan({"a.py", "missing.py"}) == {"a.py": "# a.py\n"}
    assert scan({"package"}) == {"package/c.py": "# package/c.py\n", "package/deep/d.py": "# package/deep/d.py\n"}
    assert scan({"package/deep/d.py"}) == {"package/deep/d.py": "# package/deep/d.py\n"}
    assert scan({"b.py"}) == {"b.py": None}


def test_doubted_files_are_read_even_if_unchanged(scan: Scan) -> None:
    scan()
    (scan.root / "b.py").unlink()
    scan.scanner.doubt({scan.name("package"), scan.name("b.py"), scan.name("none.py")})
    assert scan() == {"b.py": None, "package/c.py": "# package/c.py\n", "package/deep/d.py": "# package/deep/d.py\n"}
    assert scan() == {}


def test_deleted_folder_drops_its_files_only(scan: Scan) -> None:
    (scan.root / "package.py").write_text("x = 1\n")
    scan()
    (scan.root / "package").rename(scan.root / "other")
    assert scan({"package", "other"}) == {
        "package/c.py": None,
        "package/deep/d.py": None,
        "other/c.py": "# package/c.py\n",
        "other/deep/d.py": "# package/deep/d.py\n",
    }


def test_newly_ignored_file_is_dropped(scan: Scan) -> None:
    scan()
    (scan.root / ".gitignore").write_text("deep/\n")
    assert scan({"."}).pop("package/deep/d.py") is None
    (scan.root / ".gitignore").unlink()
    assert scan()["package/deep/d.py"] == "# package/deep/d.py\n"


def test_file_that_became_unindexable_is_dropped(scan: Scan) -> None:
    scan()
    (scan.root / "a.py").write_text("# @generated by a tool\n")
    (scan.root / "b.py").write_bytes(b"\0")
    assert scan() == {"a.py": None, "b.py": None}
    assert scan.found.left_out == ("left out: 1 generated file (a.py)", "left out: 1 binary file (b.py)")
    assert scan() == {}


def test_open_files_are_skipped_until_closed(scan: Scan) -> None:
    scan()
    scan.open = {"a.py", "b.py"}
    (scan.root / "a.py").write_text("changed = 1\n")
    (scan.root / "b.py").unlink()
    assert scan({"a.py"}) == {}
    assert scan() == {}, "the editor's text of the deleted file is still indexed"
    scan.open = set()
    assert scan() == {"a.py": "changed = 1\n"}


def test_file_that_vanishes_during_a_scan_is_ignored(scan: Scan) -> None:
    changes = scan.all_changes(pause=lambda: (scan.root / "b.py").unlink(missing_ok=True))
    assert {Path(change.name).name for change in changes} == {"a.py", "c.py", "d.py"}


def test_file_that_vanishes_before_reading_is_dropped(scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    scan()
    (scan.root / "a.py").write_text("changed = 1\n")

    def vanish(paths: list[Path], root: Path, left_out: LeftOut) -> Iterator[tuple[str, str]]:
        for path in paths:
            path.unlink()
        return read_written(paths, root, left_out)

    monkeypatch.setattr(scanner, "read_written", vanish)
    assert scan() == {"a.py": None}
    assert scan.found.left_out == ("left out: 1 file that cannot be read (a.py)",)


def test_older_files_beyond_the_limit_are_skipped_until_they_change(scan: Scan) -> None:
    changes = scan.all_changes(max_chars=13)  # each of the first two has seven
    assert [Path(change.name).name for change in changes] == ["a.py", "b.py"]
    assert scan.found.n_skipped == 2
    assert scan() == {}
    (scan.root / "package" / "c.py").write_text("changed = 1\n")
    assert scan() == {"package/c.py": "changed = 1\n"}


def test_future_change_time_is_clamped_to_now(scan: Scan) -> None:
    os.utime(scan.root / "a.py", (9e9, 9e9))
    first = scan.all_changes()[0]
    assert Path(first.name).name == "a.py"
    assert first.changed_s <= time.time()


def test_roots_are_existing_folders_without_secret_ones(scan: Scan) -> None:
    (scan.root / ".ssh").mkdir()
    (scan.root / ".ssh" / "config.py").write_text("x = 1\n")
    (scan.root / "link").symlink_to(scan.root / "package")
    uris = ["", ".", "untitled:x", "file:///missing", "file:///%00", (scan.root / "a.py").as_uri()]
    scan.folders.set_roots([*uris, (scan.root / ".ssh").as_uri()])
    assert scan.folders.roots == ()
    scan.folders.set_roots([(scan.root / "link").as_uri(), (scan.root / "package").as_uri()])
    assert scan.folders.roots == (scan.name("package"),)
    assert list(scan()) == ["package/c.py", "package/deep/d.py"]


def test_project_below_a_folder_named_secrets_is_indexed(scan: Scan) -> None:
    project = scan.root / "secrets" / "clients" / "project"
    project.mkdir(parents=True)
    (project / "a.py").write_text("x = 1\n")
    scan.folders.set_roots([project.as_uri()])
    assert scan.folders.roots == (name_of(project),)
    assert scan() == {"secrets/clients/project/a.py": "x = 1\n"}


def test_removed_root_drops_its_files(scan: Scan) -> None:
    scan()
    scan.folders.set_roots([(scan.root / "package").as_uri()])
    assert scan() == {"a.py": None, "b.py": None}


def test_nested_root_is_scanned_once(scan: Scan) -> None:
    scan.folders.set_roots([scan.root.as_uri(), (scan.root / "package").as_uri()])
    assert sorted(Path(change.name).name for change in scan.all_changes()) == ["a.py", "b.py", "c.py", "d.py"]


def test_new_suffix_is_scanned(scan: Scan) -> None:
    (scan.root / "x.rs").write_text("fn x() {}\n")
    scan()
    assert not scan.folders.want(scan.name("a.py"))
    assert not scan.folders.want(scan.name("Makefile"))
    assert not scan.folders.want("/elsewhere/y.rs")
    assert scan.folders.want(scan.name("package/Y.RS"))
    assert not scan.folders.want(scan.name("z.rs"))
    assert scan() == {"x.rs": "fn x() {}\n"}


def test_document_names(scan: Scan) -> None:
    (scan.root / "with space.py").symlink_to(scan.root / "a.py")
    assert document_name((scan.root / "with space.py").as_uri()) == document_name((scan.root / "a.py").as_uri())
    assert document_name("untitled:Untitled-1") == "untitled:Untitled-1"
    assert "\0" not in document_name("file:///a\0b")
    assert document_name("file:a.py") == "file:a.py"
    assert place_of((scan.root / "package" / "c.py").as_uri()) == scan.name("package/c.py")
    assert place_of((scan.root / "package" / ".gitignore").as_uri()) == scan.name("package")


def test_document_names_are_composed_on_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders list decomposed characters, and editors send either form."""
    monkeypatch.setattr("sys.platform", "darwin")
    assert document_name("file:///home/cafe%CC%81.py") == document_name("file:///home/caf%C3%A9.py")
    assert opened_as("file:///home/cafe%CC%81.py") == "/home/caf\u00e9.py"
    assert workspace_model("/home/cafe\u0301") == workspace_model("/home/caf\u00e9")


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows, names are not bytes")
def test_names_that_are_not_utf8(scan: Scan) -> None:
    """Folders and documents with such names are those on disk, and so are drive letters."""
    folder = scan.root / os.fsdecode(b"caf\xe9;#?%41")
    file = folder / "c:" / os.fsdecode(b"\xff.py")
    try:
        file.parent.mkdir(parents=True)
        file.write_text("x = 1\n")
    except OSError:
        pytest.skip("the file system requires UTF-8")
    scan.folders.set_roots([folder.as_uri()])
    assert scan.folders.roots == (name_of(folder),)
    assert opened_as(file.as_uri()) == document_name(file.as_uri()) == name_of(file)
    assert document_name("file:///c%3A/a.py") == "/c:/a.py"
    assert document_name("file://localhost/a.py") == "/a.py"
    assert document_name("file://elsewhere/a.py") == "file://elsewhere/a.py"


def test_excluded_file_is_dropped_and_restored(scan: Scan) -> None:
    scan()
    scan.folders.excluded = Patterns(["package/", "/b.py"])
    assert scan() == {"package/c.py": None, "package/deep/d.py": None, "b.py": None}
    assert scan.folders.excludes(scan.name("package/c.py"))
    assert not scan.folders.excludes(scan.name("a.py"))
    assert scan(["b.py"]) == {}  # not even if it is named
    scan.folders.excluded = Patterns()
    assert set(scan()) == {"package/c.py", "package/deep/d.py", "b.py"}


def test_forgotten_scan_state_reads_again(scan: Scan) -> None:
    assert len(scan()) == 4
    assert scan() == {}
    scan.scanner.known.clear()
    assert len(scan()) == 4


def test_truncated_scan_is_reported(scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "MAX_FILES", 2)
    assert len(scan()) == 2
    assert [line for line in scan.found.left_out if "and all files after it" in line]


def test_folder_limit_is_reported(scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "MAX_FOLDERS", 1)
    assert set(scan()) == {"a.py", "b.py", "package/c.py"}
    assert [line for line in scan.found.left_out if "and all files after it" in line]


class Places(set[str]):
    """Reported places, and how often all of them were read."""

    n_read = 0

    def __iter__(self) -> Iterator[str]:
        self.n_read += 1
        return super().__iter__()


def test_scan_of_reported_files_does_not_read_all_reports_for_each_file(scan: Scan) -> None:
    for i in range(40):
        (scan.root / "package" / f"{i}.py").write_text("")
    scan()
    (scan.root / "package" / "0.py").unlink()
    places = Places(scan.name(f"package/{i}.py") for i in range(20))
    changes = list(scan.scanner.changes(places, scan.found, 1_000, nothing))
    assert len(changes) == 20
    assert places.n_read < 5


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("/a", {"/a", "/a/b.py", "/a/b/c.py"}),
        ("/a/b", {"/a/b/c.py"}),
        ("/a/b.py", {"/a/b.py"}),
        ("/", {"/a", "/a/b.py", "/a/b/c.py", "/ab.py"}),
        ("/b", set()),
    ],
)
def test_reported_folder_covers_what_is_below_it(place: str, names: set[str]) -> None:
    place, *all_names = map(os.path.normcase, (place, "/a", "/a/b.py", "/a/b/c.py", "/ab.py"))
    assert set(filter(scope_of([place, "/elsewhere"]), all_names)) == set(map(os.path.normcase, names))
