import io
import math
from typing import Any

import pytest
import torch

from tinycopilot.training.log import Evaluation, HardCharacter, LogInterval, TrainLog

LOG = TrainLog(
    [LogInterval(20, 4096, 0.5, 6.5, 0.4), LogInterval(40, 8192, 1.0, math.nan, 1.0)],
    [Evaluation(40, 8192, 1.0, 4.2, "def \x00")],
    ["step 21: went back"],
    [HardCharacter("\ufffd", 3, 11.5)],
    best_step=40,
    n_steps=40,
    n_chars=8192,
    seconds=1.0,
    held_out_bits=4.2,
)


def test_log_round_trips_through_a_plain_data_file() -> None:
    file = io.BytesIO()
    torch.save(LOG.to_data(), file)
    file.seek(0)
    again = TrainLog.from_data(torch.load(file, weights_only=True))
    assert repr(again) == repr(LOG)  # NaN is not equal to itself
    assert again.chars_per_second == 8192


def test_data_is_a_copy_of_the_log() -> None:
    data = LOG.to_data()
    data["events"].append("another")
    data["blocks"][0][0] = 7
    assert LOG.events == ["step 21: went back"]
    assert LOG.intervals[0].step == 20


def test_empty_log() -> None:
    assert TrainLog().chars_per_second == 0.0
    assert repr(TrainLog.from_data(TrainLog().to_data())) == repr(TrainLog())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"blocks": [[20, 4096, 0.5, 6.5]]}, "LogInterval: a row must have step, chars"),
        ({"blocks": {"step": 1}}, "blocks is"),
        ({"blocks": [[20.5, 4096, 0.5, 6.5, 1.0]]}, "step is 20.5 where int"),
        ({"looks": [[1, 2, 3.0, 4.0, None]]}, "sample is None where str"),
        ({"events": [1]}, "events is 1 where str"),
        ({"hardest": [[b"a", 1, 1.0]]}, "character is b'a' where str"),
        ({"seconds": "1"}, "seconds is '1' where float"),
        ({"n_steps": True}, "n_steps is True where int"),
        ({"mood": "good"}, "exactly these parts"),
    ],
)
def test_invalid_log_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TrainLog.from_data(LOG.to_data() | change)
    with pytest.raises(ValueError, match="exactly these parts"):
        TrainLog.from_data(list(change))
