"""`train --without`: the effect of leaving out each part; nothing is saved."""

import json
import math
from pathlib import Path

import pytest
import torch
from learning import CPU, TEXT, Lesson
from networks import randomize
from rich.console import Console

from tinycopilot.cli import PARTS as CHOICES
from tinycopilot.cli import main
from tinycopilot.model.gpt import GPTConfig, TinyGPT
from tinycopilot.paths import user_model
from tinycopilot.training import ablation
from tinycopilot.training.ablation import NOTHING, PARTS, ablated_network, train_ablated, train_config
from tinycopilot.training.schedule import Schedule, Stage
from tinycopilot.training.train import train
from tinycopilot.training.train_config import Size

SIZE = Size(n_layers=1, n_heads=2, d_model=16, window=16)
CONFIG = GPTConfig(vocab_size=20, n_layers=2, n_heads=2, d_model=32, window=16, conv_width=3)
IDS = torch.tensor([[1, 5, 2, 9, 3, 3, 7, 4]])


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that evaluate twice, and write short samples."""
    monkeypatch.setattr(ablation, "N_EVALUATIONS", 2)
    monkeypatch.setattr(ablation, "SAMPLE_CHARS", 8)
    monkeypatch.setattr(ablation, "TEACHING", SIZE)


def network(*without: str) -> TinyGPT:
    return randomize(ablated_network(CONFIG, without))


def last_logits(model: TinyGPT, ids: torch.Tensor = IDS) -> torch.Tensor:
    return model(ids)[0, -1]


def test_the_command_line_offers_the_parts() -> None:
    assert (NOTHING, *PARTS) == CHOICES


def test_without_nothing_it_is_the_whole_network() -> None:
    whole = TinyGPT(CONFIG)
    ablated = ablated_network(CONFIG, ())
    randomize(whole)
    for block, wrapped in zip(whole.decoder_blocks(), ablated.blocks, strict=True):
        wrapped.block.load_state_dict(block.state_dict())
    for name in ("embedding", "ln", "head"):
        getattr(ablated, name).load_state_dict(getattr(whole, name).state_dict())
    assert torch.equal(ablated(IDS), whole(IDS))


@pytest.mark.parametrize("without", [(), *((part,) for part in PARTS)])
def test_only_without_causality_the_future_is_seen(without: tuple[str, ...]) -> None:
    model, other = network(*without), IDS.clone()
    other[0, -1] = 11
    is_same = torch.allclose(model(IDS)[0, :-1], model(other)[0, :-1], atol=1e-5)
    assert is_same == ("causality" not in without)


def test_without_positions_and_convolution_earlier_order_is_ignored() -> None:
    """Uses one layer, whose input is the characters themselves."""
    shuffled, config = IDS[:, [3, 0, 6, 1, 2, 5, 4, 7]], GPTConfig(20, 1, 2, 32, 16, 3)
    for without, is_same in ((("positions", "convolution"), True), (("positions",), False), (("convolution",), False)):
        model = randomize(ablated_network(config, without))
        assert torch.allclose(last_logits(model), last_logits(model, shuffled), atol=1e-4) == is_same


@pytest.mark.parametrize("without", [(), ("residuals",)])
def test_without_residuals_a_block_that_adds_nothing_returns_zeros(without: tuple[str, ...]) -> None:
    block = ablated_network(CONFIG, without).blocks[0]
    for linear in (block.block.attn.o_proj, block.block.ffn.down):
        torch.nn.init.zeros_(linear.weight)
    x, phases = torch.ones(1, 4, 32), (torch.ones(4, 16), torch.zeros(4, 16))
    assert torch.equal(block(x, phases, "causal"), torch.zeros_like(x) if without else x)


def test_shapes_without_heads_and_convolution() -> None:
    assert network("heads").config.n_heads == 1
    assert not [name for name in network("convolution").state_dict() if "taps" in name]


@pytest.mark.slow
@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("without", [(), *((part,) for part in PARTS)])
def test_each_part_can_be_trained_without(tmp_path: Path, without: tuple[str, ...]) -> None:
    lesson = Lesson(tmp_path, TEXT[:-300], TEXT[-300:])
    console = Console(quiet=True)
    result = train_ablated(lesson.corpus, without, SIZE, 1_500 / len(lesson.corpus.train), 0, CPU, console)
    assert result["without"] == list(without)
    assert result["n_steps"] == 12
    assert result["training"][-1][0] == 12 * 8 * 16
    assert 0 < result["held_out_bits"] < math.log2(lesson.tokenizer.vocab_size)  # better than all equally likely
    assert result["sample"].startswith("def ")
    if "causality" not in without:  # a window at a time, or one character: the same
        assert result["generating_bits"] == pytest.approx(result["held_out_bits"], abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("without", "multiplier"), [((), 0.4), (("warmup",), 1.0)])
def test_warmup_is_left_out(tmp_path: Path, without: tuple[str, ...], multiplier: float) -> None:
    lesson, config = Lesson(tmp_path), train_config(without, seed=0)
    state = lesson.state(config)
    train(state, Schedule((Stage(4, 16),), (100,), (0.2,)), lesson.loader())
    assert state.log.intervals[-1].lr_multiplier == pytest.approx(multiplier)


@pytest.mark.slow
@pytest.mark.usefixtures("short")
def test_command_prints_a_table_or_json_and_saves_nothing(
    in_folder: Path, temporary_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (in_folder / "code.py").write_text(TEXT)
    words = ["train", "--without", "heads", "--corpus", "code.py", "--epochs", "0.1", "--device", "cpu"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "as in generation" in out
    assert "def " in out
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["without"] == ["heads"]
    assert not user_model().exist()
    assert [path.name for path in in_folder.iterdir()] == ["code.py"]
    assert not list(temporary_home.rglob("*.pth*"))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--without", "nothing", "heads"], "--without nothing trains the unmodified network"),
        (["--without", "heads", "--resume"], "leave out --resume"),
        (["--without", "heads", "--init", "x.pth", "--minutes", "1"], "leave out --init, --minutes"),
        (["--without", "heads", "--model_path", "x.pth"], "leave out --model_path"),
        (["--without", "heads", "--snapshot", "x.pth"], "leave out --snapshot"),
        (["--without", "heads", "--watch"], "leave out --watch"),
        (["--without", "heads", "--precision", "float32"], "leave out --precision"),
        (["--json"], "--json requires --without"),
        (["--without", "heads", "--corpus", "missing.py"], "missing.py"),
    ],
)
def test_bad_combinations_give_one_line(
    words: list[str], line: str, in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *words]) == 2
    said = capsys.readouterr().err.splitlines()
    assert line in said[-1]
    assert said[-1].startswith("tinycopilot: ")
    assert not list(in_folder.iterdir())


def test_unknown_part_lists_the_parts(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--without", "luck"])
    assert "residuals" in capsys.readouterr().err.splitlines()[-1]
