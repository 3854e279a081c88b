"""Another model takes over between two questions, with what is known; one that cannot be loaded does not."""

import dataclasses
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from networks import EVERYTHING, randomise, sure
from tinycopilot_server.settings import Settings
from tinycopilot_server.worker import Worker

from tinycopilot import UserError
from tinycopilot.completion.completer import Completer
from tinycopilot.model.gpt import GPTConfig, TinyGPT
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.places import ModelPaths

ALPHABET = "\nabcdefghijklmnop()=:"
BEFORE = "abc = d"


def save(folder: Path, seed: int, alphabet: str = ALPHABET) -> ModelPaths:
    folder.mkdir(exist_ok=True)
    paths = ModelPaths(folder / "tiny_gpt.pth", folder / "tokenizer.pth")
    tokenizer = SimpleTokenizer(alphabet)
    model = TinyGPT(GPTConfig(tokenizer.vocab_size, n_layers=1, n_heads=2, d_model=16, window=8))
    tokenizer.save(paths.tokenizer)
    sure(randomise(model, seed)).save(paths.model, tokenizer)
    return paths


def take(paths: ModelPaths, other: ModelPaths) -> None:
    shutil.copy(other.tokenizer, paths.tokenizer)
    shutil.copy(other.model, paths.model)


def alone(paths: ModelPaths, before: str = BEFORE) -> str:
    suggestion = Completer.load(paths, EVERYTHING).suggest(before)
    return suggestion.text if suggestion else ""


@pytest.fixture
def paths(tmp_path: Path) -> ModelPaths:
    return save(tmp_path / "in_use", 1)


@pytest.fixture
def settings(paths: ModelPaths) -> Settings:
    return Settings(model_path=str(paths.model), **dataclasses.asdict(EVERYTHING))


@pytest.fixture
async def worker(settings: Settings) -> AsyncIterator[Worker]:
    worker = Worker()
    await worker.load(settings)
    yield worker
    worker.close()


async def says(worker: Worker, before: str = BEFORE) -> str:
    suggestion = await worker.suggest(before, "a.py", before, "")
    return suggestion.text if suggestion else ""


async def test_another_network_takes_over_the_memory(
    worker: Worker, settings: Settings, paths: ModelPaths, tmp_path: Path
) -> None:
    other, elsewhere = save(tmp_path / "other", 2), "hijk"
    old, new = alone(paths), alone(other, elsewhere)
    assert new != alone(paths, elsewhere)
    assert await says(worker) == old != ""
    worker.hold("b.py", "mnop()")
    take(paths, other)
    assert await says(worker) == old  # it is not told to yet
    assert await worker.reload(settings)
    assert await says(worker) == old  # the suggestion that is shown stays
    assert await says(worker, elsewhere) == new
    assert worker._completer is not None
    assert "b.py" in worker._completer.workspace.memory


async def test_with_another_alphabet_the_memory_begins_anew(
    worker: Worker, settings: Settings, paths: ModelPaths, tmp_path: Path
) -> None:
    worker.hold("b.py", "mnop()")
    other = save(tmp_path / "other", 2, ALPHABET + "xyz")
    take(paths, other)
    assert not await worker.reload(settings)
    assert worker._completer is not None
    assert "b.py" not in worker._completer.workspace.memory
    assert await says(worker) == alone(other)


@pytest.mark.parametrize("half", ["model", "tokenizer"])
async def test_half_a_pair_is_not_taken(
    half: str, worker: Worker, settings: Settings, paths: ModelPaths, tmp_path: Path
) -> None:
    before, elsewhere = await says(worker), "hijk"
    other = save(tmp_path / "other", 2, ALPHABET + "xyz")
    shutil.copy(getattr(other, half), getattr(paths, half))
    with pytest.raises(UserError, match="does not match"):
        await worker.reload(settings)
    assert await says(worker) == before
    take(paths, other)
    await worker.reload(settings)
    assert await says(worker, elsewhere) == alone(other, elsewhere)
