"""`tinycopilot.api.train`: arguments that the command line's parser rejects."""

from pathlib import Path
from typing import Any

import pytest

from tinycopilot import UserError
from tinycopilot.api import train


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"size": "giant"}, "size must be nano, small, base, large"),
        ({"epochs": 0}, "epochs must be a number above 0"),
        ({"epochs": -1.0}, "epochs"),
        ({"epochs": float("inf")}, "epochs"),
        ({"minutes": 0}, "minutes must be a number above 0"),
        ({"minutes": float("nan")}, "minutes"),
        ({"corpus": []}, "the corpus is an empty list"),
        ({"model_path": ""}, "empty path"),
    ],
)
def test_invalid_arguments_raise_user_error_before_training(
    arguments: dict[str, Any], says: str, tmp_path: Path
) -> None:
    (tmp_path / "code.py").write_text("x = 1\n" * 1000)
    with pytest.raises(UserError, match=says):
        train(**{"corpus": [tmp_path / "code.py"], "model_path": tmp_path / "m.pth"} | arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["code.py"]
