"""Tiny networks with every parameter drawn at random: a zero-initialised one would pass many a test for nothing."""

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from networks import compiled, randomise
from preloaded import preloading

from tinycopilot.completion.network import Network
from tinycopilot.model.gpt import GPTConfig, TinyGPT
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import ModelPaths
from tinycopilot.training import setup

# No timing decides a test: not Hypothesis's either. `make soak` takes the long profile (--hypothesis-profile=long).
NO_CLOCK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("short", NO_CLOCK, max_examples=40)
settings.register_profile("long", NO_CLOCK, max_examples=1000)
settings.load_profile("short")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long the server is tried; left out, some seconds (tests/protocol/test_soak.py and its neighbours)."""
    group = parser.getgroup("the server, for long")
    group.addoption("--messages", type=int, help="of a legal editor")
    group.addoption("--malformed", type=int, help="messages that no editor should send")
    group.addoption("--kills", type=int, help="how often it is killed while it writes")
    group.addoption("--seed", type=int, default=0, help="of all that is random there")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def ctrl_c_as_before() -> Iterator[None]:
    """A command that was stopped hears no other Ctrl-C: its process is about to end."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def home_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees, or writes to, the models of whoever runs it."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    return home


@pytest.fixture(autouse=True)
def no_trial_of_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is quicker is told by the clock, and two runs are to be the same."""
    monkeypatch.setattr(setup, "has_fast_bfloat16", lambda _device: False)


@pytest.fixture(scope="session")
def tokenizer() -> SimpleTokenizer:
    return SimpleTokenizer("\n\t abcdefghijklmnopqrstuvwxyz()[]:=,.'\"\N{LATIN SMALL LETTER E WITH ACUTE}")


@pytest.fixture(scope="session")
def model(tokenizer: SimpleTokenizer) -> TinyGPT:
    """Two layers of width 32, a window of 8, convolutions of 3, and so a reach of 23, in float64: small, and exact."""
    config = GPTConfig(tokenizer.vocab_size, n_layers=2, n_heads=2, d_model=32, window=8, conv_width=3)
    return randomise(TinyGPT(config).double())


@pytest.fixture(scope="session")
def network(model: TinyGPT) -> Network:
    """The same, compiled, in float32."""
    return compiled(model)


@pytest.fixture
def pair(tmp_path: Path, tokenizer: SimpleTokenizer) -> ModelPaths:
    """A saved random model and its tokenizer."""
    paths = ModelPaths(tmp_path / "tiny_gpt.pth", tmp_path / "tokenizer.pth")
    config = GPTConfig(tokenizer.vocab_size, n_layers=2, n_heads=2, d_model=32, window=8, conv_width=3)
    tokenizer.save(paths.tokenizer)
    randomise(TinyGPT(config)).save(paths.model, tokenizer)
    return paths


@pytest.fixture(scope="session")
def training_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[str]]:
    """The beginning of a command: Python that has imported PyTorch and all that trains (tests/preloaded.py)."""
    modules = ["torch._dynamo", "tinycopilot.evaluation.adapt", "tinycopilot.training.distributed", "warmed_engine"]
    with preloading(tmp_path_factory.mktemp("preloaded"), modules) as words:
        yield words


@pytest.fixture
def in_folder(tmp_path: Path) -> Iterator[Path]:
    """The working folder is an empty one."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)
