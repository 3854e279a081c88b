from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from learning import write_corpus

from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer
from tinycopilot.training.batches import BatchLoader, ids_of, shuffled, window_starts
from tinycopilot.training.schedule import Schedule, stages_for

CPU = torch.device("cpu")


@given(st.integers(1, 3000), st.integers(0, 2**64 - 1))
def test_shuffle_is_a_permutation(n: int, seed: int) -> None:
    places = shuffled(np.arange(n), n, seed)
    assert sorted(places) == list(range(n))


@given(st.integers(100, 3000), st.integers(0, 2**32), st.data())
def test_shuffle_is_random_access(n: int, seed: int, data: st.DataObject) -> None:
    some = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=20)))
    assert np.array_equal(shuffled(some, n, seed), shuffled(np.arange(n), n, seed)[some])


def test_shuffle_changes_the_order() -> None:
    """Neighbors end up far apart, and another seed gives another order."""
    n = 10_000
    places = shuffled(np.arange(n), n, 7)
    assert abs(np.abs(np.diff(places)).mean() / (n / 3) - 1) < 0.05
    assert abs(np.corrcoef(np.arange(n), places)[0, 1]) < 0.05
    assert (shuffled(np.arange(n), n, 8) == places).mean() < 0.01


@pytest.mark.slow
@given(st.integers(20, 600), st.integers(1, 9), st.integers(1, 16), st.integers(0, 99))
def test_each_epoch_reads_every_window_once(n_chars: int, batch: int, window: int, seed: int) -> None:
    n_windows = (n_chars - 1) // window
    n_batches = -(-3 * n_windows // batch)
    starts = np.concatenate([window_starts(n_chars, batch, window, i * batch, seed) for i in range(n_batches)])
    for epoch in range(3):
        once = np.sort(starts[epoch * n_windows : (epoch + 1) * n_windows])
        assert np.array_equal(once, once[0] + window * np.arange(n_windows))
        assert once[0] >= 0
        assert once[-1] + window < n_chars  # the last target is inside


def test_windows_repeat_only_after_a_full_pass() -> None:
    n_chars = 1_000_000
    schedule = Schedule.over(n_chars, stages_for(256, adapting=False, is_long=False))
    starts: list[int] = []
    for step in range(schedule.n_steps):
        stage, first, _ = schedule.at(step)
        starts += window_starts(n_chars, stage.batch, stage.window, first, seed=0).tolist()
    once = starts[: (n_chars - 1) // 256]
    assert len(set(once)) == len(once)


def test_targets_are_inputs_shifted_by_one(tmp_path: Path, tokenizer: SimpleTokenizer) -> None:
    text = "".join(f"{letter}bcdefghij " for letter in "klmnopqrst")
    corpus = write_corpus([text], ["x"], tmp_path)
    loader = BatchLoader(corpus.train, tokenizer, CPU, seed=1)
    inputs, targets = loader.batch(6, 8, 12)
    assert inputs.shape == targets.shape == (6, 8)
    assert inputs.dtype == targets.dtype == torch.int64
    for row, following in zip(inputs, targets, strict=True):
        assert torch.equal(row[1:], following[:-1])
        assert tokenizer.decode(row) + tokenizer.decode(following[-1:]) in DOCUMENT_START + text
    halves = [loader.batch(6, 8, 12, rank, 2)[0] for rank in (0, 1)]
    assert torch.equal(torch.stack(halves, 1).flatten(0, 1), inputs)


def test_batch_ids_equal_the_tokenizers(tmp_path: Path, tokenizer: SimpleTokenizer) -> None:
    documents = ["def f(é):\n", "\N{GREEK SMALL LETTER ALPHA} = 'ß' # \N{GRINNING FACE}"]
    corpus = write_corpus(documents, ["x"], tmp_path)
    expected = tokenizer.encode("".join(DOCUMENT_START + document for document in documents))
    assert ids_of(corpus.train, tokenizer).tolist() == expected
