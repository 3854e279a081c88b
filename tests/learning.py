"""Small texts, networks and schedules for tests of training."""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from tinycopilot.model.gpt import GPTConfig, TinyGPT
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.training.batches import BatchLoader, ids_of
from tinycopilot.training.corpus import FACTS_NAME, HELD_OUT_NAME, TRAIN_NAME, Corpus, open_corpus
from tinycopilot.training.log import Evaluation
from tinycopilot.training.metrics import evaluation
from tinycopilot.training.schedule import Schedule, Stage
from tinycopilot.training.text import write_text
from tinycopilot.training.train_config import TrainConfig
from tinycopilot.training.train_state import TrainState

TEXT = "".join(f"def add_{i}(a, b):\n    return a + b + {i}\n\n\n" for i in range(120))
LINES = "".join(f"total_{i} = add({i}, {i + 1})\n" for i in range(300))
SCHEDULE = Schedule((Stage(8, 8, 60 * 64), Stage(4, 32)), (60, 90))
CPU = torch.device("cpu")


def write_corpus(train: Sequence[str], held_out: Sequence[str], folder: Path, label: str = "text") -> Corpus:
    """Store documents that are already split into training and held-out text, as `prepare_corpus` does."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    for name, texts in ((TRAIN_NAME, train), (HELD_OUT_NAME, held_out)):
        write_text(folder / name, texts)
        digest.update((folder / name).read_bytes())
    (folder / FACTS_NAME).write_text(json.dumps({"label": label, "digest": digest.hexdigest()}))
    return open_corpus(folder)


class Lesson:
    """A text and its tokenizer; creates what a training run on it needs."""

    def __init__(self, folder: Path, train: str = TEXT[:-600], held_out: str = TEXT[-600:]) -> None:
        self.corpus: Corpus = write_corpus([train], [held_out], folder)
        self.tokenizer = SimpleTokenizer.of_common(self.corpus.train.counts())
        self.held_out = ids_of(self.corpus.held_out, self.tokenizer)

    def state(self, config: TrainConfig = TrainConfig(), device: torch.device = CPU) -> TrainState:  # noqa: B008
        torch.manual_seed(config.seed)
        shape = GPTConfig(self.tokenizer.vocab_size, n_layers=2, n_heads=2, d_model=32, window=32)
        return TrainState(TinyGPT(shape).to(device), config)

    def loader(self, device: torch.device = CPU) -> BatchLoader:
        return BatchLoader(self.corpus.train, self.tokenizer, device)

    def evaluate(self, state: TrainState) -> Evaluation:
        return evaluation(state, self.tokenizer, self.held_out, n_chars=20)


@contextlib.contextmanager
def stopped_after(n_batches: int, error: type[BaseException]) -> Iterator[None]:
    """Raise `error` when the training run requests the batch after `n_batches`; expect it to propagate."""
    read, n_read = BatchLoader.batch, 0

    def batch(*arguments: object) -> object:
        nonlocal n_read
        n_read += 1
        if n_read > n_batches:
            raise error
        return read(*arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch, pytest.raises(error):
        patch.setattr(BatchLoader, "batch", batch)
        yield


def same_weights(a: TinyGPT, b: TinyGPT) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))
