import dataclasses
import math
import shutil
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from tinycopilot import UserError, places
from tinycopilot.model.gpt import GPTConfig, TinyGPT, load_pair
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer
from tinycopilot.places import ModelPaths
from tinycopilot.training import checkpoint
from tinycopilot.training.batches import batches_per_epoch, epoch_batches, join_documents
from tinycopilot.training.checkpoint import check_writable, save_pair
from tinycopilot.training.corpus import Corpus, CorpusError
from tinycopilot.training.optim import make_optimizers, momentum_at, rate_at
from tinycopilot.training.trainer import TrainConfig, TrainLog, bits_per_char, choose_device, train

TEXT = "".join(f"def add_{i}(a, b):\n    return a + b + {i}\n\n\n" for i in range(120))
CONFIG = TrainConfig(epochs=8, batch=8, window=32, n_layers=2, n_heads=2, d_model=32)


class Nobody:
    def __init__(self) -> None:
        self.losses: list[float] = []
        self.n_steps = 0
        self.samples: list[str] = []

    def begin(self, n_steps: int) -> None:
        self.n_steps = n_steps

    def step(self, loss: torch.Tensor, n_chars: int) -> None:
        self.losses.append(loss.item())

    def look(self, step: int, held_out_bits: float, sample: str) -> None:
        self.samples.append(sample)


def run(
    config: TrainConfig = CONFIG, corpus: Corpus | None = None
) -> tuple[TinyGPT, TrainLog, Nobody, SimpleTokenizer]:
    corpus = corpus or Corpus((TEXT[:-600],), (TEXT[-600:],))
    tokenizer, nobody = SimpleTokenizer.train(corpus.train), Nobody()
    model, log = train(corpus, tokenizer, config, torch.device("cpu"), nobody)
    return model, log, nobody, tokenizer


def test_it_learns_and_says_so() -> None:
    _, log, nobody, tokenizer = run()
    assert nobody.n_steps == len(nobody.losses) == log.n_steps
    assert nobody.losses[0] == pytest.approx(math.log(tokenizer.vocab_size), rel=1e-3)  # every character equally likely
    assert log.best_bits < 2.5 < 6 < nobody.losses[0] / math.log(2)
    assert len(nobody.samples) == len(log.held_out_bits) == CONFIG.n_looks
    assert all(sample.startswith("def ") for sample in nobody.samples)


def test_same_seed_same_weights_on_one_thread() -> None:
    a, b, other = run()[0], run()[0], run(dataclasses.replace(CONFIG, seed=1))[0]
    assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))
    assert not torch.equal(a.head.weight, other.head.weight)


def test_the_result_is_the_best_of_the_looks() -> None:
    """Random text can only be learned by heart: the earliest look is the best one."""
    generator = torch.Generator().manual_seed(0)
    noise = "".join(chr(97 + i) for i in torch.randint(26, (2000,), generator=generator))
    corpus = Corpus((noise[:1500],), (noise[1500:],))
    model, log, _, tokenizer = run(dataclasses.replace(CONFIG, epochs=80), corpus)
    assert log.best_step < log.n_steps
    assert log.held_out_bits[-1][1] > log.best_bits + 0.1
    assert bits_per_char(model, join_documents(tokenizer, corpus.held_out)) == pytest.approx(log.best_bits)


def test_too_short_for_one_window() -> None:
    with pytest.raises(CorpusError, match="fewer than one window of 32"):
        run(corpus=Corpus(("short",), ("x",)))


def test_bits_per_char_is_what_the_whole_forward_says(model: TinyGPT) -> None:
    ids = torch.randint(model.config.vocab_size, (70,), dtype=torch.int16)
    logits = model(ids[None, :-1].long())[0]
    expected = F.cross_entropy(logits, ids[1:].long()).item() / math.log(2)
    assert bits_per_char(model, ids, streams=1) == pytest.approx(expected)


def test_an_epoch_reads_every_window_once() -> None:
    ids = torch.arange(1000, dtype=torch.int16)
    batches = list(epoch_batches(ids, 4, 16, seed=3, epoch=0))
    assert len(batches) == batches_per_epoch(1000, 4, 16)
    for inputs, targets in batches:
        assert torch.equal(inputs + 1, targets)
    read = torch.cat([inputs.flatten() for inputs, _ in batches]).sort().values
    assert len(read) == 62 * 16
    assert torch.equal(read, torch.arange(read[0].item(), read[0].item() + len(read)))
    again = list(epoch_batches(ids, 4, 16, seed=3, epoch=0))
    other = list(epoch_batches(ids, 4, 16, seed=3, epoch=1))
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(batches, again, strict=True))
    assert not torch.equal(batches[0][0], other[0][0])


def test_documents_are_joined_behind_their_start(tokenizer: SimpleTokenizer) -> None:
    assert tokenizer.decode(join_documents(tokenizer, ["ab", "cd"])) == f"{DOCUMENT_START}ab{DOCUMENT_START}cd"


def test_schedule() -> None:
    rates = [rate_at(step, 1000) for step in range(1000)]
    assert rates[0] == 0.02
    assert max(rates) == rates[49] == rates[400] == 1
    assert rates[700] == pytest.approx(0.5)
    assert rates[999] == pytest.approx(1 / 600)
    assert momentum_at(0) == 0.85
    assert momentum_at(300) == momentum_at(999) == pytest.approx(0.95)


def test_each_weight_has_one_optimizer() -> None:
    fresh = TinyGPT(GPTConfig(50, 2, 2, 16, 8))
    muon, adam = make_optimizers(fresh, muon_rate=0.02, adam_rate=1e-3)
    moved = [[id(p) for group in o.param_groups for p in group["params"]] for o in (muon, adam)]
    assert sorted(moved[0] + moved[1]) == sorted(map(id, fresh.parameters()))
    assert len(moved[0]) == 2 * 4  # qkv, o_proj, up and down of each block


def test_devices() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match=r"no device 'cuda'.*--device cpu"):
            choose_device("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_cuda_learns_too() -> None:
    corpus = Corpus((TEXT[:-600],), (TEXT[-600:],))
    _, log = train(corpus, SimpleTokenizer.train(corpus.train), CONFIG, torch.device("cuda"), Nobody())
    assert log.best_bits < 2.5


def refuse_model(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    save = TinyGPT.save

    def full_disk(self: TinyGPT, path: Path, *rest: object) -> None:
        if Path(path).parent == folder:
            raise OSError(28, "No space left on device")
        save(self, path, *rest)

    monkeypatch.setattr(TinyGPT, "save", full_disk)


def refuse_keeping(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def full_disk(now: Path, then: Path) -> None:
        if then.name.startswith("tokenizer") and then.parent == folder:
            raise OSError(28, "No space left on device")
        shutil.copy(now, then)

    monkeypatch.setattr(places, "_link", full_disk)


@pytest.mark.parametrize("refuse", [refuse_model, refuse_keeping])
@pytest.mark.parametrize("missing", [None, "tiny_gpt.pth", "tokenizer.pth"])
def test_a_failed_save_changes_nothing_and_loses_nothing(
    refuse, missing: str | None, pair: ModelPaths, tokenizer: SimpleTokenizer, tmp_path: Path, monkeypatch
) -> None:
    model = load_pair(pair.model, pair.tokenizer)[0]
    if missing:
        (tmp_path / missing).unlink()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    rescue = tmp_path.parent / f"{tmp_path.name}-rescue"
    rescue.mkdir()
    monkeypatch.setattr(checkpoint.tempfile, "mkdtemp", lambda **_: str(rescue))
    refuse(monkeypatch, tmp_path)
    if refuse is refuse_keeping and missing == "tokenizer.pth":
        return  # there is no tokenizer to keep
    with pytest.raises(UserError, match=r"No space left on device.*unchanged.*the new one is in"):
        save_pair(pair, model, tokenizer, {})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    load_pair(rescue / "tiny_gpt.pth", rescue / "tokenizer.pth")


def test_a_place_that_cannot_be_written_is_known_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for model in (tmp_path / "file" / "m.pth", tmp_path):
        with pytest.raises(UserError, match="cannot be saved there"):
            check_writable(ModelPaths(model, tmp_path / "t.pth"))
    check_writable(ModelPaths(tmp_path / "new" / "folder" / "m.pth", tmp_path / "t.pth"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]  # and nothing is made for a run that may yet fail
