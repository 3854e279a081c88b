import io
import math

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


@pytest.mark.parametrize("data", [LOG.to_data() | {"mood": "good"}, {"blocks": []}, [], None])
def test_log_of_another_version_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match="exactly these parts"):
        TrainLog.from_data(data)
    with pytest.raises(TypeError):
        TrainLog.from_data(LOG.to_data() | {"blocks": [[20, 4096, 0.5, 6.5]]})
