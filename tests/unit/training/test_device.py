"""The number of threads while other programs load the CPU."""

from collections.abc import Iterator

import pytest
import torch

from tinycopilot.training import device
from tinycopilot.training.device import CHECK_S, ThreadTuner
from tinycopilot.training.log import LogInterval

INTERVAL = LogInterval(20, 1000, 1.0, 2.0, 1.0)


class Machine:
    """A clock, and the load average of a machine with `n_cores`."""

    def __init__(self, patch: pytest.MonkeyPatch, n_cores: int = 2, load: float = 0.0) -> None:
        self.now, self.load = 0.0, load
        patch.setattr(device, "usable_cores", lambda: n_cores)
        patch.setattr(device.time, "monotonic", lambda: self.now)
        patch.setattr(device.os, "getloadavg", lambda: (self.load, 0.0, 0.0), raising=False)


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("n_cores", "load", "most", "expected"),
    [(2, 0.0, 2, 2), (2, 0.4, 2, 2), (2, 1.0, 2, 1), (2, 14.0, 2, 1), (8, 3.0, 8, 5), (8, 3.0, 4, 4), (1, 0.0, 1, 1)],
)
def test_threads_fit_the_free_cores(
    n_cores: int, load: float, most: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    Machine(monkeypatch, n_cores, load)
    torch.set_num_threads(most)
    ThreadTuner()
    assert torch.get_num_threads() == expected


def test_thread_count_follows_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """After some time of training, the load includes this process's own threads."""
    machine = Machine(monkeypatch, load=1.0)
    tuner = ThreadTuner()
    assert torch.get_num_threads() == 1  # something else is busy when the run starts
    tuner.on_interval(INTERVAL)
    assert torch.get_num_threads() == 1  # now that is this process itself, but it is too soon to tell
    for machine.load, expected in ((1.1, 2), (2.0, 2), (3.0, 1), (2.0, 1), (1.0, 2)):
        machine.now += CHECK_S
        tuner.on_interval(INTERVAL)
        assert torch.get_num_threads() == expected


def test_thread_count_is_at_most_the_given_one(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    machine = Machine(monkeypatch)
    tuner = ThreadTuner()
    machine.now += CHECK_S
    tuner.on_interval(INTERVAL)
    assert torch.get_num_threads() == 1


def test_without_load_average_the_thread_count_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(device.os, "getloadavg", raising=False)
    ThreadTuner()
    assert torch.get_num_threads() == 2
