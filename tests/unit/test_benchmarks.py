"""Published comparisons with other programs: both sides get the same text, and each character counts once."""

import math
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tinycopilot.completion.engine import Engine
from tinycopilot.completion.network import Network
from tinycopilot.evaluation.replay import Excerpt
from tinycopilot.model.tokenizer import SimpleTokenizer

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a module of benchmarks/ by name."""
    monkeypatch.syspath_prepend(BENCHMARKS)

    def load(name: str) -> ModuleType:
        return __import__(name)

    return load


class Bigram(nn.Module):
    """nanoGPT's interface: logits for each position, and a loss; they depend on the last id alone."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.table = torch.randn(vocab_size, vocab_size, generator=torch.Generator().manual_seed(0))

    def forward(self, ids: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        assert ids.shape == targets.shape
        assert ids.size(1) <= 64
        return self.table[ids], torch.tensor(0.0)


@pytest.mark.parametrize(("first", "last"), [(0, 1), (0, 300), (31, 33), (63, 64), (100, 257), (250, 300)])
def test_nanogpt_windows_count_each_character_once(benchmark: Any, first: int, last: int) -> None:
    text = "".join(chr(97 + i * i % 7) for i in range(300))
    id_of = {character: i for i, character in enumerate("\nabcdefg")}
    network = Bigram(len(id_of))
    log_probs = network.table.log_softmax(-1) / math.log(2)
    whole = "\n" + text
    expected = -sum(log_probs[id_of[whole[i]], id_of[whole[i + 1]]].item() for i in range(first, last))
    assert benchmark("nanogpt").bits_of(network, id_of, text, first, last) == pytest.approx(expected, rel=1e-4)


CODE = "".join(f"def area_{i}(width, height):\n    return width * height + {i * i}\n\n\n" for i in range(300))


@pytest.fixture
def packages(tmp_path: Path) -> list[Excerpt]:
    """Excerpts of two packages, one with a duplicated file."""
    texts = {
        "one/a.py": "import os\n\n\ndef there(path):\n    return os.path.exists(path)\n" * 3,
        "one/b.py": "import sys\n\n\ndef out(text):\n    sys.stdout.write(text)  # \u00e9\n" * 3,
        "one/copies/a.py": "import os\n\n\ndef there(path):\n    return os.path.exists(path)\n" * 4,
        "two/c.py": "import os\n\n\ndef here(path):\n    return os.path.isfile(path)\n" * 3,
        "two/d.py": "import re\n",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    listed = [("one/a.py", 70, 90), ("one/b.py", 60, 80), ("two/c.py", 60, 90)]
    return [
        Excerpt(str(tmp_path / name), texts[name], first, last, tmp_path / name[:3]) for name, first, last in listed
    ]


def test_zpaq_gets_the_indexed_text(benchmark: Any, packages: list[Excerpt]) -> None:
    jobs = benchmark("bits_vs_zpaq").jobs(packages)
    a, b = (excerpt.text for excerpt in packages[:2])
    copy = (packages[0].workspace / "copies" / "a.py").read_text("utf-8")
    assert [job.others for job in jobs] == [(b,), (a, copy), ("import re\n",)]
    assert [job.is_first for job in jobs] == [True, False, True]
    before, text = jobs[1].stream("\nlearned")
    assert before.decode() == "\nlearned\n" + a + "\n" + copy + "\n" + b[:60]
    assert text.decode() == b[60:80]


def test_zpaq_gets_the_training_text(benchmark: Any, tmp_path: Path) -> None:
    for i in range(30):
        (tmp_path / f"{i:02}.py").write_text(f"value = {i}  # \u00e9\n" * 20, "utf-8")
    learned = benchmark("bits_vs_zpaq").learned_text([str(tmp_path)])
    documents = ["\n" + path.read_text("utf-8") for path in sorted(tmp_path.iterdir())]
    given = [document for document in documents if document in learned.text]
    assert Counter(learned.text) == Counter("".join(given))
    assert 0 < len(given) < len(documents)  # some are held out


def test_independent_files_do_not_help_each_other(
    benchmark: Any, packages: list[Excerpt], network: Network, tokenizer: SimpleTokenizer
) -> None:
    our_bits = benchmark("bits_vs_zpaq").our_bits

    def last(listed: list[Excerpt], afresh: bool) -> float:
        *_, bits = our_bits(Engine(network, tokenizer), listed, afresh)
        return float(bits["afresh" if afresh else "mixed"])

    alone = last(packages[-1:], False)
    assert last(packages, True) == pytest.approx(alone, abs=1e-9)
    assert abs(last(packages, False) - alone) > 1e-6
