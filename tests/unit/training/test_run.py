"""The command `train`: duration, base model, and training text."""

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tinycopilot import UserError
from tinycopilot.model.gpt import load_pair
from tinycopilot.model.storage import load_data
from tinycopilot.training import finalize, promotion, setup
from tinycopilot.training.corpus import Corpus, prepare_corpus
from tinycopilot.training.device import choose_device, operations, share_of_peak
from tinycopilot.training.schedule import Schedule, Stage
from tinycopilot.training.setup import DEFAULTS, TrainOptions
from tinycopilot.training.train import run_training
from tinycopilot.training.train_config import SIZES, Size

pytestmark = pytest.mark.slow

RUST = "".join(f"pub fn add_{i}(a: i32) -> i32 {{\n    a + {i}\n}}\n\n" for i in range(200))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for i, size in enumerate(SIZES):
        monkeypatch.setitem(SIZES, size, Size(n_layers=i + 1, n_heads=2, d_model=16, window=32, is_long=i > 0))
    monkeypatch.setattr(setup, "prepare_corpus", part_of_stdlib)


def part_of_stdlib(sources: Sequence[str], *rest: Any) -> Corpus:
    """`prepare_corpus`; instead of the whole standard library, which takes seconds to read, one package of it."""
    return prepare_corpus([str(Path(json.__file__).parent)] if sources == ["stdlib"] else sources, *rest)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    for i in range(20):
        (folder / f"{i}.rs").write_text(RUST[i * 300 : i * 300 + 400])
    (folder / "one.py").write_text("x = 1\n" * 100)
    (folder / ".env").write_text("PASSWORD=hunter2\n")
    return folder


def learned(path: Path) -> dict[str, object]:
    training: dict[str, object] = load_data(path, "model", {"training": dict})["training"]
    return training


def test_other_language_and_skipped_files_are_reported(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_training(
        TrainOptions(corpus=[str(corpus)], ext=["rs"], epochs=1, model_path=str(tmp_path / "m.pth"), device="cpu")
    )
    said = capsys.readouterr().err
    assert ".env" in next(line for line in said.splitlines() if line.startswith("left out: "))
    assert b"hunter2" not in (tmp_path / "m.pth").read_bytes()
    assert learned(tmp_path / "m.pth")["train_chars"] > 6000  # type: ignore[operator]


@pytest.mark.parametrize("size", SIZES)
def test_size_sets_the_shape(size: str, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.pth"
    run_training(
        TrainOptions(corpus=[str(corpus)], ext=["rs"], size=size, epochs=0.02, model_path=str(path), device="cpu")
    )
    assert re.search(r" 0\.0[1-9]\d* epochs in ", capsys.readouterr().err)
    assert load_pair(path, tmp_path / "m.tokenizer.pth")[0].config.n_layers == list(SIZES).index(size) + 1
    assert learned(path)["size"] == size


def test_minutes_become_stored_steps(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.pth"
    request = TrainOptions(corpus=[str(corpus)], ext=["rs"], minutes=0.03, model_path=str(path), device="cpu")
    run_training(request)
    assert re.search(r"about \S+ epochs in [\d,]+ steps", capsys.readouterr().err)
    training = learned(path)
    assert training["minutes"] == 0.03
    assert training["epochs"] is None
    assert training["steps"] > 1  # type: ignore[operator]


@pytest.mark.parametrize(("precision", "used"), [(None, "bfloat16"), ("float32", "float32")])
def test_bfloat16_is_used_where_faster_unless_disabled(
    precision: str | None, used: str, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "has_fast_bfloat16", lambda _device: True)
    path = tmp_path / "m.pth"
    run_training(
        TrainOptions(
            corpus=[str(corpus)], ext=["rs"], precision=precision, epochs=0.1, model_path=str(path), device="cpu"
        )
    )
    assert learned(path)["precision"] == used


def test_fine_tuning_a_model(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It keeps vocabulary and shape, improves on this text, and reports what it forgets elsewhere."""
    first, second = tmp_path / "first.pth", tmp_path / "second.pth"
    (tmp_path / "text.py").write_text("def f(x):\n    return x + 1\n" * 100)
    run_training(
        TrainOptions(corpus=[str(tmp_path / "text.py")], size="small", epochs=2, model_path=str(first), device="cpu")
    )
    capsys.readouterr()
    run_training(
        TrainOptions(corpus=[str(corpus)], ext=["rs"], init=str(first), epochs=6, model_path=str(second), device="cpu")
    )
    said = capsys.readouterr().err
    figures = re.search(
        r"held-out text from this corpus: ([\d.]+) before, ([\d.]+) now; "
        r"on text from elsewhere \(the standard library\): ([\d.]+) before, ([\d.]+) now",
        said,
    )
    assert figures
    here_before, here_now, elsewhere_before, elsewhere_now = map(float, figures.groups())
    assert here_now < here_before
    training = learned(second)
    assert training["held_out_before"] == pytest.approx(here_before, abs=1e-3)
    assert training["held_out_bits"] == pytest.approx(here_now, abs=1e-3)
    assert training["elsewhere_before"] == pytest.approx(elsewhere_before, abs=1e-3)
    assert training["elsewhere_bits"] == pytest.approx(elsewhere_now, abs=1e-3)
    assert elsewhere_now != elsewhere_before
    before, after = (load_pair(path, path.with_suffix(".tokenizer.pth")) for path in (first, second))
    assert before[0].config == after[0].config
    assert before[1].alphabet == after[1].alphabet
    assert first.exists()


def test_widened_model_is_trained_further(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts with the loss of the smaller model, keeps its window and vocabulary, and improves."""
    first, second = tmp_path / "first.pth", tmp_path / "second.pth"
    flags = TrainOptions(corpus=[str(corpus)], ext=["rs"], epochs=3, device="cpu")
    run_training(dataclasses.replace(flags, model_path=str(first)))
    monkeypatch.setitem(SIZES, "small", Size(n_layers=2, n_heads=2, d_model=32, window=999))
    run_training(dataclasses.replace(flags, init=str(first), size="small", model_path=str(second)))
    assert learned(second)["held_out_before"] == pytest.approx(learned(first)["held_out_bits"], abs=1e-3)
    assert learned(second)["held_out_bits"] < learned(second)["held_out_before"]
    before, after = (load_pair(path, path.with_suffix(".tokenizer.pth")) for path in (first, second))
    assert after[0].config == dataclasses.replace(before[0].config, n_layers=2, d_model=32)
    assert before[1].alphabet == after[1].alphabet
    with pytest.raises(UserError, match="cannot widen 2 layers, 2 heads and 32 channels to 1, 2 and 16"):
        run_training(dataclasses.replace(flags, init=str(second), size="nano", model_path=str(tmp_path / "third.pth")))


def test_fine_tuning_resumes_without_the_base_model(corpus: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.pth", tmp_path / "second.pth"
    request = TrainOptions(corpus=[str(corpus)], ext=["rs"], epochs=1, model_path=str(first), device="cpu")
    run_training(request)

    class StopError(Exception):
        pass

    def stop(*_: object) -> None:
        raise StopError

    with pytest.MonkeyPatch.context() as patch, pytest.raises(StopError):
        patch.setattr("tinycopilot.training.batches.BatchLoader.batch", stop)
        run_training(
            TrainOptions(corpus=[str(corpus)], ext=["rs"], init=str(first), model_path=str(second), device="cpu")
        )
    first.unlink()
    run_training(TrainOptions(resume=True, model_path=str(second), device="cpu"))
    assert second.exists()


def test_compared_models_are_measured_on_the_same_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short run over a long text: the new model and the previous one are measured on the same text."""
    (tmp_path / "long.py").write_text("".join(f"value_{i} = {i * 7919}\n" for i in range(40_000)))
    measured: list[int] = []
    for module, name in ((finalize, "bits_by_position"), (promotion, "bits_by_position")):
        original = getattr(module, name)
        noted = lambda model, ids, original=original: measured.append(len(ids)) or original(model, ids)  # noqa: E731
        monkeypatch.setattr(module, name, noted)
    request = TrainOptions([str(tmp_path / "long.py")], epochs=0.001, model_path=str(tmp_path / "m.pth"), device="cpu")
    run_training(request)
    run_training(request)
    assert len(measured) == 3
    assert len(set(measured)) == 1


def test_report_is_saved_next_to_its_model(corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    for epochs in (1, 2):
        command = f"tinycopilot train --epochs {epochs}"
        run_training(
            TrainOptions([str(corpus)], ["rs"], epochs=epochs, model_path=str(path), device="cpu", command=command)
        )
    assert "--epochs 1" in (tmp_path / "m.1.training.html").read_text("utf-8")
    assert "--epochs 2" in (tmp_path / "m.training.html").read_text("utf-8")


def test_each_training_flag_has_a_default() -> None:
    assert TrainOptions().given() == []
    asked = TrainOptions().flags()
    assert asked.keys() == DEFAULTS.keys()
    assert Path(asked["corpus"][0]).name == "corpus.txt"


def test_devices() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match=r"no device 'cuda'.*--device cpu"):
            choose_device("cuda")


def test_flops_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """PaLM's formula for a simple shape, and its share of a GPU's peak."""
    from tinycopilot.model.gpt import GPTConfig

    shape = GPTConfig(vocab_size=10, n_layers=2, n_heads=2, d_model=8, window=16)
    in_products = 2 * 12 * 64 + 10 * 8 + 2 * 4 * 8 + 2 * 8
    schedule = Schedule((Stage(4, 8, 96), Stage(4, 16)), (3, 5))
    expected = 3 * 4 * 8 * (6 * in_products + 12 * 2 * 8 * 8) + 5 * 4 * 16 * (6 * in_products + 12 * 2 * 8 * 16)
    assert operations(shape, schedule) == expected
    assert share_of_peak(shape, schedule, 2.0, torch.device("cpu"), 1) is None
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H100 80GB HBM3")
    assert share_of_peak(shape, schedule, 3.0, torch.device("cuda"), 2) == pytest.approx(expected / 3 / (2 * 989e12))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA L40S")
    assert share_of_peak(shape, schedule, 3.0, torch.device("cuda"), 1) == pytest.approx(expected / 3 / 362e12)


def test_unlearnable_characters_are_counted_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two rare characters and an emoji, and no DOCUMENT_START."""
    (tmp_path / "a.py").write_text("é = 'é'  # ж щ 🐍\n" + "x = 1  # é\n" * 100)
    run_training(TrainOptions([str(tmp_path / "a.py")], epochs=1, model_path=str(tmp_path / "m.pth"), device="cpu"))
    [line] = [line for line in capsys.readouterr().err.splitlines() if "treated as unknown" in line]
    assert re.fullmatch(
        r"left out: 3 of 1,\d+ characters, rare or not in the vocabulary "
        r"\('ж', 'щ', characters above U\+FFFE, such as emoji\); treated as unknown",
        line,
    )


@pytest.mark.parametrize("text", ["🐍🐍 🐍\n" * 200, "".join(map(chr, range(0x4E00, 0x4F00)))])
def test_corpus_without_learnable_characters_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(UserError, match=r"U\+FFFE|'一'"):
        run_training(TrainOptions([str(tmp_path / "a.txt")], model_path=str(tmp_path / "m.pth"), device="cpu"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
