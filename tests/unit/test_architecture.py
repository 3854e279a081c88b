"""docs/architecture.md: the generated parts are current, and every symbol exists. docs/api.md: the examples run."""

import importlib
import os
import re
import subprocess
from pathlib import Path

import pytest
from architecture_map import HEADING, PAGE, first_sentence, page, transitive_reduction

ROOT = Path(__file__).resolve().parents[2]
SYMBOL = re.compile(r"`(tinycopilot[\w.]*(?::[\w.]+)?)`")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "api.md").read_text("utf-8"), re.M | re.S)


SMALL = """
from tinycopilot.training.train_config import SIZES, Size
SIZES["nano"] = Size(n_layers=1, n_heads=2, d_model=16, window=32)
"""


def test_diagram_and_index_are_current() -> None:
    assert page() == PAGE.read_text("utf-8"), "run: make map"


@pytest.mark.parametrize(
    ("docstring", "cell"),
    [
        ("Scanner: finds files\nin `a.py`. Not thread-safe.", "Finds files in `a.py`"),
        ("`a | b`: pipes.\n\nMore.", r"`a \| b`: pipes"),
        ("No full stop\n\nMore. And more.", "No full stop"),
    ],
)
def test_first_sentence(docstring: str, cell: str) -> None:
    assert first_sentence(docstring) == cell


def test_edges_that_follow_from_others_are_left_out() -> None:
    needed = {("a", "b"), ("b", "c"), ("a", "d")}
    assert transitive_reduction(needed | {("a", "c")}) == needed


@pytest.mark.parametrize("symbol", SYMBOL.findall(PAGE.read_text("utf-8").partition(HEADING)[0]))
def test_symbol_exists(symbol: str) -> None:
    module, _, names = symbol.partition(":")
    found = importlib.import_module(module)
    for name in filter(None, names.split(".")):
        found = getattr(found, name)


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES)
def test_example_runs(example: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """As they are; the network that is trained is small."""
    trains = "train(" in example
    python = request.getfixturevalue("training_python" if trains else "python")
    (tmp_path / "corpus.txt").write_text("def read_days(path):\n    return path.read_text()\n" * 60)
    run = subprocess.run(
        [*python, "-c", trains * SMALL + example],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env=os.environ | {"PYTHONPATH": f"{ROOT}"}, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    if "complete" in example:
        assert run.stdout.startswith("ays ")
