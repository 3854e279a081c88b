import errno
import hashlib
import os
import random
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from learning import write_corpus
from numpy.typing import NDArray

from tinycopilot import UserError
from tinycopilot.training.corpus import (
    HELD_OUT_CHARS,
    HELD_OUT_SHARE,
    Corpus,
    corpus_label,
    open_corpus,
    prepare_corpus,
)
from tinycopilot.training.text import Text, to_units


def string(text: Text) -> str:
    return "".join(map(chr, text.read()))


def prepared(texts: list[str], folder: Path) -> tuple[Corpus, list[str], list[str]]:
    """A corpus of these files in this order, and its documents; each of `texts` has a line end at its end only."""
    sources = folder / "sources"
    sources.mkdir(parents=True)
    for i, text in enumerate(texts):
        (sources / f"{i:04}.py").write_text(text)
    corpus = prepare_corpus([str(sources)], folder / "prepared")
    return corpus, *([line for line in string(part).split("\n") if line] for part in (corpus.train, corpus.held_out))


def test_folder_is_stored_and_reported(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("alpha = 1\n" * 50)
    (tmp_path / "b.py").write_text("beta = 2\n" * 50)
    (tmp_path / "bad.py").write_bytes(b"\xff\xfe\xfa" * 10)
    (tmp_path / "notes.md").write_text("not code")
    corpus = prepare_corpus([str(tmp_path)], tmp_path / ".out.run")
    text = string(corpus.train) + string(corpus.held_out)
    assert text.count("alpha") == text.count("beta") == 50
    assert "not code" not in text
    assert corpus.left_out == (
        "left out: 1 file that is not UTF-8 (bad.py)",
        "left out: 1 file with other extensions (.md 1); use --ext to read them",
    )
    assert corpus.label == tmp_path.name
    notes = prepare_corpus([str(tmp_path)], tmp_path / "out", (".md",))
    assert string(notes.train) + string(notes.held_out) == "\nnot code"


def test_corpus_is_private_and_can_be_opened(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("alpha = 1\n" * 50)
    folder = tmp_path / "deep" / "out"
    corpus = prepare_corpus([str(tmp_path / "a.py")], folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in folder.iterdir()) == ["corpus.json", "held_out.bin", "train.bin"]
    opened = open_corpus(folder)
    assert (opened.label, opened.digest) == ("a.py", corpus.digest)
    assert string(opened.train) == string(corpus.train)
    assert string(opened.held_out) == string(corpus.held_out)
    assert str(tmp_path) not in (folder / "corpus.json").read_text()


def test_digest_is_reproducible(tmp_path: Path) -> None:
    dice = random.Random(0)
    for texts in (["one\n" * 400], [f"{i} {dice.random()}\n" for i in range(300)], ["x" * 400]):
        first, _, _ = prepared(texts, tmp_path / "a")
        again, _, _ = prepared(texts, tmp_path / "b")
        stored = first.train.path.read_bytes() + first.held_out.path.read_bytes()
        assert first.digest == again.digest == hashlib.sha256(stored).hexdigest()
        assert first.train.path.read_bytes() == again.train.path.read_bytes()
        shutil.rmtree(tmp_path / "a")
        shutil.rmtree(tmp_path / "b")


@pytest.mark.slow
@pytest.mark.usefixtures("in_folder")
def test_standard_library(tmp_path: Path) -> None:
    corpus = prepare_corpus(["stdlib"], tmp_path / "out")
    assert len(corpus.train) > 5_000_000
    assert 0.9 * HELD_OUT_CHARS < len(corpus.held_out) <= 1.01 * HELD_OUT_CHARS
    assert "import unittest\n\nclass Test" not in string(corpus.train)
    assert any("generated" in line for line in corpus.left_out)


def test_single_document_holds_out_its_last_lines(tmp_path: Path) -> None:
    text = "".join(f"line {i}\n" for i in range(1_000))
    (tmp_path / "one.py").write_text(text)
    corpus = prepare_corpus([str(tmp_path / "one.py")], tmp_path / "out")
    assert string(corpus.train) + string(corpus.held_out) == "\n" + text
    assert string(corpus.held_out).startswith("\nline 9")
    assert 0.04 * len(text) < len(corpus.held_out) <= HELD_OUT_SHARE * (len(text) + 1)


def test_few_documents_hold_out_the_end_of_the_text_too(tmp_path: Path) -> None:
    """A package of seven modules and a one-line __init__.py: only that line would be measured otherwise."""
    for i in range(7):
        (tmp_path / f"{i}.py").write_text("".join(f"value_{i}_{j} = {j}\n" for j in range(500)))
    (tmp_path / "__init__.py").write_text('"""A package."""\n')
    corpus = prepare_corpus([str(tmp_path)], tmp_path / "out")
    share = HELD_OUT_SHARE * (len(corpus.train) + len(corpus.held_out))
    assert 0.95 * share < len(corpus.held_out) <= share
    held_out = string(corpus.held_out)
    assert held_out.startswith("\nvalue_")
    assert held_out.endswith('\n"""A package."""\n')
    stored = corpus.train.path.read_bytes() + corpus.held_out.path.read_bytes()
    assert corpus.digest == hashlib.sha256(stored).hexdigest()
    assert string(open_corpus(tmp_path / "out").held_out) == held_out


LINES = st.lists(st.text("abc", min_size=1, max_size=300).map(lambda line: line + "\n"), min_size=1, max_size=30)


@given(LINES, st.sampled_from([20, 100, 1_000, 100_000]))
@example(["x" * 300 + "\n" + "y" * 36 + "\n"], 100_000)  # a last line longer than the held-out part
@example(["x"], 100_000)
@example(["a" * 1000, "b" * 1000], 100_000)
def test_split_is_complete_and_holds_out_a_small_part(texts: list[str], held_out_chars: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("tinycopilot.training.corpus.HELD_OUT_CHARS", held_out_chars)
        corpus, _, _ = prepared(texts, Path(folder))
        stored = string(corpus.train) + string(corpus.held_out)
    once = set(texts)
    assert sorted(stored) == sorted("".join("\n" + text for text in once))
    n_chars = sum(map(len, once))
    starts = len(once)  # DOCUMENT_START does not count against the limit
    assert 0 < len(corpus.held_out) <= max(1, min(HELD_OUT_SHARE * (n_chars + starts), held_out_chars)) + starts


def plain_held_out(texts: set[str], held_out_chars: int) -> set[str]:
    """The held-out texts by definition, with all texts in memory."""
    ranked = sorted(
        (text for text in texts if len(text) <= held_out_chars), key=lambda t: hashlib.sha256(t.encode()).digest()
    )
    limit = min(HELD_OUT_SHARE * sum(map(len, texts)), held_out_chars)
    held_out, candidate_chars = set(), 0
    for text in ranked:
        if candidate_chars >= 2 * held_out_chars:
            break
        candidate_chars += len(text)
        if len(text) <= limit:
            limit -= len(text)
            held_out.add(text)
    return held_out


@pytest.mark.slow
@given(LINES, st.sampled_from([20, 100, 1_000, 100_000]), st.randoms())
def test_held_out_set_depends_on_the_texts_only(texts: list[str], held_out_chars: int, dice: random.Random) -> None:
    texts += [f"{i} {text}" for i in range(5) for text in texts[:6]]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("tinycopilot.training.corpus.HELD_OUT_CHARS", held_out_chars)
        expected = {text.strip("\n") for text in plain_held_out(set(texts), held_out_chars)}
        for i in range(2):
            _, train, held_out = prepared(texts, Path(folder, str(i)))
            share = int(min(HELD_OUT_SHARE * sum(len(text) + 1 for text in set(texts)), held_out_chars))
            if expected and 2 * sum(len(text) + 2 for text in expected) >= share:
                assert set(held_out) == expected
                assert sorted(train + held_out) == sorted(text.strip("\n") for text in set(texts))
            assert set(held_out) >= expected  # and the end of the text
            dice.shuffle(texts)


@pytest.mark.slow
@settings(max_examples=4)
@given(st.integers(0, 1_000), st.integers(1, 20))
def test_larger_corpus_holds_out_nearly_the_same_texts(seed: int, n_new: int) -> None:
    texts = [f"{seed} document {i} {'x' * (i % 50)}\n" for i in range(400)]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("tinycopilot.training.corpus.HELD_OUT_CHARS", 700)
        _, _, before = prepared(texts, Path(folder, "a"))
        _, train, after = prepared([f"{seed} new {i}\n" for i in range(n_new)] + texts, Path(folder, "b"))
    assert len(set(before) & set(after)) >= 0.6 * len(before)
    assert not set(train) & set(after)


def test_duplicate_texts_count_once(tmp_path: Path) -> None:
    for i in range(40):
        (tmp_path / f"{i}.py").write_text(f"value = {i}\n" * 30)
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "0.py").write_bytes(b"value = 0\r\n" * 30)
    corpus = prepare_corpus([str(tmp_path), str(tmp_path / "again")], tmp_path / ".out.run")
    assert (string(corpus.train) + string(corpus.held_out)).count("value") == 40 * 30
    assert corpus.left_out == ("left out: 2 duplicates (again/0.py, 0.py)",)
    assert not set(string(corpus.train).split()) & set(string(corpus.held_out).split()) - {"value", "="}


def test_missing_source_leaves_no_complete_corpus(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("alpha = 1\n" * 50)
    with pytest.raises(UserError, match=r"missing\.py: no such file"):
        prepare_corpus([str(tmp_path / "a.py"), str(tmp_path / "missing.py")], tmp_path / "out")
    with pytest.raises(UserError, match="no prepared corpus"):
        open_corpus(tmp_path / "out")


@pytest.mark.parametrize("fails_at", [1, 30])
def test_full_disk_leaves_no_complete_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
    for i in range(40):
        (tmp_path / f"{i}.py").write_text(f"value = {i}\n" * 30)
    prepare_corpus([str(tmp_path)], tmp_path / "out")
    calls = []

    def fail(text: str) -> NDArray[np.uint16]:
        calls.append(text)
        if len(calls) == fails_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return to_units(text)

    monkeypatch.setattr("tinycopilot.training.text.to_units", fail)
    with pytest.raises(OSError, match="No space left"):
        prepare_corpus([str(tmp_path)], tmp_path / "out")
    with pytest.raises(UserError, match="no prepared corpus"):
        open_corpus(tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("corpus.json", None, "no prepared corpus"),
        ("corpus.json", "{", "cannot be read"),
        ("corpus.json", "\xff", "cannot be read"),
        ("corpus.json", "[" * 100_000, "cannot be read"),
        ("corpus.json", "[]", "damaged"),
        ("corpus.json", '{"label": "x"}', "damaged"),
        ("train.bin", None, "cannot be read"),
        ("train.bin", "abcd", "has changed"),
        ("held_out.bin", "abc", "cut off"),
        ("held_out.bin", "", "has changed"),
    ],
)
def test_damaged_corpus_is_one_line(tmp_path: Path, name: str, content: str | None, says: str) -> None:
    write_corpus(["x" * 1_000], ["abcd"], tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content.encode("latin1"))
    with pytest.raises(UserError) as caught:
        open_corpus(tmp_path)
    assert says in str(caught.value)
    assert "again" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_label_is_not_a_path() -> None:
    assert (
        corpus_label(["/home/me/code/", "a/../b.txt", "stdlib", "package:json"])
        == "code + b.txt + stdlib + package:json"
    )
