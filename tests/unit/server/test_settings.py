import dataclasses
import json
from pathlib import Path

import pytest
import settings_table
from settings_table import PLACES, TYPES, VS_CODES_OWN, Row, written
from tinycopilot_server.settings import NAMES, About, Settings, about, merged, parse_settings

from tinycopilot.completion.request import CompleterSettings

ROOT = Path(__file__).resolve().parents[3]


def test_defaults() -> None:
    assert parse_settings(None) == parse_settings({}) == (Settings(), [])


def test_valid_values() -> None:
    settings, problems = parse_settings({"modelPath": "m", "minConfidence": 1, "maxChars": 7, "threads": 2})
    assert problems == []
    assert settings == Settings(model_path="m", min_confidence=1.0, max_chars=7, threads=2)
    assert settings.completer == CompleterSettings(min_confidence=1.0, max_chars=7, threads=2)
    assert isinstance(settings.min_confidence, float)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"minConfidence": 2}, "minConfidence must be a number from 0 to 1, not 2: using 0.2"),
        ({"maxChars": "many"}, "maxChars must be a whole number from 1 to"),
        ({"maxLines": 1.5}, "maxLines must be a whole number"),
        ({"threads": True}, "threads must be a whole number from 1 to 64, not True"),
        ({"maxWorkspaceChars": -1}, "maxWorkspaceChars must be a whole number from 0 to"),
        ({"modelPath": 3}, "modelPath must be a string, not 3"),
        ({"minConfidence": float("nan")}, "minConfidence must be"),
        ({"enabled": 1}, "enabled must be true or false, not 1: using True"),
        ({"languages": "rust"}, "languages must be a list of strings, not 'rust': using ['default']"),
        ({"exclude": [7]}, "exclude must be a list of strings, not [7]: using []"),
        ({"languages": [7]}, "languages must be a list of strings, not [7]: using ['default']"),
        ({"exclude": ["!"]}, "exclude must be a list of .gitignore patterns ('!' is invalid), not ['!']: using []"),
        ({"color": "red"}, "unknown setting 'color'"),
        ({"inline": "never"}, """inline must be "automatic" or "onDemand" or false, not 'never': using 'automatic'"""),
        ({"inline": 0}, "inline must be"),
        ({"multiline": True}, """multiline must be "whole" or "firstLine", not True: using 'whole'"""),
        ([1, 2], "must be an object"),
    ],
)
def test_invalid_value_is_reported_and_replaced(options: object, says: str) -> None:
    settings, problems = parse_settings(options)
    assert settings == Settings()
    assert len(problems) == 1
    assert says in problems[0]


@pytest.mark.parametrize(("bad", "why"), [("!", "('!' is invalid)"), (7, "must be a list of strings")])
def test_valid_patterns_of_an_invalid_list_are_used(bad: object, why: str) -> None:
    settings, problems = parse_settings({"exclude": ["/private", bad, "*.gen.py"]})
    assert settings.exclude == ("/private", "*.gen.py")
    assert len(problems) == 1
    assert why in problems[0]
    assert problems[0].endswith("using ['/private', '*.gen.py']")


@pytest.mark.parametrize(
    ("value", "inline"),
    [("automatic", "automatic"), ("onDemand", "onDemand"), (False, False), (True, "automatic"), (None, "automatic")],
)
def test_inline_accepts_names_and_booleans(value: object, inline: object) -> None:
    settings, problems = parse_settings({"inline": value})
    assert (settings.inline, problems) == (inline, [])


@pytest.mark.parametrize(("value", "popup"), [("automatic", "automatic"), (True, True), (False, False)])
def test_popup_may_be_forced_either_way(value: object, popup: object) -> None:
    assert parse_settings({"popup": value}) == (Settings(popup=popup), [])  # type: ignore[arg-type]


def test_null_means_not_set() -> None:
    assert parse_settings({"maxChars": None, "exclude": None}) == (Settings(), [])


@pytest.mark.parametrize(
    ("initial", "said", "both"),
    [
        ({"a": 1, "b": 2}, {"b": 3, "a": None}, {"a": 1, "b": 3}),
        ({"a": 1}, None, {"a": 1}),
        (None, {"a": 1}, {"a": 1}),
        (None, None, None),
        ([1], {"a": 1}, {"a": 1}),
        ({"a": 1}, 7, {"a": 1}),
    ],
)
def test_later_settings_override_initial_ones_unless_null(initial: object, said: object, both: object) -> None:
    assert merged(initial, said) == both


def test_which_languages_are_completed() -> None:
    for language in (
        "python",
        "rust",
        "typescriptreact",
        "cs",
        "csharp",
        "sh",
        "shellscript",
        "html",
        "markdown",
        "vue",
    ):
        assert Settings().has_language(language)
    for language in (
        "plaintext",
        "text",
        "log",
        "json",
        "jsonc",
        "csv",
        "git-commit",
        "gitcommit",
        "dotenv",
        "properties",
    ):
        assert not Settings().has_language(language)
    assert Settings(languages=("*",)).has_language("json")
    assert not Settings(languages=()).has_language("python")
    assert not Settings(languages=("python",)).has_language("rust")


def test_the_last_word_that_names_a_language_counts() -> None:
    assert not Settings(languages=("default", "-css")).has_language("css")
    assert Settings(languages=("default", "-css")).has_language("scss")
    assert Settings(languages=("-css", "default")).has_language("css")
    assert not Settings(languages=("*", "-json")).has_language("json")
    assert Settings(languages=("-json", "json")).has_language("json")


def test_files_of_a_language_that_is_off_are_not_indexed_for_one_that_is_on() -> None:
    assert not Settings().has_files_like("/w/CMakeLists.txt")
    assert Settings(languages=("default", "plaintext")).has_files_like("/w/CMakeLists.txt")
    assert Settings().has_files_like("/w/page.VUE")
    assert Settings().has_files_like("/w/what.unknown")
    assert not Settings().has_files_like("/w/data.json")


def test_each_setting_has_a_description_and_bounds() -> None:
    for field in dataclasses.fields(Settings):
        known = about(field.name)
        assert known.meaning.endswith(".")
        if isinstance(field.default, int | float) and not isinstance(field.default, bool):
            assert known.low is not None
            assert known.high is not None
            assert known.low <= field.default <= known.high


def test_engine_settings_are_complete() -> None:
    assert {f.name for f in dataclasses.fields(CompleterSettings)} <= set(NAMES.values())
    assert Settings().completer == CompleterSettings()


@pytest.mark.parametrize("path", sorted({place for place, *_ in PLACES}))
def test_generated_settings_are_up_to_date(path: str) -> None:
    """`make settings` writes them."""
    text = (ROOT / path).read_text("utf-8")
    assert written(path, text) == text


def test_each_setting_is_generated() -> None:
    """Otherwise the test above could compare empty tables."""
    properties = json.loads((ROOT / "editors/vscode/package.json").read_text("utf-8"))
    properties = properties["contributes"]["configuration"]["properties"]
    extensions_own = ["tinycopilot.installFrom", "tinycopilot.torchIndex", "tinycopilot.serverCommand"]
    assert list(properties) == [*extensions_own, *(f"tinycopilot.{name}" for name in NAMES)]
    for name, field in NAMES.items():
        schema, known = properties[f"tinycopilot.{name}"], about(field)
        assert schema["markdownDescription"].startswith(known.meaning)
        assert (schema.get("minimum"), schema.get("maximum")) == (known.low, known.high)
        if known.choices:
            assert {*schema["enum"]} == {*known.choices, *((True,) if False in known.choices else ())}
        else:
            assert schema["type"] == TYPES[type(getattr(Settings, field))]
        if name not in VS_CODES_OWN:
            assert parse_settings({name: schema["default"]}) == (Settings(), [])
    for path in ("docs/settings.md", "editors/vscode/README.md", "editors/nvim/doc/tinycopilot.txt"):
        text = (ROOT / path).read_text("utf-8")
        assert all(name in text for name in NAMES)


def test_changed_setting_is_regenerated_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Row("shoeSize", ("a",), About("How large shoes are."))
    monkeypatch.setattr(settings_table, "rows", lambda: [row])
    for path in sorted({place for place, *_ in PLACES}):
        text = written(path, (ROOT / path).read_text("utf-8"))
        assert "shoeSize" in text
        assert "How large shoes are." in text
        assert "maxWorkspaceChars" not in text
        assert written(path, text) == text
