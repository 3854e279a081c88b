"""The command `bench` on a small workspace: each scenario is reported, and a different text is detected."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tinycopilot import UserError
from tinycopilot.completion.decoding import DecodingStep, decode_steps
from tinycopilot.completion.engine import Engine
from tinycopilot.completion.network import Network
from tinycopilot.completion.ngram import NGramModel
from tinycopilot.completion.segments import Alphabet
from tinycopilot.evaluation import bench, speed
from tinycopilot.evaluation.scenarios import Step, edits_above, long_text, random_places, typing_on
from tinycopilot.evaluation.speed import measure_speed
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import ModelPaths
from tinycopilot.training.train_config import SIZES, Size

ROOT = Path(__file__).resolve().parents[3]
SITUATIONS = [
    *("all", "first_key", "typing_on", "cursor_jump", "edit_above", "beyond_window", "accepted"),
    *("while_indexing", "typing_along"),
]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reduce all counts, so that each scenario runs once."""
    for name, value in {"WORKSPACE_CHARS": 9_000, "N_PLACES": 1, "N_FILES": 2, "N_KEYS": 12, "N_JUMPS": 2}.items():
        monkeypatch.setattr(bench, name, value)


def run(
    size: str | None = None,
    *,
    as_json: bool = True,
    folder: str | None = str(ROOT / "tinycopilot" / "model"),
    model: str = str(ROOT / "paras" / "tiny_gpt.pth"),
) -> str:
    said, answers = list[str](), list[str]()
    bench.run_bench(
        folder,
        size=size,
        as_json=as_json,
        model_path=model,
        tokenizer_path=None,
        say=said.append,
        answer=answers.append,
    )
    (answer,) = answers
    return answer


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_each_scenario_is_reported() -> None:
    measured = json.loads(run())
    assert list(measured["suggestion_ms"]) == SITUATIONS
    for rare in ("typing_along", "accepted"):
        assert measured["suggestion_ms"].pop(rare)
    for shares in measured["suggestion_ms"].values():
        assert 0 < shares["p50"] <= shares["p95"] <= shares["p99"]
    assert list(measured["chars_per_second"]) == ["plain", "cached", "drafted"]
    assert measured["unequal_texts"] == 0
    assert 0 < measured["accepted_drafts"] <= 1
    assert measured["cpu_s_per_1000_keys"] > 0
    assert measured["start_s"] > 0
    assert all(mb > 0 for mb in measured["rss_mb"].values())


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_larger_size_predicts_the_same_text(pair: ModelPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "measure_footprint", lambda *_: {"rss_mb": None, "start_s": 1.0})
    monkeypatch.setitem(SIZES, "base", Size(n_layers=3, n_heads=12, d_model=192))
    lines = run("base", as_json=False, folder=None, model=str(pair.model)).splitlines()
    assert lines[0].startswith("1.3 M parameters")
    assert any(line == "outputs that differ: 0" for line in lines)
    assert [line for line in lines if line.startswith("edit above")]


def test_other_text_is_detected(network: Network, tokenizer: SimpleTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [Step("a", "abc = (", ""), Step("a", "ab", "c")]
    assert measure_speed(Engine(network, tokenizer), network, steps)["unequal_texts"] == 0

    def wrong(*args: object, **options: object) -> Iterator[DecodingStep]:
        for step in decode_steps(*args, **options):  # type: ignore[arg-type]
            yield step._replace(accepted=[("?", 0.0)]) if options["max_draft_chars"] else step

    monkeypatch.setattr(speed, "decode_steps", wrong)
    assert measure_speed(Engine(network, tokenizer), network, steps)["unequal_texts"] == 2


def test_workspace_without_typeable_text_is_reported(tmp_path: Path) -> None:
    (tmp_path / "binary.py").write_bytes(b"\0\1")
    with pytest.raises(
        UserError, match=r"no Python file of 6,000 characters there \(left out: 1 binary file \(binary\.py\)\)"
    ):
        run(folder=str(tmp_path))
    with pytest.raises(UserError, match="nowhere: not a folder"):
        run(folder=str(tmp_path / "nowhere"))


TEXT = "".join(f"line {i} is here\n\n" for i in range(300))


def test_typing_scenario_types_one_key_at_a_time() -> None:
    steps = list(typing_on("a", TEXT, 10, 3))
    assert [step.before for step in steps] == [TEXT[:10], TEXT[:11], TEXT[:12]]
    assert [step.is_timed for step in steps] == [False, True, True]
    assert list(typing_on("a", "abc", 2, 9)) == [Step("a", "ab", "", is_timed=False)]


def test_other_scenarios_end_at_a_line_end() -> None:
    dice = random.Random(1)
    jumps = list(random_places([*[("a", TEXT)] * 5, ("b", TEXT), ("none", ""), ("c", "x\n")], dice))
    edits = list(edits_above("a", TEXT, 5, dice))
    assert [step.document for step in jumps] == ["a"] * 5 + ["b", "c"]
    for step in [*jumps, *edits]:
        assert step.before[-1] != "\n"
        assert step.after[0] == "\n"
    for first, second in zip(edits[::2], edits[1::2], strict=True):
        assert (first.is_timed, second.is_timed, first.after) == (False, True, second.after)
        assert len(second.before) > len(first.before)
        assert first.before[-100:] == second.before[-100:]


def test_long_text_is_as_long_as_possible() -> None:
    assert long_text(["ab", "c"]) == "abc"
    assert len(long_text(["x" * 200_000] * 3)) == 300_000


def test_workspace_is_filled_to_the_requested_size() -> None:
    memory = NGramModel(Alphabet("\n"))
    bench.index_stdlib(memory, 40_000)
    assert 20_000 < memory.n_chars < 41_000
