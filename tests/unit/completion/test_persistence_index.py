"""A saved index predicts like the original, and a damaged one is never used."""

import json
import logging
import math
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycopilot.completion import persistence, suffix_array
from tinycopilot.completion.ngram import NGramModel, context_of, plain_prediction
from tinycopilot.completion.persistence import SavedIndex
from tinycopilot.completion.segments import Alphabet
from tinycopilot.model.tokenizer import DOCUMENT_START

KNOWN, TOKENIZER = "\nab(", "0" * 64
TEXTS = {"x": "ab(ab(\n" * 9, "y": "ba\u00e9b(" * 5, "z": "aaa\U0001f600" * 7, "unsaved": "(" * 50}
STAMPS = {"x": (1_700_000_000_000_000_000, 63), "y": (2, 25), "z": (3, 28)}


def settled(alphabet: Alphabet, texts: dict[str, str]) -> NGramModel:
    memory = NGramModel(alphabet)
    for second, (name, text) in enumerate(texts.items()):
        memory.hold(name, text, last_used_s=second)
    memory.compact()
    return memory


def save(path: Path, memory: NGramModel, stamps: dict[str, tuple[int, int]] | None = None) -> None:
    merged, last_used_s = memory.merged()
    persistence.save_index(
        path, SavedIndex(merged, last_used_s, STAMPS if stamps is None else stamps), memory.alphabet, TOKENIZER
    )


def predicts_as(memory: NGramModel, texts: dict[str, str], before: str) -> bool:
    """Whether predictions equal the definition's for these texts."""
    alphabet = memory.alphabet
    p, order = memory.predict(context_of(alphabet, before), memory.possible())
    held = [alphabet.character_of(i + 1) for i in np.flatnonzero(memory.possible()[:-1])]
    plain, plain_order = plain_prediction(
        [DOCUMENT_START + text for text in texts.values()], held, DOCUMENT_START + before
    )
    found = {c: p[alphabet.symbol_of(c) - 1] for c in held} | {"": p[-1]}
    return order == plain_order and found == pytest.approx(plain)


@pytest.mark.parametrize("piece_len", [5, 2**15])
def test_saved_index_round_trips_and_is_private(
    piece_len: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suffix_array, "PIECE_LEN", piece_len)
    path, memory = tmp_path / "cache" / "one.memory", settled(Alphabet(KNOWN), TEXTS)
    save(path, memory)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"(" * 9 not in path.read_bytes()
    fresh = settled(Alphabet(KNOWN), {name: TEXTS[name] for name in STAMPS}).merged()[0]
    monkeypatch.delattr(suffix_array, "_sorted")
    kept = persistence.load_index(path, Alphabet(KNOWN), TOKENIZER)
    assert kept is not None
    assert kept.stamps == STAMPS  # so the unsaved text is not in it
    assert kept.last_used_s == {"x": 0, "y": 1, "z": 2}
    for one, other in (
        (kept.merged.index.symbols, fresh.index.symbols),
        (kept.merged.index.positions, fresh.index.positions),
    ):
        assert np.array_equal(one, other)
        assert one.dtype == other.dtype
        assert one.flags.writeable  # otherwise everything would be compiled again


@given(
    met=st.sampled_from(["", "\u00e9", "\U0001f600\u00e9", "\u00e9\U0001f600", "q\U0001f600", "q"]),
    n=st.integers(1, 60),
)
def test_other_alphabet_order_predicts_the_same(met: str, n: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("kept") / "one.memory"
    save(path, settled(Alphabet(KNOWN), TEXTS))
    alphabet = Alphabet(KNOWN)
    memory = NGramModel(alphabet)
    memory.hold("open", met * 8)
    memory.hold("x", "bbb", met)  # open in the editor, with another text
    kept = persistence.load_index(path, alphabet, TOKENIZER)
    assert kept is not None
    memory.adopt(kept.merged, kept.last_used_s)
    texts = {"y": TEXTS["y"], "z": TEXTS["z"], "open": met * 8}
    whole = "".join(TEXTS.values())[:n]
    if not met:
        assert predicts_as(memory, texts | {"x": "bbb"}, whole)
    else:
        memory.drop("x")
        assert predicts_as(memory, texts, whole)
    memory.compact()
    with pytest.raises(ValueError, match="merged"):
        memory.adopt(kept.merged, {})


def test_document_changed_since_compaction_is_not_merged() -> None:
    memory = settled(Alphabet(KNOWN), TEXTS)
    memory.hold("x", "changed")
    memory.drop("y")
    assert set(memory.merged()[1]) == {"z", "unsaved"}


def test_empty_index_is_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "one.memory"
    for memory, stamps in ((NGramModel(Alphabet(KNOWN)), None), (settled(Alphabet(KNOWN), TEXTS), {})):
        save(path, memory, stamps)
        kept = persistence.load_index(path, Alphabet(KNOWN), TOKENIZER)
        assert kept is not None
        assert (len(kept.merged), kept.stamps) == (0, {})


def test_missing_file_is_silent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert persistence.load_index(tmp_path / "none", Alphabet(KNOWN), TOKENIZER) is None
    assert not caplog.records


@pytest.mark.parametrize("n", range(0, 700, 23))
def test_changed_byte_is_detected(n: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "one.memory"
    save(path, settled(Alphabet(KNOWN), TEXTS))
    content = bytearray(path.read_bytes())
    content[n] ^= 1
    for damaged in (content, content[:n], b"", path.read_bytes() + b"x"):
        path.write_bytes(damaged)
        with caplog.at_level(logging.WARNING):
            assert persistence.load_index(path, Alphabet(KNOWN), TOKENIZER) is None
        assert caplog.records.pop().getMessage().startswith(f"{path}: not used")
        caplog.clear()


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "tinycopilot memory, 0"}, {"tokenizer": "another"}, {"n_symbols": 10**12}, {"n_symbols": -1},
        {"n_symbols": "many"}, {"documents": [["x", 3, 0, 0, 0]]}, {"documents": [["x", -5, 0, 0, 0]]},
        {"documents": "none"}, {"documents": [["x"]]}, {"characters": ""}, {"characters": None}, {"n_positions": 1.5},
        {"characters": ["ab", None]}, {"documents": [["x", 3, math.inf, math.inf, math.inf]]},
    ],
)  # fmt: skip
def test_foreign_or_invalid_index_is_dropped(change: dict[str, object], tmp_path: Path) -> None:
    """With a valid digest."""
    path = tmp_path / "one.memory"
    save(path, settled(Alphabet(KNOWN), TEXTS))
    assert persistence.load_index(path, Alphabet(KNOWN), TOKENIZER)
    _, line, rest = path.read_bytes().split(b"\n", 2)
    header = json.loads(line)
    n = 2 * header["n_symbols"]
    line = json.dumps(header | change).encode() + b"\n"
    arrays = np.frombuffer(rest[:n], np.uint16), np.frombuffer(rest[n:], np.int32)
    path.write_bytes(persistence.digest_of(line, *arrays).encode() + b"\n" + line + rest)
    assert persistence.load_index(path, Alphabet(KNOWN), TOKENIZER) is None


@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("position", [-1, 0, 31, 40, 10**6])
def test_positions_outside_of_the_text_are_never_read(place: int, position: int, tmp_path: Path) -> None:
    """Nor a position twice."""
    path = tmp_path / "one.memory"
    save(path, settled(Alphabet(KNOWN), TEXTS))
    _, line, rest = path.read_bytes().split(b"\n", 2)
    n = 2 * json.loads(line)["n_symbols"]
    symbols, positions = np.frombuffer(rest[:n], np.uint16), np.frombuffer(rest[n:], np.int32).copy()
    positions[place] = position
    line += b"\n"
    digest = persistence.digest_of(line, symbols, positions)
    path.write_bytes(digest.encode() + b"\n" + line + rest[:n] + positions.tobytes())
    assert persistence.load_index(path, Alphabet(KNOWN), TOKENIZER) is None


def test_unwritable_folder_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache").write_text("a file")
    save(tmp_path / "cache" / "one.memory", settled(Alphabet(KNOWN), TEXTS))
    (record,) = caplog.records
    assert "could not be saved" in record.getMessage()
