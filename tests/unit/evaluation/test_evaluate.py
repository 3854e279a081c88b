"""The command `eval` as a user runs it."""

import hashlib
import io
import json
import os
import re
from pathlib import Path

import pytest

from tinycopilot.cli import main
from tinycopilot.completion.engine import Engine
from tinycopilot.evaluation.excerpts import from_paths
from tinycopilot.paths import ModelPaths

CODE = "def add(a, b):\n    return a + b\n\n\n" * 10


PAGE = '<!DOCTYPE html>\n<meta name="generator" content="tinycopilot">\nthe one before'


@pytest.fixture
def files(pair: ModelPaths) -> list[str]:
    return ["--model_path", str(pair.model), "--tokenizer_path", str(pair.tokenizer)]


def test_json_has_every_measure(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text(CODE)
    (tmp_path / "code" / "b.py").write_text("x = 1\n")
    (tmp_path / "code" / "notes.txt").write_text("no code")
    assert main(["eval", str(tmp_path / "code"), "--max_chars", "60", "--json", *files]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["files"] == 2
    assert figures["chars"] == 60
    assert set(figures) == {
        *("files", "chars", "bits_per_char", "keystrokes_saved", "shown_per_100", "accepted_share"),
        *("median_accepted", "flicker", "latency_ms", "cpu_s_per_1000_keys", "calibration_error"),
        "calibration_error_by_context",
    }
    assert 0 < figures["latency_ms"]["p50"] <= figures["latency_ms"]["p99"]
    assert figures["bits_per_char"]["network"] > 1


def test_table_names_each_file(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(CODE)
    assert main(["eval", str(tmp_path / "a.py"), str(tmp_path / "b.py"), "--max_chars", "40", *files]) == 0
    out = capsys.readouterr().out
    assert "a.py" in out
    assert "b.py" in out
    assert "all files" in out


def listing(path: Path, text: str, **changed: object) -> Path:
    entry = {"file": "a.py", "first": 20, "last": 50, "sha256": hashlib.sha256(text.encode()).hexdigest()} | changed
    path.write_text(json.dumps([entry]))
    return path


def test_list_ranges_are_used(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text(CODE)
    path = listing(tmp_path / "list.json", CODE)
    assert main(["eval", str(tmp_path), "--list", str(path), "--json", *files]) == 0
    assert json.loads(capsys.readouterr().out)["chars"] == 30


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sha256": "0" * 64}, "differs from the listed file"),
        ({"file": "gone.py"}, "gone.py: cannot be read"),
        ({"first": None}, "not a list of files"),
        ({"last": float("inf")}, "not a list of files"),
        ({"last": 10**9}, "has no characters 20 to 1000000000"),
        ({"first": -1}, "has no characters -1 to 50"),
    ],
)
def test_invalid_list_is_one_line(
    changed: dict[str, object], said: str, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text(CODE)
    path = listing(tmp_path / "list.json", CODE, **changed)
    assert main(["eval", str(tmp_path), "--list", str(path), *files]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_nothing_to_replay_is_one_line(tmp_path: Path, files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(tmp_path), *files]) == 2
    assert "nothing to replay: no text with .py there; use other files" in capsys.readouterr().err
    (tmp_path / "empty.py").write_text("")
    assert main(["eval", str(tmp_path / "empty.py"), *files]) == 2
    assert "nothing to replay: empty.py is empty; use other files" in capsys.readouterr().err
    (tmp_path / "binary.py").write_bytes(b"\0\1")
    assert main(["eval", str(tmp_path), *files]) == 2
    assert "no text with .py there (left out: 1 binary file (binary.py)); use other files" in capsys.readouterr().err


def test_short_files_leave_their_share_to_longer_ones(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x" * 100)
    (tmp_path / "b.py").write_text("y" * 10)
    (tmp_path / "c.py").write_text("z" * 50)
    excerpts, _ = from_paths([tmp_path], [".py"], 90, None)
    assert [excerpt.last - excerpt.first for excerpt in excerpts] == [40, 10, 40]
    assert excerpts[0].first == 30


def test_secrets_are_not_replayed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "secrets.py").write_text("PASSWORD = 'hunter2'\n")
    excerpts, left_out = from_paths([tmp_path], [".py"], 90, None)
    assert [Path(excerpt.name).name for excerpt in excerpts] == ["a.py"]
    assert any("secrets.py" in line for line in left_out)


def test_replayed_file_is_not_in_the_index(
    files: list[str], in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A short file has no shingles to compare, so it is identified by its path alone."""
    (in_folder / "a.py").write_text("value = 1\n")
    (in_folder / "b.py").write_text("# another\n")
    bits = []
    for path, workspace in (("a.py", str(in_folder)), (str(in_folder / "a.py"), "."), ("./x/../a.py", str(in_folder))):
        (in_folder / "x").mkdir(exist_ok=True)
        assert main(["eval", path, "--workspace", workspace, "--json", *files]) == 0
        bits.append(json.loads(capsys.readouterr().out)["bits_per_char"]["memory"])
    assert bits[0] == bits[1] == bits[2]
    (in_folder / "c.py").write_text("value = 1\n")  # under another name it is another file
    assert main(["eval", "a.py", "--workspace", ".", "--json", *files]) == 0
    assert json.loads(capsys.readouterr().out)["bits_per_char"]["memory"] < bits[0]


def test_report_with_json(files: list[str], in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (in_folder / "my code").mkdir()
    (in_folder / "my code" / "a.py").write_text(CODE)
    words = ["eval", "my code", "--max_chars", "40", "--json", "--report", "page.html", *files]
    assert main(words) == 0
    said = capsys.readouterr()
    figures = json.loads(said.out)
    assert said.err.splitlines()[-1].endswith(str(in_folder / "page.html"))
    page = (in_folder / "page.html").read_text("utf-8")
    assert "tinycopilot eval &#39;my code&#39; --max_chars 40 --json --report page.html --model_path" in page
    assert re.search(r"tiny_gpt\.pth, SHA-256 [0-9a-f]{16}<", page)
    assert f"<b>{figures['bits_per_char']['mixed']:.3f}</b>" in page
    assert "<h1>a.py</h1>" in page


@pytest.mark.parametrize(("error", "code"), [(BrokenPipeError(), 0), (OSError(28, "No space left on device"), 2)])
def test_nan_figures_do_not_break_the_page(
    error: OSError, code: int, files: list[str], in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`eval ... | true`, or a full disk."""

    class Broken(io.TextIOWrapper):
        def write(self, text: str) -> int:
            raise error

    (in_folder / "a.py").write_text(CODE)
    with (in_folder / "out").open("wb") as file:
        monkeypatch.setattr("sys.stdout", Broken(file))
        assert main(["eval", "a.py", "--max_chars", "20", "--report", "page.html", *files]) == code
    assert "<h1>a.py</h1>" in (in_folder / "page.html").read_text("utf-8")


def test_no_report_without_the_flag(files: list[str], in_folder: Path) -> None:
    (in_folder / "a.py").write_text(CODE)
    before = {path.name for path in in_folder.iterdir()}
    assert main(["eval", "a.py", "--max_chars", "5", *files]) == 0
    assert {path.name for path in in_folder.iterdir()} == before


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ("gone/page.html", "gone/page.html: cannot write a report there (No such file or directory)"),
        ("folder.html", "folder.html: cannot write a report there (not a regular file)"),
        ("mine.html", "mine.html: exists and is not a tinycopilot report"),
        ("a.py", "a.py: cannot write a report there (the name does not end in .html)"),
        ("a.py/page.html", "a.py/page.html: cannot write a report there (Not a directory)"),
        ("", "empty path"),
        ("typed.html", "typed.html: is one of the files to replay"),
        ("link.html", "typed.html: is one of the files to replay"),
    ],
)
def test_invalid_path_is_reported_before_replay(
    report: str, said: str, in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Engine, "load", lambda *_: pytest.fail("the replay has started"))
    (in_folder / "folder.html").mkdir()
    (in_folder / "a.py").write_text(CODE)
    (in_folder / "typed.html").write_text(PAGE)
    (in_folder / "link.html").symlink_to("typed.html")
    (in_folder / "mine.html").write_text("<p>mine")
    assert main(["eval", ".", "--ext", "py", "html", "--report", report]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert (in_folder / "a.py").read_text() == CODE
    assert (in_folder / "typed.html").read_text() == PAGE
    assert (in_folder / "mine.html").read_text() == "<p>mine"
    assert len([*in_folder.iterdir()]) == 5


def test_failed_page_write_keeps_the_figures(
    files: list[str], in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (in_folder / "a.py").write_text(CODE)
    (in_folder / "page.html").write_text(PAGE)
    monkeypatch.setattr(os, "replace", full_disk)
    assert main(["eval", "a.py", "--max_chars", "5", "--json", "--report", "page.html", *files]) == 2
    said = capsys.readouterr()
    assert json.loads(said.out)["chars"] == 5
    assert "page.html: cannot write the report (No space left on device)" in said.err
    assert (in_folder / "page.html").read_text() == PAGE


def test_link_target_is_written(files: list[str], in_folder: Path) -> None:
    (in_folder / "a.py").write_text(CODE)
    (in_folder / "real.html").write_text(PAGE)
    (in_folder / "link.html").symlink_to("real.html")
    assert main(["eval", "a.py", "--max_chars", "5", "--report", "link.html", *files]) == 0
    assert (in_folder / "link.html").is_symlink()
    assert "<h1>a.py</h1>" in (in_folder / "real.html").read_text("utf-8")
