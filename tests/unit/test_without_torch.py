"""Commands that complete, in new processes that cannot import PyTorch."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tinycopilot.paths import ModelPaths

pytestmark = pytest.mark.slow

CODE = "def add(a, b):\n    return a + b\n\n\n" * 200
WITHOUT_TORCH = """
import sys; assert "torch" not in sys.modules; sys.modules["torch"] = None
from tinycopilot.evaluation import bench
for name, value in {"WORKSPACE_CHARS": 6_000, "N_PLACES": 1, "N_FILES": 1, "N_KEYS": 3, "N_JUMPS": 2}.items():
    setattr(bench, name, value)
from tinycopilot.training.train_config import SIZES, Size
SIZES["base"] = Size(n_layers=3, n_heads=4, d_model=64)
from tinycopilot.cli import main
for words in (
    ["eval", "code.py", "--max_chars", "20"],
    ["bench", "."],
    ["bench", ".", "--size", "base", "--model_path", sys.argv[1]],
):
    if words[-1] == sys.argv[1]:
        bench.measure_footprint = lambda *_: {}  # a process of its own, which the call before has measured
    assert main([*words, "--json"]) == 0, words
"""


def test_statistics_without_torch(tmp_path: Path, pair: ModelPaths, python: Sequence[str]) -> None:
    (tmp_path / "code.py").write_text(CODE)
    command = [*python, "-c", WITHOUT_TORCH, str(pair.model)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    for one, name in zip(figures, ("keystrokes_saved", "suggestion_ms", "suggestion_ms"), strict=True):
        assert name in one


def test_doctor_accepts_the_model_without_torch(tmp_path: Path, pair: ModelPaths, python: Sequence[str]) -> None:
    from tinycopilot.evaluation.environment import _describe_model

    code = (
        "import json, sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from tinycopilot.evaluation.environment import _describe_model\n"
        "from tinycopilot.paths import ModelPaths\n"
        "print(json.dumps(_describe_model(ModelPaths(*map(Path, sys.argv[1:])))))"
    )
    words = [*python, "-c", code, str(pair.model), str(pair.tokenizer)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True)
    assert json.loads(done.stdout) == pytest.approx(_describe_model(pair))
