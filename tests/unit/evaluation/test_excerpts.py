"""Which files of a workspace are indexed while one of them is replayed."""

from pathlib import Path

import pytest

from tinycopilot.completion.ngram import NGramModel
from tinycopilot.completion.segments import Alphabet
from tinycopilot.evaluation import excerpts as excerpts_module
from tinycopilot.evaluation.excerpts import Excerpt, WorkspaceIndex, are_near_duplicates, shingles

LINES = [f"a line of its own, {i}, which is longer than a shingle is: {i * i}\n" for i in range(20)]
TEXTS = {
    "own.py": "".join(LINES),
    "copy.py": "".join(LINES[:15]) + "another end\n",
    "other.py": "".join(LINES[:2]) + "".join(f"def another_function_{i}(x):\n    return x + {i}\n" for i in range(30)),
}


def held(memory: NGramModel) -> set[str]:
    return {name for name in TEXTS if name in memory}


def test_file_and_its_copies_are_excluded() -> None:
    memory = NGramModel(Alphabet("\nab"))
    index = WorkspaceIndex(memory)
    index.load(TEXTS)
    assert held(memory) == set(TEXTS)
    with index.excluding_duplicates_of(Excerpt("own.py", TEXTS["own.py"], 0, 10, Path())):
        assert held(memory) == {"other.py"}
        memory.hold("own.py", "as far as it is typed")
    assert held(memory) == set(TEXTS)
    index.load({"a.py": "x = 1\n"})
    assert held(memory) == set()
    assert "a.py" in memory


def test_copies_share_half_of_the_shorter_text() -> None:
    own, copy, other = (shingles(text) for text in TEXTS.values())
    assert are_near_duplicates(own, copy)
    assert not are_near_duplicates(own, other)
    assert not are_near_duplicates(own, shingles("short\n" * 100))


def test_files_beyond_the_limit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excerpts_module, "MAX_WORKSPACE_CHARS", len(TEXTS["own.py"]))
    assert WorkspaceIndex(NGramModel(Alphabet("\nab"))).load(TEXTS) == len(TEXTS) - 1
