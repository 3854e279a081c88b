"""Comparison of two models, and bits per character against the engine's own."""

from pathlib import Path

import pytest

from tinycopilot.completion.engine import Engine, Request
from tinycopilot.completion.network import Network
from tinycopilot.evaluation.comparison import (
    MIN_HELD_OUT_CHARS,
    Bits,
    Comparison,
    choose_held_out,
    measure_bits,
    near_duplicates,
)
from tinycopilot.evaluation.excerpts import Excerpt
from tinycopilot.model.tokenizer import SimpleTokenizer

CODE = "".join(f"def area_{i}(width, height):\n    return width * height + {i}\n\n\n" for i in range(30))


def bits(mixed: list[float]) -> Bits:
    return [{"network": 2 * x, "mixed": x} for x in mixed]


def comparison(before: list[float], now: list[float]) -> Comparison:
    return Comparison(bits(before), bits(now), 3)


BEFORE = [0.5, 1.5, 1.0, 1.0] * 500


@pytest.mark.parametrize(
    ("gain", "is_better"), [(0.05, True), (0.0021, True), (0.0019, False), (0.0, False), (-0.05, False)]
)
def test_significant_gain_is_accepted(gain: float, is_better: bool) -> None:
    assert comparison(BEFORE, [x - gain for x in BEFORE]).is_better is is_better


def test_gain_that_may_be_chance_is_rejected() -> None:
    """0.01 bits on average, while chunks of 100 characters differ by half a bit either way."""
    swings = [(0.5 if (i // 100) % 2 else -0.5) + 0.01 for i in range(len(BEFORE))]
    assert not comparison(BEFORE, [x - swing for x, swing in zip(BEFORE, swings, strict=True)]).is_better
    assert not comparison([1.0] * 50, [0.5] * 50).is_better  # too little text to tell


def test_comparison_as_data_and_as_text() -> None:
    compared = comparison([1.0] * 400, [0.95] * 400)
    assert compared.figures() == {
        "better": True,
        "before": {"network": 2.0, "mixed": 1.0},
        "now": {"network": 1.9, "mixed": 0.95},
        "files": 3,
        "chars": 400,
    }
    assert compared.summary().startswith("1.000 -> 0.950 bits per character on 3 files held out")


@pytest.mark.parametrize("first", [0, 5, 300])
def test_bits_equal_the_engines(network: Network, tokenizer: SimpleTokenizer, first: int) -> None:
    texts = {"a.py": CODE, "b.py": "import math\n\n\nradius = math.pi\ndiameter = 2 * radius\n" * 20}
    excerpt = Excerpt("a.py", CODE, first, first + 60, Path())
    done = list[float]()
    measured = measure_bits(network, tokenizer, texts, [excerpt], done.append)
    engine = Engine(network, tokenizer)
    engine.hold("b.py", texts["b.py"])
    engine.ngrams.compact()
    one_by_one = [engine.observe(Request(CODE[:at], document="a.py"), CODE[at]) for at in range(first, first + 60)]
    for costs, wanted in zip(measured, one_by_one, strict=True):
        assert costs == pytest.approx(wanted, abs=1e-4)
    assert done[-1] == 1.0


LONG = {f"package/module_{i}.py": f"line {i}\n" * 400 for i in range(200)}


def test_holds_out_about_ten_percent_deterministically() -> None:
    chosen = choose_held_out(LONG)
    assert 10 <= len(chosen) <= 30
    assert choose_held_out(dict(reversed(LONG.items()))) == chosen
    fewer = {name: text for i, (name, text) in enumerate(LONG.items()) if i % 2}
    assert set(choose_held_out(fewer)) == set(chosen) & fewer.keys()


def test_holds_out_at_least_one_file() -> None:
    for n in range(2, 8):
        some = dict(list(LONG.items())[:n])
        assert 1 <= len(choose_held_out(some)) <= max(1, n // 2)


def test_short_files_are_added_until_measurable() -> None:
    short = {name: text[:150] for name, text in LONG.items()}
    few = dict(list(short.items())[:40])
    n_chars = sum(len(few[name]) for name in choose_held_out(few))
    assert MIN_HELD_OUT_CHARS <= n_chars < MIN_HELD_OUT_CHARS + 40 * 15 + 150


def test_blank_files_are_not_measured() -> None:
    assert choose_held_out({"a.py": "", "b.py": " \n"}) == []
    assert choose_held_out({"__init__.py": "", "b.py": "x = 1\n" * 20}) == ["b.py"]


def test_copies_of_held_out_files_are_found() -> None:
    text = "".join(f"a line of its own, {i}, which is longer than a shingle is: {i * i}\n" for i in range(20))
    texts = {"own.py": text, "copy.py": text[:-200] + "another end\n", "other.py": "def f(x):\n    return x\n" * 20}
    assert near_duplicates(texts, ["own.py"]) == ["copy.py"]
