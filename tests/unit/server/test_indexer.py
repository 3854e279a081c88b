"""The indexer with a real n-gram model; the engine's thread is the caller's."""

import gc
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tinycopilot_server import scanner
from tinycopilot_server.documents import name_of
from tinycopilot_server.indexer import OLD_S, SAVE_INDEX_S, Indexer, IndexFile
from tinycopilot_server.session import Folders
from tinycopilot_server.settings import Settings

from tinycopilot.completion import indexing, persistence
from tinycopilot.completion.ngram import MAX_SEPARATE, NGramModel, context_of
from tinycopilot.completion.segments import Alphabet, MergedSegment

T = TypeVar("T")


class Harness:
    """An indexer, its folder and its n-gram model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory = NGramModel(Alphabet("\nab"))
        self.open = set[str]()
        self.n_finished = 0
        self.before_each: Callable[[], None] = lambda: None
        self.folders = Folders()
        self.folders.set_roots([folder.as_uri()])
        self.idle = threading.Event()
        self.idle.set()
        self.indexer = Indexer(self.call, self.folders, self.open.__contains__, self.pause)
        self.ever_open = set[str]()

    def save_to(self, path: Path) -> None:
        """Save the index in that file."""
        self.indexer.file = IndexFile(path, "digest", self.ever_open.__contains__)

    def pause(self) -> None:
        self.idle.wait()

    def call(self, function: Callable[[NGramModel], T]) -> T:
        self.before_each()
        return function(self.memory)

    def write(self, path: str, text: str, changed_s: int = 1_000) -> str:
        (self.folder / path).write_text(text)
        os.utime(self.folder / path, (changed_s, changed_s))
        return self.name(path)

    def name(self, path: str) -> str:
        return name_of(self.folder / path)

    def scan(self, *within: str) -> None:
        """Scan, and wait until it is done."""
        self.indexer.scan([(self.folder / path).as_uri() for path in within] or None)
        self.wait()

    def wait(self) -> None:
        self.indexer.submit(lambda: None).result()

    @property
    def indexed(self) -> set[str]:
        return {Path(name).name for name in self.memory.documents}

    @property
    def merged(self) -> MergedSegment:
        return self.memory.merged()[0]


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    harness = Harness(tmp_path)
    yield harness
    harness.indexer.close()


def test_files_are_indexed_and_reported_in_one_line(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    for i in range(20):
        harness.write(f"{i}.py", f"a = {i}\n")
    harness.write(".env", "a = 1\n")
    with caplog.at_level(logging.INFO):
        harness.scan()
    assert len(harness.indexed) == 20
    assert len(harness.merged.documents) == 20  # sorted in the indexer's thread, into one segment
    [line] = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    assert line.startswith("indexed 20 files, 130 characters, in ")
    assert line.endswith(" s; left out: 1 name that suggests secrets (.env)")


def test_few_changes_do_not_rebuild_the_merged_segment(harness: Harness) -> None:
    for i in range(50):
        harness.write(f"{i}.py", f"a = {i}\n" * 9)
    harness.scan()
    merged = harness.merged
    harness.write("7.py", "changed = 1\n")
    (harness.folder / "8.py").unlink()
    harness.scan("7.py", "8.py")
    assert harness.merged is merged
    assert len(harness.indexed) == 49
    assert all(segment.n_bytes for segment, _ in harness.memory.segments())  # in the indexer's thread
    for i in range(20, 40):
        harness.write(f"{i}.py", "changed = 1\n")
    harness.scan()
    assert harness.merged is not merged


def test_index_is_usable_before_the_first_scan_ends(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "FIRST_CHARS", 20)
    for i in range(10):
        harness.write(f"{i}.py", "a = 12345\n", changed_s=i)
    seen = list[set[str]]()
    harness.before_each = lambda: seen.append(harness.indexed)
    harness.scan()
    assert {"9.py", "8.py"} in seen
    assert {f"{i}.py" for i in range(2, 10)} in seen  # four times as much
    assert len(harness.indexed) == 10


def test_beyond_the_limit_recent_files_are_indexed(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    harness.memory = NGramModel(Alphabet("\nab"), max_chars=50)
    for i in range(10):
        harness.write(f"{i}.py", "a = 12345\n", changed_s=i)
    with caplog.at_level(logging.INFO):
        harness.scan()
    assert harness.indexed == {"9.py", "8.py", "7.py", "6.py"}  # twelve characters each, and two more
    assert harness.memory.n_chars <= 50
    assert "skipped: 4 files beyond maxWorkspaceChars" in caplog.text


def test_open_documents_take_precedence_over_files(harness: Harness) -> None:
    """The editor opens the file between the indexer's reading and its hand-over."""
    harness.write("a.py", "from_disk = 1\n")
    harness.open.add(harness.write("b.py", "from_disk = 1\n"))
    harness.before_each = lambda: harness.memory.hold(harness.name("a.py"), "ab" * 99)
    harness.scan()
    assert harness.indexed == {"a.py"}
    assert harness.memory.n_chars == 2 * 99 + 2


def test_document_dropped_during_a_scan_stays_dropped(harness: Harness) -> None:
    harness.write("a.py", "a = 1\n")
    harness.before_each = lambda: harness.memory.drop(harness.name("a.py"))
    harness.scan()
    assert harness.indexed == set()


def test_segments_are_compacted(harness: Harness) -> None:
    for i in range(MAX_SEPARATE + 1):
        harness.memory.hold(str(i), "ab")
    assert harness.memory.needs_compaction
    harness.indexer.scan()
    harness.wait()
    assert not harness.memory.needs_compaction


def test_indexer_waits_during_a_request(harness: Harness) -> None:
    harness.write("a.py", "a = 1\n")
    harness.idle.clear()
    harness.indexer.scan(None)
    done = harness.indexer.submit(lambda: None)
    with pytest.raises(TimeoutError):
        done.result(0.3)
    assert harness.indexed == set()
    harness.idle.set()
    done.result()
    assert harness.indexed == {"a.py"}


def test_close_stops_a_waiting_indexer(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    harness.write("a.py", "a = 1\n")
    harness.idle.clear()
    harness.indexer.scan(None)
    harness.indexer.close()
    harness.idle.set()
    for thread in threading.enumerate():
        if thread.name.startswith("indexer"):
            thread.join(60)
            assert not thread.is_alive()
    harness.indexer.scan(None)  # nothing happens
    assert harness.indexed == set()
    assert caplog.records == []


def test_pending_scans_are_merged(harness: Harness) -> None:
    for i in range(9):
        harness.write(f"{i}.py", "a = 1\n")
    harness.before_each = lambda: setattr(harness, "n_finished", harness.n_finished + 1)
    busy = threading.Event()
    harness.indexer.submit(lambda: busy.wait() and None)
    for i in range(9):
        harness.indexer.scan([(harness.folder / f"{i}.py").as_uri()])
    busy.set()
    harness.wait()
    assert len(harness.indexed) == 9
    assert harness.n_finished == 3  # begun, and handed over, once


@pytest.mark.parametrize("is_full_first", [False, True])
def test_closed_document_is_read_again_by_a_pending_full_scan(harness: Harness, *, is_full_first: bool) -> None:
    name = harness.write("a.py", "a = 1\n")
    harness.scan()
    busy = threading.Event()
    harness.indexer.submit(lambda: busy.wait() and None)
    scans: list[list[str] | None] = [None, [(harness.folder / "a.py").as_uri()]]
    harness.memory.drop(name)  # as when the editor closes it
    for uris in scans if is_full_first else reversed(scans):
        harness.indexer.scan(uris)
    busy.set()
    harness.wait()
    assert harness.indexed == {"a.py"}


def test_error_is_logged_and_the_next_scan_runs(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    harness.write("a.py", "a = 1\n")

    def fail() -> None:
        raise OSError("the disk is on fire")

    harness.before_each = fail
    harness.scan()
    assert "the disk is on fire" in caplog.text
    harness.before_each = lambda: None
    harness.scan()
    assert harness.indexed == {"a.py"}


class Shown:
    """A progress bar that records the calls."""

    def __init__(self) -> None:
        self.told = list[tuple[str, int | None]]()

    def report(self, message: str = "", percentage: int | None = None) -> None:
        self.told.append(("report", percentage))

    def end(self, message: str = "") -> None:
        self.told.append(("end", None))


def test_full_scan_shows_progress(harness: Harness) -> None:
    bars = list[Shown]()
    harness.indexer.new_bar = lambda: bars.append(Shown()) or bars[-1]  # type: ignore[func-returns-value]
    for i in range(4):
        harness.write(f"{i}.py", "a = 1\n")
    harness.scan()
    assert bars[0].told == [("report", 25), ("report", 50), ("report", 75), ("report", 100), ("end", None)]
    harness.scan()
    assert bars[1].told == [("end", None)]  # nothing to do: it never began, and so is not shown
    harness.scan("1.py")
    assert len(bars) == 2

    harness.write("4.py", "a = 1\n")
    harness.before_each = lambda: (_ for _ in ()).throw(OSError("the disk is on fire"))
    harness.scan()
    assert bars[2].told == [("end", None)]


@pytest.fixture
def again(harness: Harness, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Harness]]:
    """The next session: a new n-gram model for the same folder; the first has indexed five files and saved them."""
    path, harnesses = tmp_path_factory.mktemp("cache") / "one.memory", list[Harness]()

    def start() -> Harness:
        harnesses.append(Harness(harness.folder))
        harnesses[-1].save_to(path)
        return harnesses[-1]

    for i in range(5):
        harness.write(f"{i}.py", f"a = {i}\n" * (30 + i))
    harness.save_to(path)
    harness.ever_open.add(harness.write("4.py", "the editor had it\n"))
    harness.scan()
    assert path.exists()
    yield start
    for other in harnesses:
        other.indexer.close()


def test_saved_index_avoids_reading_files_again(
    again: Callable[[], Harness], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    harness = again()
    harness.write("1.py", "b = 1\n", changed_s=2_000)
    (harness.folder / "2.py").unlink()
    harness.write("new.py", "b = 2\n")
    read, read_written = list[str](), scanner.read_written

    def note(paths: list[Path], *more: Any) -> Iterator[tuple[str, str]]:
        read.extend(path.name for path in paths)
        return read_written(paths, *more)

    monkeypatch.setattr(scanner, "read_written", note)
    with caplog.at_level(logging.INFO):
        harness.scan()
    assert sorted(read) == ["1.py", "4.py", "new.py"]
    assert harness.indexed == {"0.py", "1.py", "3.py", "4.py", "new.py"}
    assert "4 files from the saved index" in caplog.text
    fresh = Harness(harness.folder)
    fresh.scan()
    for before in ("a =", "b =", "editor "):
        context = context_of(harness.memory.alphabet, before), harness.memory.possible()
        wanted = context_of(fresh.memory.alphabet, before), fresh.memory.possible()
        numbers = [fresh.memory.alphabet.symbol_of(c) - 1 for c in "\nab =12ehtd"]
        mine = [harness.memory.alphabet.symbol_of(c) - 1 for c in "\nab =12ehtd"]
        assert harness.memory.predict(*context)[0][mine] == pytest.approx(fresh.memory.predict(*wanted)[0][numbers])
    fresh.indexer.close()


def test_saved_index_at_the_limit_is_complete(
    harness: Harness, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path_factory.mktemp("cache") / "one.memory"
    for i in range(20):
        harness.write(f"{i}.py", "a = 12345\n", changed_s=i)
    for session in (harness, Harness(harness.folder)):
        session.memory = NGramModel(Alphabet("\nab"), max_chars=50)
        session.save_to(path)
        with caplog.at_level(logging.INFO):
            session.scan()
            session.scan()
        assert session.indexed == {"19.py", "18.py", "17.py", "16.py"}
        session.indexer.close()
    first, again, second, again_second = [record.message for record in caplog.records]
    assert "indexed 6 files, 60 characters" in first
    assert "indexed 2 files, 20 characters" in second
    assert "4 files from the saved index" in second
    assert all("skipped: 14 files" in line for line in (first, again, second, again_second))


def test_index_is_saved_rarely_and_only_after_a_merge(
    again: Callable[[], Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    harness, saved = again(), list[int]()
    monkeypatch.setattr(persistence, "save_index", lambda _path, kept, *_: saved.append(len(kept.stamps)))
    harness.scan()
    assert saved == []  # the file has all documents but one
    for i in range(20):
        harness.write(f"more {i}.py", "a = b\n" * 9)
    harness.scan()
    assert saved == [25]
    for i in range(20, 60):
        harness.write(f"more {i}.py", "a = b\n" * 9)
    harness.scan()
    assert saved == [25]  # too soon
    now = time.monotonic() + SAVE_INDEX_S
    monkeypatch.setattr(time, "monotonic", lambda: now)
    harness.scan()
    assert saved == [25, 65]


def test_saved_index_is_released_once_it_is_outdated(again: Callable[[], Harness]) -> None:
    harness, merged = again(), list[weakref.ref[MergedSegment]]()
    for part in range(2):  # the second time, it is not saved again so soon
        for i in range(20):
            harness.write(f"more {part} {i}.py", "a = b\n" * 9)
        harness.scan()
        merged.append(weakref.ref(harness.merged))
    gc.collect()
    assert merged[0]() is None


def test_forgotten_and_old_files_are_deleted(again: Callable[[], Harness]) -> None:
    harness = again()
    assert harness.indexer.file
    path = harness.indexer.file.path
    old, young = path.with_name("old.memory"), path.with_name("young.memory")
    for other in (old, young):
        other.write_text("x")
    os.utime(old, (time.time() - OLD_S - 1,) * 2)
    harness.indexer.file.delete()
    assert not path.exists()
    harness.indexer.file.delete()
    harness.scan()

    assert path.exists()
    assert (old.exists(), young.exists()) == (False, True)


def test_saved_files_excluded_since_are_not_restored(again: Callable[[], Harness]) -> None:
    harness = again()
    harness.folders.choose(Settings(exclude=("1.py",)))
    harness.before_each = lambda: indexed.append(harness.indexed)
    indexed = list[set[str]]()
    harness.scan()
    assert indexed[-1] >= {"0.py", "2.py", "3.py"}
    assert not any("1.py" in names for names in indexed)


def test_index_forgotten_during_a_save_is_deleted(
    again: Callable[[], Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = again()
    kept, save = harness.indexer.file, persistence.save_index
    assert kept

    def forgotten_meanwhile(*arguments: Any) -> None:
        kept.delete()
        save(*arguments)

    monkeypatch.setattr(persistence, "save_index", forgotten_meanwhile)
    for i in range(20):
        harness.write(f"more {i}.py", "a = b\n" * 9)
    harness.scan()
    assert not kept.path.exists()
