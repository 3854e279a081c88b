"""Fixtures: tiny networks with random parameters. (Training initializes some to zero; many tests would then pass
trivially.)
"""

import functools
import itertools
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from networks import compiled, randomize
from preloaded import preloading

from tinycopilot.completion.network import Network
from tinycopilot.model.gpt import GPTConfig, TinyGPT
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import ModelPaths
from tinycopilot.training import setup, train
from tinycopilot.training.metrics import evaluation

# No test depends on timing, not even through Hypothesis's deadline. `make soak` uses the long profile.
NO_CLOCK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("short", NO_CLOCK, max_examples=25)
settings.register_profile("long", NO_CLOCK, max_examples=1000)
settings.load_profile("short")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add options for the length of the soak tests (tests/protocol/test_soak.py), by default a few seconds."""
    group = parser.getgroup("soak tests of the server")
    group.addoption("--messages", type=int, help="number of valid messages")
    group.addoption("--malformed", type=int, help="number of malformed messages")
    group.addoption("--kills", type=int, help="number of kills during a write")
    group.addoption("--seed", type=int, default=0, help="random seed of these tests")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def default_signals() -> Iterator[None]:
    """Handle SIGINT and SIGHUP as in a terminal, also under nohup; restore the handlers.

    An interrupted command ignores further Ctrl-C, since its process is about to exit.
    """
    before = {signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler)}
    if hasattr(signal, "SIGHUP"):  # not on Windows
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield unused paths in one folder. (`mktemp` would list thousands of folders each time to find a free name.)"""
    folder = tmp_path_factory.mktemp("homes")
    return (folder / str(i) for i in itertools.count())


@pytest.fixture(autouse=True)
def temporary_home(homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test an empty home folder, so that it neither sees nor changes the models of the user who runs it."""
    home = next(homes)
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return home


@pytest.fixture(autouse=True)
def no_bfloat16_speed_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the speed test of bfloat16, whose result depends on timing."""
    monkeypatch.setattr(setup, "has_fast_bfloat16", lambda _device: False)


@pytest.fixture(scope="session", autouse=True)
def short_samples() -> Iterator[None]:
    """Shorten the text samples of training runs: they take a third of a short run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "evaluation", functools.partial(evaluation, n_chars=8))
        yield


@pytest.fixture(scope="session")
def tokenizer() -> SimpleTokenizer:
    return SimpleTokenizer("\n\t abcdefghijklmnopqrstuvwxyz()[]:=,.'\"\N{LATIN SMALL LETTER E WITH ACUTE}")


@pytest.fixture(scope="session")
def model(tokenizer: SimpleTokenizer) -> TinyGPT:
    """A network with 2 layers, d_model 32, window 8, convolutions of 3 (reach 23), in float64."""
    config = GPTConfig(tokenizer.vocab_size, n_layers=2, n_heads=2, d_model=32, window=8, conv_width=3)
    return randomize(TinyGPT(config).double())


@pytest.fixture(scope="session")
def network(model: TinyGPT) -> Network:
    """The same network, compiled, in float32."""
    return compiled(model)


@pytest.fixture
def pair(tmp_path: Path, tokenizer: SimpleTokenizer) -> ModelPaths:
    """The saved random model and its tokenizer."""
    paths = ModelPaths(tmp_path / "tiny_gpt.pth", tmp_path / "tokenizer.pth")
    config = GPTConfig(tokenizer.vocab_size, n_layers=2, n_heads=2, d_model=32, window=8, conv_width=3)
    tokenizer.save(paths.tokenizer)
    randomize(TinyGPT(config)).save(paths.model, tokenizer)
    return paths


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[str]]:
    """A command prefix for Python with the server's modules already imported, which halves most servers' run time."""
    modules = ["warmed_engine", "tinycopilot_server.handlers", "tinycopilot.cli"]
    with preloading(tmp_path_factory.mktemp("preloaded"), modules) as words:
        yield words


@pytest.fixture(scope="session")
def training_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[str]]:
    """A command prefix for Python with PyTorch and the training modules already imported (tests/preloaded.py)."""
    modules = [
        "torch._dynamo",
        "torch.distributed.run",
        "tinycopilot.evaluation.adapt",
        "tinycopilot.training.distributed",
        "warmed_engine",
    ]
    with preloading(tmp_path_factory.mktemp("preloaded"), modules) as words:
        yield words


@pytest.fixture
def in_folder(tmp_path: Path) -> Iterator[Path]:
    """Change to an empty working folder."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)
