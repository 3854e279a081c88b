"""Commands that complete, in fresh processes in which PyTorch cannot be imported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tinycopilot.places import ModelPaths

CODE = "def add(a, b):\n    return a + b\n\n\n" * 200
WITHOUT_TORCH = (
    "import sys; sys.modules['torch'] = None\n"
    "from tinycopilot.insight import bench\n"
    "for name, value in {'WORKSPACE_CHARS': 9_000, 'N_PLACES': 1, 'N_FILES': 1, 'N_KEYS': 3, 'N_JUMPS': 2}.items():\n"
    "    setattr(bench, name, value)\n"
    "from tinycopilot.cli import main\n"
    "sys.exit(main())"
)


def run(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", WITHOUT_TORCH, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    ("words", "figure"),
    [
        (["eval", "code.py", "--max_chars", "20"], "keystrokes_saved"),
        (["bench", "."], "suggestion_ms"),
        (["bench", ".", "--size", "base"], "suggestion_ms"),
    ],
)
def test_figures_without_torch(tmp_path: Path, words: list[str], figure: str) -> None:
    (tmp_path / "code.py").write_text(CODE)
    done = run(tmp_path, *words, "--json")
    assert done.returncode == 0, done.stderr
    assert figure in json.loads(done.stdout)


def test_doctor_finds_the_model_sound_without_torch(tmp_path: Path, pair: ModelPaths) -> None:
    from tinycopilot.insight.environment import _describe_model

    code = (
        "import json, sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from tinycopilot.insight.environment import _describe_model\n"
        "from tinycopilot.places import ModelPaths\n"
        "print(json.dumps(_describe_model(ModelPaths(*map(Path, sys.argv[1:])))))"
    )
    words = [sys.executable, "-c", code, str(pair.model), str(pair.tokenizer)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True)
    assert json.loads(done.stdout) == pytest.approx(_describe_model(pair))
