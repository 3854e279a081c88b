"""The command `explain` in the terminal, and its errors."""

import re
from pathlib import Path

import pytest

from tinycopilot import UserError
from tinycopilot.cli import main
from tinycopilot.explain.run import EXAMPLE, read_target
from tinycopilot.paths import ModelPaths

CODE = "def add(a, b):\n    return a + b\n\n\nprint(add(1, 2))\n"


@pytest.fixture
def explain(pair: ModelPaths, in_folder: Path, capsys):  # noqa: ARG001
    """Run the command; returns what it prints, standard output and standard error."""

    def run(*words: str, code: int = 0) -> tuple[str, str]:
        assert main(["explain", "--model_path", str(pair.model), *words]) == code
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return said.out, said.err

    return run


PARTS = ("Text", "Next character", "Seen before", "Decision")


@pytest.mark.parametrize(
    "text",
    ["", "a", "\n", "\N{SNOWMAN}\N{HANGUL SYLLABLE HAN}\U0001f600", "</script><script>alert(1)</script><!--",
     "\x1b[31mred\x1b]0;title\x07", "[bold]x[/bold]", "\x00", "a\r\nb\rc", "{{ 7 * 7 }}{% raw %}"],
)  # fmt: skip
def test_any_text_is_explained(text: str, explain) -> None:
    out, _ = explain(text)
    assert [line.strip() for line in out.splitlines() if line.strip() in PARTS] == list(PARTS)
    assert "\x1b" not in out  # no text can move the cursor or change the colors
    assert "\x07" not in out
    if "[bold]" in text:
        assert "[bold]x[/bold]" in out


def test_long_text_is_cut_and_reported(explain) -> None:
    out, err = explain("x = add(a, b)\n" * 7_143)
    assert "explained: the last 200 of 100,002 characters" in err
    assert out.startswith("Text\n…")


def test_position_in_a_file_indexes_the_other_files(explain, in_folder: Path) -> None:
    (in_folder / "other.py").write_text(CODE)
    (in_folder / "a.py").write_text("x = 1\ndef add(a\nlast\n")
    out, _ = explain("a.py:2:10")
    assert "other.py:1  def add(a, b):" in out
    out, _ = explain("a.py:2:10", "--workspace", str(in_folder))
    assert "other.py:1  def add(a, b):" in out
    out, _ = explain("def add(a", "--workspace", ".")
    assert "other.py:1  def add(a, b):" in out
    out, _ = explain("def add(a")
    assert "other.py" not in out


def test_completed_word_is_named(explain, in_folder: Path) -> None:
    (in_folder / "other.py").write_text("load_kestrel()\n")
    note = "All words in the workspace that begin like this one continue with s."
    out, _ = explain("bird = load_ke", "--workspace", ".")
    assert note in " ".join(out.split())
    out, _ = explain("bird = load_ke")
    assert "begin like this one" not in out


def test_standard_input_is_read(explain, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("abc abc"))
    out, _ = explain("-")
    assert "abc abc" in out


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("a.py:0:1", "has no line 0; use a line from 1 to 3"),
        ("a.py:4:1", "has no line 4"),
        (f"a.py:{10**17}:1", "has no line 1000"),
        ("a.py:2:99", "line 2 has no column 99; use one from 1 to 6"),
        ("missing.py:1:1", "file not found"),
        ("binary.py:1:1", "a binary file"),
        (".env:1:1", "probably a secret file"),
        (".aws/config:1:1", "probably a secret file"),
        ("folder:1:1", "not a regular file"),
        *((target, "a.py: add the cursor's position, as in a.py:1:1") for target in ("a.py", "a.py:2", "a.py:")),
    ],
)
def test_invalid_position_is_one_line(target: str, says: str, explain, in_folder: Path) -> None:
    (in_folder / "a.py").write_text("one\nother\n")
    (in_folder / "binary.py").write_bytes(b"\0\1\2")
    (in_folder / ".env").write_text("A=b\n")
    (in_folder / ".aws").mkdir()
    (in_folder / ".aws" / "config").write_text("a = b\n")
    (in_folder / "folder").mkdir()
    out, err = explain(target, code=2)
    assert out == ""
    [line] = err.splitlines()
    assert says in line


@pytest.mark.parametrize(
    "text", ["x[1:2:3", "time 12:30:45", "a" * 5000 + ":1:2", "a.py:" + "9" * 5000 + ":1", "\0.py:1:1"]
)
@pytest.mark.usefixtures("in_folder")
def test_text_that_looks_like_a_position_is_text(text: str) -> None:
    assert read_target(text, None)[0].before == text


def test_position_splits_the_text(in_folder: Path) -> None:
    (in_folder / "a.py").write_text("one\ntwo\nthree")
    for line, column, before in ((1, 1, ""), (2, 3, "one\ntw"), (3, 6, "one\ntwo\nthree")):
        request, project = read_target(f"a.py:{line}:{column}", None)
        assert (request.before, request.before + request.after) == (before, "one\ntwo\nthree")
        assert (request.document, project.folder) == ("a.py", in_folder.resolve())
    assert read_target(None, None)[0].before == EXAMPLE


@pytest.mark.usefixtures("in_folder")
def test_workspace_must_be_a_folder() -> None:
    with pytest.raises(UserError, match="expects the folder to index"):
        read_target("a", "missing")


def test_figures_equal_the_trace(explain, pair: ModelPaths) -> None:
    from tinycopilot.completion.engine import Engine, Request
    from tinycopilot.completion.request import CompleterSettings
    from tinycopilot.explain.trace import likeliest, trace
    from tinycopilot.page.words import name_of

    text = "return a + b\n    return a"
    out, _ = explain(text)
    traced = trace(Engine.load(pair, CompleterSettings()), Request(text))
    prediction = traced.ahead[0].prediction
    rows = [likeliest(row, traced.alphabet, 1)[0] for row in (*prediction.rows, prediction.log_probs)]
    first = out[out.index("weight") :].splitlines()[1]
    found = re.findall(r"(\S+) +([\d.]+) %", first)
    assert found == [(name_of(c), f"{100 * p:.1f}") for c, p in rows]
    weights = [f"{w:.2f}" for w in traced.engine.mixture.weights(prediction)]
    assert re.findall(r"weight ([\d.]+)", out) == weights


def test_position_in_a_file_of_an_unreadable_folder_is_not_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(PermissionError):  # cli.main prints it
        read_target("closed/a.py:1:1", None)
