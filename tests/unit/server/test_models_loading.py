"""A new model replaces the current one between two requests and keeps the index; one that cannot be loaded does not."""

import asyncio
import dataclasses
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
from engine_requests import suggest
from networks import EVERYTHING, randomize, sure
from tinycopilot_server.documents import name_of
from tinycopilot_server.index import LearnedWeights
from tinycopilot_server.server import TinyCopilotServer
from tinycopilot_server.settings import Settings

from tinycopilot import UserError
from tinycopilot.completion.engine import Engine, Request, Result
from tinycopilot.model.gpt import GPTConfig, TinyGPT
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import ModelPaths, index_path, mixture_weights_path

ALPHABET = "\nabcdefghijklmnop=:"
BEFORE = "abc = d"


def save(folder: Path, seed: int, alphabet: str = ALPHABET) -> ModelPaths:
    folder.mkdir(exist_ok=True)
    paths = ModelPaths(folder / "tiny_gpt.pth", folder / "tokenizer.pth")
    tokenizer = SimpleTokenizer(alphabet)
    model = TinyGPT(GPTConfig(tokenizer.vocab_size, n_layers=1, n_heads=2, d_model=16, window=8))
    tokenizer.save(paths.tokenizer)
    sure(randomize(model, seed)).save(paths.model, tokenizer)
    return paths


def take(paths: ModelPaths, other: ModelPaths) -> None:
    shutil.copy(other.tokenizer, paths.tokenizer)
    shutil.copy(other.model, paths.model)


def alone(paths: ModelPaths, before: str = BEFORE) -> str:
    suggestion = suggest(Engine.load(paths, EVERYTHING), before)
    return suggestion.text if suggestion else ""


@pytest.fixture
def paths(tmp_path: Path) -> ModelPaths:
    return save(tmp_path / "in_use", 1)


@pytest.fixture
def settings(paths: ModelPaths) -> Settings:
    return Settings(model_path=str(paths.model), **dataclasses.asdict(EVERYTHING))


class Loading:
    """A server without a client."""

    def __init__(self) -> None:
        self.server = TinyCopilotServer()
        self.scheduler, self.index = self.server.scheduler, self.server.index

    async def load(self, settings: Settings, on_compiling: Callable[[], None] = lambda: None) -> bool:
        self.server.session.settings = settings
        return await self.server.models.load(on_compiling)

    def open_folder(self, folder: Path) -> None:
        self.server.session.folders.set_roots([folder.as_uri()])

    def close(self) -> None:
        self.server.stop()

    def knows(self, name: str) -> bool:
        assert self.scheduler.engine is not None
        return name in self.scheduler.engine.ngrams


@pytest.fixture
async def loading(settings: Settings) -> AsyncIterator[Loading]:
    loading = Loading()
    await loading.load(settings)
    yield loading
    loading.close()


async def says(loading: Loading, before: str = BEFORE) -> str:
    suggestion = await loading.server.completer.suggest(Request(before, "", "a.py"))
    return suggestion.text if suggestion else ""


async def test_same_alphabet_keeps_the_ngram_model(
    loading: Loading, settings: Settings, paths: ModelPaths, tmp_path: Path
) -> None:
    other, elsewhere = save(tmp_path / "other", 2), "hijk"
    old, new = alone(paths), alone(other, elsewhere)
    assert new != alone(paths, elsewhere)
    assert await says(loading) == old != ""
    loading.index.hold("b.py", "mnop()")
    take(paths, other)
    assert await says(loading) == old  # the file has not changed yet
    assert await loading.load(settings)
    assert await says(loading) == old  # the suggestion that is shown stays
    assert await says(loading, elsewhere) == new
    assert loading.knows("b.py")


async def test_weights_are_those_of_a_folder_opened_while_loading(loading: Loading, tmp_path: Path) -> None:
    engine = loading.scheduler.engine
    assert engine is not None
    for name in ("first", "second"):
        before, folder = loading.index.learned.path, tmp_path / name
        folder.mkdir()
        loading.open_folder(folder)
        await asyncio.wrap_future(loading.index.take_over(engine))
        here = loading.server.session.folders.main
        assert loading.index.learned.path == LearnedWeights(here, engine.tokenizer.digest).path != before


async def test_folder_opened_while_another_model_waits_for_the_indexer(
    loading: Loading, settings: Settings, tmp_path: Path
) -> None:
    other, busy = Engine.load(save(tmp_path / "other", 2, ALPHABET + "xyz"), settings.completer), threading.Event()
    loading.index.indexer.submit(busy.wait)
    taking = loading.index.take_over(other)
    loading.open_folder(tmp_path)
    loading.index.change_folders()
    busy.set()
    assert not await asyncio.wrap_future(taking)
    await asyncio.wrap_future(loading.index.indexer.submit(lambda: None))
    file = loading.index.indexer.file
    assert file
    assert file.path == index_path(loading.server.session.folders.roots, other.tokenizer.digest)


async def test_other_alphabet_starts_an_empty_ngram_model(
    loading: Loading, settings: Settings, paths: ModelPaths, tmp_path: Path
) -> None:
    loading.index.hold("b.py", "mnop()")
    other = save(tmp_path / "other", 2, ALPHABET + "xyz")
    take(paths, other)
    assert not await loading.load(settings)
    assert not loading.knows("b.py")
    assert await says(loading) == alone(other)


@pytest.mark.parametrize("half", ["model", "tokenizer"])
async def test_unmatched_model_and_tokenizer_are_refused(
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


async def test_workspace_forgotten_during_a_load_stays_forgotten(settings: Settings, tmp_path: Path) -> None:
    digest = SimpleTokenizer(ALPHABET).digest
    kept = [mixture_weights_path(str(tmp_path), digest), index_path([str(tmp_path)], digest)]
    for path in kept:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    loading = Loading()
    loading.open_folder(tmp_path)
    under_way = asyncio.ensure_future(loading.load(settings))
    await asyncio.sleep(0)
    loading.index.forget_workspace()
    await under_way
    loading.index.hold("b.py", "mnop()")
    await says(loading)
    assert not loading.knows("b.py")
    assert not any(path.exists() for path in kept)
    loading.close()


async def test_workspace_forgotten_during_indexing_is_forgotten_at_once(settings: Settings, tmp_path: Path) -> None:
    """The client may exit before the indexer has started."""
    loading, busy = Loading(), threading.Event()
    loading.open_folder(tmp_path)
    await loading.load(settings)
    loading.index.hold("b.py", "mnop()")
    learned = loading.index.learned
    assert loading.index.indexer.file
    assert learned.path
    kept = [loading.index.indexer.file.path, learned.path]
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    loading.index.indexer.submit(busy.wait)
    assert loading.scheduler.engine
    weights = loading.scheduler.engine.mixture.as_rows()
    loading.index.forget_workspace()
    learned.save(weights)  # it was running
    assert not any(path.exists() for path in kept)
    await says(loading)
    assert not loading.knows("b.py")
    loading.close()
    busy.set()
    assert not any(path.exists() for path in kept)


async def test_forgotten_weights_that_cannot_be_deleted_are_not_saved_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, while another program has the file open."""

    def unlink(path: Path, *, missing_ok: bool = False) -> None:
        raise PermissionError(f"{path}: used by another process ({missing_ok})")

    loading = Loading()
    loading.open_folder(tmp_path)
    await loading.load(settings)
    learned = loading.index.learned
    assert learned.path
    path = learned.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    with monkeypatch.context() as patch, pytest.raises(PermissionError):
        patch.setattr(Path, "unlink", unlink)
        loading.index.forget_workspace()
    assert learned.path is None
    loading.index.indexer.submit(lambda: None).result()
    loading.index._delete_all()
    assert not path.exists()
    loading.close()


async def test_weights_that_wait_for_the_indexer_are_saved_at_the_end(settings: Settings, tmp_path: Path) -> None:
    loading, busy = Loading(), threading.Event()
    loading.open_folder(tmp_path)
    await loading.load(settings)
    path = loading.index.learned.path
    assert path
    loading.index.indexer.submit(busy.wait)
    learns = partial(loading.index.after_answer, result=Result(has_learned=True), _took_ms=1.0)
    loading.scheduler.ask(learns).result()
    loading.close()
    busy.set()
    assert path.exists()


async def test_weights_are_saved_before_statistics_wait_for_a_lock(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading, existed = Loading(), list[bool]()
    loading.open_folder(tmp_path)
    await loading.load(settings)
    path = loading.index.learned.path
    assert path
    loading.index.learned.has_learned = True
    monkeypatch.setattr(loading.server.statistics, "save", lambda: existed.append(path.exists()))
    loading.close()
    assert existed == [True]


async def test_all_other_files_are_deleted_if_one_cannot_be(settings: Settings, tmp_path: Path) -> None:
    loading = Loading()
    loading.open_folder(tmp_path)
    await loading.load(settings)
    index, weights = loading.index.indexer.file, loading.index.learned.path
    assert index
    assert weights
    stuck = index.path.with_suffix(".stuck")
    stuck.mkdir(parents=True)  # `unlink` fails
    weights.parent.mkdir(parents=True, exist_ok=True)
    weights.write_bytes(b"")
    with pytest.raises(OSError, match=r"\.stuck"):
        loading.index.forget_workspace()
    assert not weights.exists()
    loading.close()


async def test_enabling_the_workspace_restores_learned_weights(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recalled = list[int]()
    monkeypatch.setattr(LearnedWeights, "restore", lambda _self, engine: recalled.append(engine.ngrams.max_chars))
    loading = Loading()
    loading.open_folder(tmp_path)
    loading.index.configure(dataclasses.replace(settings, max_workspace_chars=0))
    await loading.load(settings)
    for max_chars in (0, 1_000, 2_000):
        loading.index.configure(dataclasses.replace(settings, max_workspace_chars=max_chars))
        await says(loading)
    assert recalled == [1_000]
    loading.close()


async def test_compiling_is_reported(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    told, is_compiled = list[str](), [False, True, True, True]
    monkeypatch.setattr(Engine, "is_compiled", property(lambda _: is_compiled.pop(0)))
    for n_told in (1, 1):
        loading = Loading()
        await loading.load(settings, lambda: told.append("compiling"))
        loading.close()
        assert len(told) == n_told
    assert is_compiled == []


async def test_missing_compile_cache_is_logged(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tinycopilot.completion.compiled.CACHE", None)
    loading = Loading()
    await loading.load(settings)
    loading.close()
    assert "each start takes some seconds" in caplog.text


async def test_max_workspace_chars_0_stores_no_index_of_a_folder_opened_later(
    settings: Settings, tmp_path: Path
) -> None:
    loading, settings = Loading(), dataclasses.replace(settings, max_workspace_chars=0)
    await loading.load(settings)
    loading.index.configure(settings)
    loading.open_folder(tmp_path)
    loading.index.change_folders()
    for _ in range(2):  # the second one after the scan that changing folders submits
        await asyncio.wrap_future(loading.index.indexer.submit(lambda: None))
    loading.close()
    assert loading.index.indexer.file
    assert not loading.index.indexer.file.path.exists()


async def test_max_workspace_chars_0_stores_no_weights(settings: Settings, tmp_path: Path) -> None:
    loading = Loading()
    loading.open_folder(tmp_path)
    loading.index.configure(dataclasses.replace(settings, max_workspace_chars=0))
    await loading.load(settings)
    loading.index.configure(dataclasses.replace(settings, max_workspace_chars=0))
    learns = partial(loading.index.after_answer, result=Result(has_learned=True), _took_ms=1.0)
    loading.scheduler.ask(learns).result()
    loading.close()
    assert loading.scheduler.engine
    assert not mixture_weights_path(name_of(tmp_path), loading.scheduler.engine.tokenizer.digest).exists()
