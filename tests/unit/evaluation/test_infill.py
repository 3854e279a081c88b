"""`eval --infill`: which parts are removed, and how the suggestions are counted."""

import json
import random
from pathlib import Path

import pytest

from tinycopilot.cli import main
from tinycopilot.evaluation.infill import KINDS, N_PER_KIND, NOTHING, gaps
from tinycopilot.paths import ModelPaths

CODE = """def area(width, height):
    total = width * height  # of it
    näme = "\N{SNOWMAN}ü", area(total, width), self.größe.width + 1
    return add(width, height=total)
"""


def removed(text: str, first: int = 0, last: int | None = None) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {kind: set() for kind in (*KINDS, NOTHING)}
    for gap in gaps(text, first, len(text) if last is None else last, random.Random(1)):
        found[gap.kind].add(text[gap.start : gap.end])
    return found


def test_parts_of_each_kind_are_removed() -> None:
    found = removed(CODE)
    assert found["argument"] == {"width", "total"}
    assert found["identifier"] == {"width", "total", "area", "self", "größe", "add", "näme", "height"}
    assert found["expression"] == {"area(total, width)", "width * height"}
    assert found["rest before a comment"] <= {"= width * height", "width * height", "* height", "height"}
    assert len(found["rest before a comment"]) == 1
    assert found[NOTHING] == {""}


@pytest.mark.parametrize("line_end", ["\r\n", "\r"])
def test_other_line_ends(line_end: str) -> None:
    found = removed(CODE.replace("\n", line_end))
    assert found["argument"] == removed(CODE)["argument"]


def test_gaps_are_inside_the_excerpt_and_few() -> None:
    text = "f(alpha, beta)\n" * 200
    first, last = 300, 900
    found = list(gaps(text, first, last, random.Random(1)))
    assert all(first <= gap.start <= gap.end <= last for gap in found)
    assert sum(gap.kind == "argument" for gap in found) == N_PER_KIND


@pytest.mark.parametrize("text", ["", "def f(:\n", "x = 'a\n", "\0", "(" * 500, "-" * 20_000 + "1"])
def test_invalid_python_has_no_gaps(text: str) -> None:
    assert list(gaps(text, 0, len(text), random.Random(1))) == []


def test_code_with_invalid_escape_sequences_has_gaps() -> None:
    text = r'pattern = compile("\d+", flags)  # digits' + "\n"  # a SyntaxWarning, or older, a DeprecationWarning
    assert any(gap.kind == "argument" for gap in gaps(text, 0, len(text), random.Random(1)))


@pytest.fixture
def files(pair: ModelPaths) -> list[str]:
    return ["--model_path", str(pair.model), "--tokenizer_path", str(pair.tokenizer)]


def test_command_reports_shares(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text(CODE)
    assert main(["eval", str(tmp_path), "--infill", "--json", *files]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert list(figures) == ["all", *KINDS, NOTHING, "latency_ms"]
    assert figures["all"]["gaps"] > 10
    assert sum(figures["all"][outcome] for outcome in ("exact", "wrong", "silent")) == pytest.approx(1, abs=1e-3)
    assert main(["eval", str(tmp_path), "--infill", *files]) == 0
    assert "rest before a comment" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [(["--report", "a.html"], CODE, "--infill writes no report"), ([], "x = 1\n", "--infill expects Python files")],
)
def test_refusals(
    words: list[str], code: str, said: str, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text(code)
    assert main(["eval", str(tmp_path), "--infill", *words, *files]) == 2
    assert said in capsys.readouterr().err
