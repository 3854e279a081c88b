"""From the output of a training process to the user's messages."""

import json
from typing import Any

import pytest
from tinycopilot_server.training import (
    DEFAULT_MINUTES,
    in_words,
    minutes_of,
    percentage,
    read_line,
    why_it_failed,
)

from tinycopilot import UserError


@pytest.mark.parametrize(
    ("line", "percent", "words"),
    [
        ({"stage": "reading", "share": 0.0}, 0, "reading"),
        ({"stage": "training", "share": 0.0, "bits": None, "minutes_left": None}, 3, "training"),
        (
            {"stage": "training", "share": 0.5, "bits": 1.021, "minutes_left": 2.6},
            44,
            "training: 1.02 bits per character, 3 minutes left",
        ),
        (
            {"stage": "training", "share": 1, "bits": 1, "minutes_left": 0.2},
            85,
            "training: 1.00 bits per character, less than a minute left",
        ),
        ({"stage": "training", "share": 0, "minutes_left": 1.2}, 3, "training: 1 minute left"),
        ({"stage": "measuring", "share": 1}, 100, "measuring"),
        ({"stage": "done", "share": 1}, 100, "done"),
    ],
)
def test_progress_line_becomes_percentage_and_message(line: dict[str, Any], percent: int, words: str) -> None:
    said = read_line(json.dumps(line).encode())
    assert said is not None
    assert percentage(said) == percent
    assert in_words(said) == words


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff",
        b"warming up\n",
        b"[1]",
        b"null",
        b'{"share": 1}',
    ],
)
def test_invalid_progress_line_is_ignored(line: bytes) -> None:
    assert read_line(line) is None


def test_minutes() -> None:
    assert minutes_of(()) == minutes_of(({},)) == minutes_of((None,)) == DEFAULT_MINUTES
    assert minutes_of(({"minutes": 2},)) == 2.0
    assert minutes_of(({"minutes": 0.05}, "whatever")) == 0.05
    for wrong in ("5", 0, -1, True, 1e9, float("nan"), [5]):
        with pytest.raises(UserError, match="minutes must be above 0"):
            minutes_of(({"minutes": wrong},))
    with pytest.raises(UserError, match="minutes must be above 0"):
        minutes_of(("; rm -rf /",))


def test_why_it_failed() -> None:
    assert why_it_failed(2, "tinycopilot: too little code") == "too little code"
    assert "exit code 1): ValueError: x" in why_it_failed(1, "ValueError: x")
    assert "exit code -9); the model is unchanged" in why_it_failed(-9, "")
