"""The number of threads while other programs load the CPU."""

from collections.abc import Iterator

import pytest
import torch

from tinycopilot.training import threads
from tinycopilot.training.log import LogInterval
from tinycopilot.training.threads import CHECK_S, ThreadTuner, threads_for_load

INTERVAL = LogInterval(20, 1000, 1.0, 2.0, 1.0)


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("n_cores", "load", "most", "expected"),
    [(2, 0.0, 2, 2), (2, 0.4, 2, 2), (2, 1.0, 2, 1), (2, 14.0, 2, 1), (8, 3.0, 8, 5), (8, 3.0, 4, 4), (1, 0.0, 1, 1)],
)
def test_threads_fit_the_free_cores(n_cores: int, load: float, most: int, expected: int) -> None:
    assert threads_for_load(n_cores, load, most) == expected


def test_thread_count_follows_the_load() -> None:
    """After some time of training, the load includes this process's own threads."""
    now, load = [0.0], [1.0]
    tuner = ThreadTuner(lambda: load[0], lambda: now[0])
    assert torch.get_num_threads() == 1  # something else is busy when the run starts
    load[0] = 1.0  # now that is this process itself
    tuner.on_interval(INTERVAL)
    assert torch.get_num_threads() == 1  # too soon to tell
    for load[0], expected in ((1.1, 2), (2.0, 2), (3.0, 1), (2.0, 1), (1.0, 2)):
        now[0] += CHECK_S
        tuner.on_interval(INTERVAL)
        assert torch.get_num_threads() == expected


def test_thread_count_is_at_most_the_given_one() -> None:
    torch.set_num_threads(1)
    now = [0.0]
    tuner = ThreadTuner(lambda: 0.0, lambda: now[0])
    now[0] += CHECK_S
    tuner.on_interval(INTERVAL)
    assert torch.get_num_threads() == 1


def test_without_load_average_the_thread_count_stays() -> None:
    def none() -> float:
        raise AttributeError

    ThreadTuner(none)
    assert torch.get_num_threads() == 2
