"""Learned weights on disk, and which files are rejected."""

import json
import logging
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tinycopilot.completion.persistence import WEIGHTS_KIND, load_weights, save_weights
from tinycopilot.completion.predictor import INITIAL, KINDS, Mixture
from tinycopilot.completion.suffix_array import ORDERS

DIGEST = "of the tokenizer"
LEARNED = {order: (0.5, 2.0, 1 / (order + 3)) for order in ORDERS} | {
    kind: (-0.5, 2.0, len(kind) / 7) for kind in KINDS
}
GOOD = {"kind": WEIGHTS_KIND, "tokenizer": DIGEST, "weights": {str(key): list(row) for key, row in LEARNED.items()}}


def test_weights_round_trip_and_are_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "w.json"
    save_weights(path, Mixture(LEARNED).as_rows(), DIGEST)
    assert load_weights(path, DIGEST).as_rows() == {key: list(row) for key, row in LEARNED.items()}
    assert [p.name for p in path.parent.iterdir()] == ["w.json"]
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_integers_are_valid_weights(tmp_path: Path) -> None:
    (tmp_path / "w.json").write_text(json.dumps(with_weights(_3=[0, 2, 1])))
    mixture = load_weights(tmp_path / "w.json", DIGEST)
    assert mixture.as_rows()[3] == [0, 2, 1]
    assert mixture.by_order.dtype == float


def test_missing_file_is_silent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert load_weights(tmp_path / "none.json", DIGEST).as_rows() == Mixture().as_rows()
    assert caplog.records == []


def with_weights(**rows: Any) -> dict[str, Any]:
    return GOOD | {"weights": GOOD["weights"] | {name.removeprefix("_"): row for name, row in rows.items()}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"{",
        b"[" * 60_000,
        b"7",
        json.dumps(GOOD).encode() + b" " * 70_000,
        json.dumps(GOOD)[:-9].encode(),
        *(
            json.dumps(data).encode()
            for data in (
                GOOD | {"kind": "other"},
                GOOD | {"tokenizer": "of another"},
                GOOD | {"weights": [1, 2]},
                GOOD | {"weights": {"3": [1, 1, 1]}},
                with_weights(_7=[1, 1, 1]),
                with_weights(_3=[1, 1]),
                with_weights(_3=[1, 1, "1"]),
                with_weights(_3=[1, 1, True]),
                with_weights(_3=[1, 1, float("nan")]),
                with_weights(_3=[1, 1, float("inf")]),
                with_weights(_3=[1, 1, -0.01]),
                with_weights(_3=[1, 1, 2.01]),
                with_weights(_3=[1, 1, 10**400]),
                with_weights(_3=None),
                with_weights(_dot=[1, 1, -2.01]),
                with_weights(_comma=[1, 1, 1]),
            )
        ),
    ],
)
def test_damaged_or_foreign_file_is_dropped_with_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    path = tmp_path / "w.json"
    path.write_bytes(content)
    assert load_weights(path, DIGEST).as_rows() == {key: list(row) for key, row in INITIAL.items()}
    assert len(caplog.records) == 1
    assert "\n" not in caplog.records[0].getMessage()
    save_weights(path, Mixture(LEARNED).as_rows(), DIGEST)
    assert load_weights(path, DIGEST).as_rows()[3] == list(LEARNED[3])


def test_unwritable_folder_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        save_weights(tmp_path / "file" / "w.json", Mixture().as_rows(), DIGEST)
    assert len(caplog.records) == 1


def test_failed_write_keeps_the_old_weights(tmp_path: Path) -> None:
    path = tmp_path / "w.json"
    save_weights(path, Mixture(LEARNED).as_rows(), DIGEST)
    save_weights(path, {3: [float("nan")]}, DIGEST)
    assert load_weights(path, DIGEST).as_rows()[3] == list(LEARNED[3])
    assert [p.name for p in tmp_path.iterdir()] == ["w.json"]


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "weights.json"
    old, new, foreign = (
        tmp_path / name for name in (".weights.json.a1.part", ".weights.json.b2.part", ".other.json.c3.part")
    )
    for left in (old, new, foreign):
        left.write_text("{")
    for left in (old, foreign):
        os.utime(left, (0, 0))
    save_weights(path, Mixture().as_rows(), DIGEST)
    assert set(tmp_path.iterdir()) == {path, new, foreign}
