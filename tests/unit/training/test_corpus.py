from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tinycopilot import UserError
from tinycopilot.training.corpus import CorpusError, _split, load_corpus, split_blocks


def test_a_folder_is_its_python_files(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("alpha = 1\n" * 50)
    (tmp_path / "b.py").write_text("beta = 2\n" * 50)
    (tmp_path / "bad.py").write_bytes(b"\xff\xfe\xfa" * 10)
    (tmp_path / "notes.md").write_text("not code")
    corpus = load_corpus([str(tmp_path)])
    text = "".join(corpus.train + corpus.held_out)
    assert text.count("alpha") == text.count("beta") == 50
    assert "not code" not in text
    assert len(corpus.skipped) == 1
    assert "bad.py" in corpus.skipped[0]


def test_a_text_file_is_blocks() -> None:
    text = "A note.\n\n# %% one.py\n\nx = 1\n\n# %% two.py\ny = 2\n# %% \nz = 3"
    assert split_blocks(text) == ["x = 1\n", "y = 2\n", "z = 3\n"]
    assert split_blocks("just text\n") == ["just text\n"]


@pytest.mark.usefixtures("in_folder")
def test_the_standard_library_is_without_its_tests() -> None:
    corpus = load_corpus(["stdlib"])
    assert corpus.train_chars > 5_000_000
    assert 100_000 < corpus.held_out_chars <= 400_000
    assert not any("import unittest\n\nclass Test" in text for text in corpus.train)
    assert load_corpus(["stdlib"]) == corpus  # the split is for good
    Path("stdlib").mkdir()  # a folder of that name is the folder
    with pytest.raises(CorpusError):
        load_corpus(["stdlib"])


DOCUMENTS = st.lists(st.text(min_size=1, max_size=3000), min_size=1, max_size=30)


@given(DOCUMENTS)
@example(["x" * 300 + "\n" + "y" * 36 + "\n"])  # a last line longer than what is to be held out
@example(["xy"])
@example(["a" * 1000, "b" * 1000])
def test_the_split_loses_nothing_and_holds_out_a_little(documents: list[str]) -> None:
    train, held_out = _split(documents)
    n_chars = sum(map(len, documents))
    assert sorted("".join(train + held_out)) == sorted("".join(documents))
    assert sum(map(len, held_out)) <= 0.15 * n_chars + 1
    assert all(held_out)
    if n_chars > 1:
        assert held_out


def test_the_split_is_decided_by_what_stands_in_the_documents() -> None:
    documents = [f"document {i}\n" * 20 for i in range(200)]
    held_out = set(_split(documents)[1])
    assert set(_split(documents[::-1])[1]) == held_out
    grown = set(_split(["a new one\n" * 20, *documents])[1])
    assert len(grown & held_out) >= len(held_out) - 1


def test_each_text_counts_once(tmp_path: Path) -> None:
    for i in range(40):
        (tmp_path / f"{i}.py").write_text(f"value = {i}\n" * 30)
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "0.py").write_text("value = 0\n" * 30)
    corpus = load_corpus([str(tmp_path), str(tmp_path / "again")])
    assert len(corpus.train) + len(corpus.held_out) == 40
    assert not set(corpus.train) & set(corpus.held_out)


@pytest.mark.parametrize("content", [b"", b"  \n\n", b"\0\1\2", "\xe9".encode("latin1")])
def test_nothing_to_learn_from_gets_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.txt"
    path.write_bytes(content)
    for name in (path, tmp_path / "missing.txt", tmp_path):
        with pytest.raises(UserError) as caught:
            load_corpus([str(name)])
        assert "\n" not in str(caught.value)
        assert str(name) in str(caught.value)
