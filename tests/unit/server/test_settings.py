import dataclasses
import json
import re
from pathlib import Path

import pytest
from tinycopilot_server.settings import LIMITS, Settings, camel_case, parse_settings

from tinycopilot.completion.stopping import CompleterSettings

ROOT = Path(__file__).resolve().parents[3]


def defaults() -> dict[str, object]:
    """The settings' names as a client writes them, and their defaults."""
    fields = [f for f in dataclasses.fields(Settings) if f.name != "completer"] + list(
        dataclasses.fields(CompleterSettings)
    )
    return {camel_case(f.name): f.default for f in fields}


def test_nothing_sent_is_the_defaults() -> None:
    assert parse_settings(None) == parse_settings({}) == (Settings(), [])


def test_good_values_are_taken() -> None:
    settings, problems = parse_settings({"modelPath": "m", "minConfidence": 1, "maxChars": 7, "threads": 2})
    assert problems == []
    assert settings == Settings("m", "", CompleterSettings(min_confidence=1.0, max_chars=7, threads=2))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"minConfidence": 2}, "minConfidence must be a number from 0 to 1, not 2: using 0.2"),
        ({"maxChars": "many"}, "maxChars must be a whole number from 1 to"),
        ({"maxLines": 1.5}, "maxLines must be a whole number"),
        ({"threads": True}, "threads must be a whole number from 1 to 64, not True"),
        ({"maxWorkspaceChars": -1}, "maxWorkspaceChars must be a whole number from 0 to"),
        ({"modelPath": 3}, "modelPath must be a text, not 3"),
        ({"minConfidence": float("nan")}, "minConfidence must be"),
        ({"colour": "red"}, "no setting 'colour'"),
        ([1, 2], "not an object"),
    ],
)
def test_a_bad_value_is_named_and_its_default_stands(options: object, says: str) -> None:
    settings, problems = parse_settings(options)
    assert settings == Settings()
    assert len(problems) == 1
    assert says in problems[0]


def test_every_number_has_limits_and_a_default_within() -> None:
    fields = (*dataclasses.fields(Settings), *dataclasses.fields(CompleterSettings))
    numbers = {f.name: f.default for f in fields if isinstance(f.default, int | float)}
    assert set(LIMITS) == set(numbers)
    assert all(low <= numbers[name] <= high for name, (low, high) in LIMITS.items())


def test_vs_codes_settings_are_the_servers() -> None:
    properties = json.loads((ROOT / "editors/vscode/package.json").read_text())["contributes"]["configuration"][
        "properties"
    ]
    declared = {name.removeprefix("tinycopilot."): entry["default"] for name, entry in properties.items()}
    assert {name: declared[name] for name in defaults()} == defaults()


def test_neovims_settings_are_the_servers() -> None:
    lua = (ROOT / "editors/nvim/lua/tinycopilot/init.lua").read_text()
    block = re.search(r"settings = \{(.*?)\n\s*\}", lua, re.DOTALL)
    assert block
    written = dict(re.findall(r"(\w+) = ('[^']*'|[\d.]+)", block[1]))
    assert {name: json.loads(value.replace("'", '"')) for name, value in written.items()} == defaults()


def test_the_readmes_table_is_the_servers() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(.*?)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert {name: json.loads(value) for name, value in rows if name in defaults()} == defaults()
