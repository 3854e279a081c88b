"""Files in the folders, and what has changed."""

import os
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest
from tinycopilot_server import scanner
from tinycopilot_server.scanner import Change, Found, Scanner, place_of
from tinycopilot_server.session import Folders, document_name, name_of

from tinycopilot.files import LeftOut, Patterns, read_written


def nothing() -> None:
    """A pause that does not wait."""


class Look:
    """Repeated scans of a folder, and the changes that each finds, by relative path."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folders = Folders()
        self.folders.set_roots([root.as_uri()])
        self.scanner = Scanner(self.folders)
        self.open: set[str] = set()
        self.found = Found()

    def name(self, path: str) -> str:
        return name_of(self.root / path)

    def all_changes(
        self,
        within: Collection[str] | None = None,
        is_enough: Callable[[], bool] = lambda: False,
        pause: Callable[[], None] = nothing,
    ) -> list[Change]:
        self.found = Found()
        names = None if within is None else {self.name(path) for path in within}
        is_open = {self.name(path) for path in self.open}.__contains__
        return list(self.scanner.changes(names, self.found, is_open, is_enough, pause))

    def __call__(self, within: Collection[str] | None = None) -> dict[str, str | None]:
        changes = self.all_changes(within)
        return {Path(change.name).relative_to(name_of(self.root)).as_posix(): change.text for change in changes}


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """A scanner of four files: b.py, older than a.py, and two in a subfolder."""
    for i, path in enumerate(("package/deep/d.py", "package/c.py", "b.py", "a.py")):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# {path}\n")
        os.utime(file, (1_000 + i, 1_000 + i))
    return Look(tmp_path)


def test_unreadable_folder_is_reported(look: Look) -> None:
    look.folders.set_roots([look.root.as_uri(), "file:///" + "x" * 300, "file:///%00", "untitled:x", ""])
    assert look.folders.roots == (name_of(look.root),)


def test_file_forgotten_during_a_scan_is_not_read(look: Look) -> None:
    names = list[str]()
    for change in look.scanner.changes(None, look.found, lambda _: False, lambda: False, nothing):
        look.folders.forgotten.add(look.name("package/c.py"))
        names += [Path(change.name).name] if change.text else []
    assert names == ["a.py", "b.py", "d.py"]


def test_link_is_excluded_by_the_path_that_was_opened(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "opened").symlink_to(tmp_path / "real")
    folders = Folders()
    folders.set_roots([(tmp_path / "opened").as_uri()])
    folders.choose(Patterns(["/private"]))
    name = str(tmp_path / "elsewhere" / "a.py")
    for link, is_excluded in (
        ("opened/private/a.py", True),
        ("real/private/a.py", True),
        ("opened/public/a.py", False),
    ):
        assert folders.excludes(name, str(tmp_path / link)) is is_excluded


def test_most_recently_changed_files_come_first(look: Look) -> None:
    assert list(look()) == ["a.py", "b.py", "package/c.py", "package/deep/d.py"]
    assert (look.found.n_files, look.found.n_chars) == (4, 7 + 7 + 15 + 20)
    assert look() == {}


def test_only_changed_new_and_deleted_files_are_reported(look: Look) -> None:
    look()
    (look.root / "a.py").write_text("changed = 1\n")
    (look.root / "new.py").write_text("new = 1\n")
    (look.root / "b.py").unlink()
    assert look() == {"a.py": "changed = 1\n", "new.py": "new = 1\n", "b.py": None}


def test_named_files_are_read_even_if_unchanged(look: Look) -> None:
    look()
    (look.root / "b.py").unlink()
    assert look({"a.py", "missing.py"}) == {"a.py": "# a.py\n"}
    assert look({"package"}) == {"package/c.py": "# package/c.py\n", "package/deep/d.py": "# package/deep/d.py\n"}
    assert look({"package/deep/d.py"}) == {"package/deep/d.py": "# package/deep/d.py\n"}
    assert look({"b.py"}) == {"b.py": None}


def test_deleted_folder_drops_its_files_only(look: Look) -> None:
    (look.root / "package.py").write_text("x = 1\n")
    look()
    (look.root / "package").rename(look.root / "other")
    assert look({"package", "other"}) == {
        "package/c.py": None,
        "package/deep/d.py": None,
        "other/c.py": "# package/c.py\n",
        "other/deep/d.py": "# package/deep/d.py\n",
    }


def test_newly_ignored_file_is_dropped(look: Look) -> None:
    look()
    (look.root / ".gitignore").write_text("deep/\n")
    assert look({"."}).pop("package/deep/d.py") is None
    (look.root / ".gitignore").unlink()
    assert look()["package/deep/d.py"] == "# package/deep/d.py\n"


def test_file_that_became_unindexable_is_dropped(look: Look) -> None:
    look()
    (look.root / "a.py").write_text("# @generated by a tool\n")
    (look.root / "b.py").write_bytes(b"\0")
    assert look() == {"a.py": None, "b.py": None}
    assert look.found.left_out == ("left out: 1 generated file (a.py)", "left out: 1 binary file (b.py)")
    assert look() == {}


def test_open_files_are_skipped_until_closed(look: Look) -> None:
    look()
    look.open = {"a.py", "b.py"}
    (look.root / "a.py").write_text("changed = 1\n")
    (look.root / "b.py").unlink()
    assert look({"a.py"}) == {}
    assert look() == {"b.py": None}
    look.open = set()
    assert look() == {"a.py": "changed = 1\n"}


def test_file_that_vanishes_during_a_scan_is_ignored(look: Look) -> None:
    changes = look.all_changes(pause=lambda: (look.root / "b.py").unlink(missing_ok=True))
    assert {Path(change.name).name for change in changes} == {"a.py", "c.py", "d.py"}


def test_file_that_vanishes_before_reading_is_dropped(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    look()
    (look.root / "a.py").write_text("changed = 1\n")

    def vanish(paths: list[Path], root: Path, left_out: LeftOut) -> Iterator[tuple[str, str]]:
        for path in paths:
            path.unlink()
        return read_written(paths, root, left_out)

    monkeypatch.setattr(scanner, "read_written", vanish)
    assert look() == {"a.py": None}
    assert look.found.left_out == ("left out: 1 file that cannot be read (a.py)",)


def test_older_files_beyond_the_limit_are_skipped_until_they_change(look: Look) -> None:
    changes = look.all_changes(is_enough=lambda: look.found.n_files >= 2)
    assert [Path(change.name).name for change in changes] == ["a.py", "b.py"]
    assert look.found.n_skipped == 2
    assert look() == {}
    (look.root / "package" / "c.py").write_text("changed = 1\n")
    assert look() == {"package/c.py": "changed = 1\n"}


def test_future_change_time_is_clamped_to_now(look: Look) -> None:
    os.utime(look.root / "a.py", (9e9, 9e9))
    first = look.all_changes()[0]
    assert Path(first.name).name == "a.py"
    assert first.changed_s <= time.time()


def test_roots_are_existing_folders_without_secret_ones(look: Look) -> None:
    (look.root / ".ssh").mkdir()
    (look.root / ".ssh" / "config.py").write_text("x = 1\n")
    (look.root / "link").symlink_to(look.root / "package")
    uris = ["", ".", "untitled:x", "file:///missing", "file:///%00", (look.root / "a.py").as_uri()]
    look.folders.set_roots([*uris, (look.root / ".ssh").as_uri()])
    assert look.folders.roots == ()
    look.folders.set_roots([(look.root / "link").as_uri(), (look.root / "package").as_uri()])
    assert look.folders.roots == (look.name("package"),)
    assert list(look()) == ["package/c.py", "package/deep/d.py"]


def test_removed_root_drops_its_files(look: Look) -> None:
    look()
    look.folders.set_roots([(look.root / "package").as_uri()])
    assert look() == {"a.py": None, "b.py": None}


def test_nested_root_is_scanned_once(look: Look) -> None:
    look.folders.set_roots([look.root.as_uri(), (look.root / "package").as_uri()])
    assert sorted(Path(change.name).name for change in look.all_changes()) == ["a.py", "b.py", "c.py", "d.py"]


def test_new_suffix_is_scanned(look: Look) -> None:
    (look.root / "x.rs").write_text("fn x() {}\n")
    look()
    assert not look.folders.want(look.name("a.py"))
    assert not look.folders.want(look.name("Makefile"))
    assert not look.folders.want("/elsewhere/y.rs")
    assert look.folders.want(look.name("package/Y.RS"))
    assert not look.folders.want(look.name("z.rs"))
    assert look() == {"x.rs": "fn x() {}\n"}


def test_document_names(look: Look) -> None:
    (look.root / "with space.py").symlink_to(look.root / "a.py")
    assert document_name((look.root / "with space.py").as_uri()) == document_name((look.root / "a.py").as_uri())
    assert document_name("untitled:Untitled-1") == "untitled:Untitled-1"
    assert "\0" not in document_name("file:///a\0b")
    assert place_of((look.root / "package" / "c.py").as_uri()) == look.name("package/c.py")
    assert place_of((look.root / "package" / ".gitignore").as_uri()) == look.name("package")


def test_excluded_file_is_dropped_and_restored(look: Look) -> None:
    look()
    look.folders.excluded = Patterns(["package/", "/b.py"])
    assert look() == {"package/c.py": None, "package/deep/d.py": None, "b.py": None}
    assert look.folders.excludes(look.name("package/c.py"))
    assert not look.folders.excludes(look.name("a.py"))
    assert look(["b.py"]) == {}  # not even if it is named
    look.folders.excluded = Patterns()
    assert set(look()) == {"package/c.py", "package/deep/d.py", "b.py"}


def test_forgotten_scan_state_reads_again(look: Look) -> None:
    assert len(look()) == 4
    assert look() == {}
    look.scanner.forget()
    assert len(look()) == 4


def test_truncated_scan_is_reported(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "MAX_FILES", 2)
    assert len(look()) == 2
    assert [line for line in look.found.left_out if "and all that come after it" in line]


def test_folder_limit_is_reported(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "MAX_FOLDERS", 1)
    assert set(look()) == {"a.py", "b.py", "package/c.py"}
    assert [line for line in look.found.left_out if "and all that come after it" in line]
