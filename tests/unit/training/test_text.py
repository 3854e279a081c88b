import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycopilot import UserError
from tinycopilot.training.text import UNKNOWN_UNIT, Text, to_units, write_text

# Hypothesis's text() omits lone surrogates; a badly decoded document may contain them.
ANY_TEXT = st.text(st.characters(codec=None), max_size=60)


def written(folder: Path, *documents: str) -> Text:
    write_text(folder / "t.bin", documents)
    return Text(folder / "t.bin")


def plain_units(text: str) -> list[int]:
    """`to_units` as documented, one character at a time."""
    stored = [ord(character) for character in text]
    return [UNKNOWN_UNIT if i > 0xFFFF or 0xD800 <= i <= 0xDFFF else i for i in stored]


@given(ANY_TEXT)
def test_characters_are_stored_as_their_code_points(text: str) -> None:
    assert to_units(text).tolist() == plain_units(text)


def test_code_points_above_16_bits_are_unknown() -> None:
    units = to_units("a\N{SNOWMAN}\N{SNAKE}\ud83d\ue000\uffff")
    assert units.tolist() == [97, 0x2603, UNKNOWN_UNIT, UNKNOWN_UNIT, 0xE000, UNKNOWN_UNIT]


def test_documents_start_with_a_separator(tmp_path: Path) -> None:
    text = written(tmp_path, "ab", "", "\N{SNAKE}")
    assert text.read().tolist() == [10, 97, 98, 10, 10, UNKNOWN_UNIT]


@given(st.lists(st.integers(0, 80), max_size=5), st.integers(0, 20))
def test_windows_are_slices(tmp_path_factory: pytest.TempPathFactory, starts: list[int], length: int) -> None:
    text = written(tmp_path_factory.mktemp("t"), "".join(map(chr, range(300, 400))))
    windows = text.windows(np.array(starts, np.int64), length)
    assert windows.shape == (len(starts), length)
    assert windows.dtype == np.uint16
    assert windows.tolist() == [text.read(start, length).tolist() for start in starts]


def test_reads_beyond_the_ends_are_empty(tmp_path: Path) -> None:
    text = written(tmp_path, "abcd")
    assert text.windows(np.array([0, 2]), 3).tolist() == [[10, 97, 98], [98, 99, 100]]
    for starts in ([3], [0, 99]):
        with pytest.raises(IndexError):
            text.windows(np.array(starts), 3)
    assert text.read(3, 10).tolist() == [99, 100]
    assert text.read(9).tolist() == []


def test_slices_outlive_the_file_and_are_writable(tmp_path: Path) -> None:
    text = written(tmp_path, "abc")
    units, windows = text.read(), text.windows(np.array([1]), 2)
    text.path.write_bytes(b"\0" * 8)
    units += 1
    windows += 1
    assert units.tolist() == [11, 98, 99, 100]
    assert windows.tolist() == [[98, 99]]


def test_characters_are_counted_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinycopilot.training.text.PIECE_CHARS", 3)
    text = written(tmp_path, "banana \N{SNAKE}", "\N{SNOWMAN}")
    assert text.counts() == {"\n": 2, "b": 1, "a": 3, "n": 2, " ": 1, "\N{SNOWMAN}": 1}
    assert text.counts().total() == len(text) - 1  # the snake is outside of the 16 bits


def test_empty_text(tmp_path: Path) -> None:
    text = written(tmp_path)
    assert len(text) == 0
    assert text.read().tolist() == []
    assert not text.counts()
    assert text.windows(np.empty(0, np.int64), 3).shape == (0, 3)
    with pytest.raises(IndexError):
        text.windows(np.array([0]), 1)


def test_missing_or_truncated_file_is_one_line(tmp_path: Path) -> None:
    text = written(tmp_path, "abc")
    for n_bytes, says in ((7, "cut off"), (4, "shorter than it was"), (None, "cannot be read")):
        if n_bytes is None:
            text.path.unlink()
        else:
            os.truncate(text.path, n_bytes)
        with pytest.raises(UserError) as caught:
            (text.read if n_bytes == 4 else lambda: Text(text.path))()
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="gone"):
        text.read()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_map_stays_open(tmp_path: Path) -> None:
    text = written(tmp_path, "abc" * 5000)
    kept = text.read(), text.windows(np.array([5]), 4), text.counts()
    assert all(len(value) for value in kept)
    assert str(text.path) not in Path("/proc/self/maps").read_text()
