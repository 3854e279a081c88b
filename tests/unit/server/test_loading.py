"""Another model takes over between two questions, with what is known; one that cannot be loaded does not."""

import dataclasses
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from networks import EVERYTHING, randomise, sure
from tinycopilot_server.completer_thread import CompleterThread
from tinycopilot_server.indexing import Indexer
from tinycopilot_server.loading import load
from tinycopilot_server.memory import Memory
from tinycopilot_server.questions import Questions
from tinycopilot_server.settings import Settings

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


class Loading:
    """With all that it needs."""

    def __init__(self) -> None:
        self.thread = CompleterThread()
        self.memory = Memory(self.thread, Indexer(self.thread.ask_memory, lambda _name: False))
        self.questions = Questions(self.thread, self.memory)

    async def load(self, settings: Settings, *, is_first: bool = False) -> bool:
        return await load(self.thread, self.memory, settings, is_first=is_first)

    def knows(self, name: str) -> bool:
        assert self.thread.completer is not None
        return name in self.thread.completer.workspace.memory


@pytest.fixture
async def loading(settings: Settings) -> AsyncIterator[Loading]:
    loading = Loading()
    await loading.load(settings, is_first=True)
    yield loading
    loading.memory.close()
    loading.thread.close()


async def says(loading: Loading, before: str = BEFORE) -> str:
    suggestion = await loading.questions.suggest(before, "a.py", before, "")
    return suggestion.text if suggestion else ""


async def test_another_network_takes_over_the_memory(
    loading: Loading, settings: Settings, paths: ModelPaths, tmp_path: Path
) -> None:
    other, elsewhere = save(tmp_path / "other", 2), "hijk"
    old, new = alone(paths), alone(other, elsewhere)
    assert new != alone(paths, elsewhere)
    assert await says(loading) == old != ""
    loading.memory.hold("b.py", "mnop()")
    take(paths, other)
    assert await says(loading) == old  # it is not told to yet
    assert await loading.load(settings)
    assert await says(loading) == old  # the suggestion that is shown stays
    assert await says(loading, elsewhere) == new
    assert loading.knows("b.py")


async def test_with_another_alphabet_the_memory_begins_anew(
    loading: Loading, settings: Settings, paths: ModelPaths, tmp_path: Path
) -> None:
    loading.memory.hold("b.py", "mnop()")
    other = save(tmp_path / "other", 2, ALPHABET + "xyz")
    take(paths, other)
    assert not await loading.load(settings)
    assert not loading.knows("b.py")
    assert await says(loading) == alone(other)


@pytest.mark.parametrize("half", ["model", "tokenizer"])
async def test_half_a_pair_is_not_taken(
    half: str, loading: Loading, settings: Settings, paths: ModelPaths, tmp_path: Path
) -> None:
    before, elsewhere = await says(loading), "hijk"
    other = save(tmp_path / "other", 2, ALPHABET + "xyz")
    shutil.copy(getattr(other, half), getattr(paths, half))
    with pytest.raises(UserError, match="does not match"):
        await loading.load(settings)
    assert await says(loading) == before
    take(paths, other)
    await loading.load(settings)
    assert await says(loading, elsewhere) == alone(other, elsewhere)
