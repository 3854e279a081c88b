"""Settings as clients send them take effect at once, with a real server over stdio."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest
from lsp_editor import Editor, Start, oracle
from lsprotocol import types

from tinycopilot.paths import ModelPaths

CODE = "def f(a, b):\n    return "


@pytest.fixture
def options(saved: ModelPaths) -> dict[str, Any]:
    return {"modelPath": str(saved.model), "eagerness": 1, "minConfidence": 0, "maxChars": 40}


async def ghost(editor: Editor) -> str:
    return await editor.ghost(1, 11)


async def listed(editor: Editor) -> int:
    return len((await editor.popup(1, 11)).items)


async def test_pulled_settings_override_initialization_options(start: Start, options: dict[str, Any]) -> None:
    editor = await start(options=options | {"maxChars": 40}, configuration={"maxChars": 3, "eagerness": None})
    editor.open(CODE)
    assert 0 < len(await ghost(editor)) <= 3
    assert editor.n_asked == 1
    [registration] = editor.registrations
    assert registration.method == types.WORKSPACE_DID_CHANGE_CONFIGURATION
    assert registration.register_options == {"section": "tinycopilot"}
    assert editor.client.messages == []


async def test_null_configuration_keeps_initialization_options(start: Start, options: dict[str, Any]) -> None:
    editor = await start(options=options, configuration=None)
    editor.open(CODE)
    assert len(await ghost(editor)) > 3


@pytest.mark.parametrize("said", [None, {}, {"another": {"x": 1}}])
async def test_change_without_settings_pulls_them(start: Start, options: dict[str, Any], said: Any) -> None:
    editor = await start(options=options, configuration={})
    editor.open(CODE)
    assert len(await ghost(editor)) > 3
    editor.configuration = {"maxChars": 3}
    editor.set(said)
    while editor.n_asked < 2:
        await asyncio.sleep(0.01)
    while len(await ghost(editor)) > 3:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("style", ["section", "bare"])
async def test_pushed_settings_apply_at_once(start: Start, options: dict[str, Any], style: str) -> None:
    editor = await start(options=options)
    editor.open(CODE)
    whole = await ghost(editor)
    for given, is_shorter in (({"maxChars": 3}, True), ({"maxChars": None}, False)):
        editor.set({"tinycopilot": given} if style == "section" else given)
        assert (len(await ghost(editor)) <= 3) == is_shorter
    assert await ghost(editor) == whole


async def test_invalid_setting_is_reported_once_and_replaced(start: Start, options: dict[str, Any]) -> None:
    editor = await start(options=options)
    editor.open(CODE)
    for _ in range(2):
        editor.set({"tinycopilot": {"maxLines": 0, "color": "red"}})
        assert await ghost(editor)
    [message] = [message.message for message in editor.client.messages]
    assert "maxLines must be a whole number from 1 to 100,000, not 0: using 3" in message
    assert "unknown setting 'color'" in message
    editor.set({"tinycopilot": {"maxLines": "many"}})
    assert await ghost(editor)
    assert len(editor.client.messages) == 2


async def test_inline_popup_or_neither(start: Start, options: dict[str, Any]) -> None:
    editor = await start(options=options)
    editor.open(CODE)
    for given, has_ghost, has_menu in (
        ({"inline": False}, False, True),
        ({"popup": False}, True, False),
        ({"enabled": False}, False, False),
        ({"enabled": True}, True, True),
    ):
        editor.set({"tinycopilot": given})
        assert (bool(await ghost(editor)), bool(await listed(editor))) == (has_ghost, has_menu)
    assert (await editor.state("off")).message == "disabled in the settings"


async def test_menu_lists_suggestions_if_there_is_no_ghost_text(start: Start, options: dict[str, Any]) -> None:
    editor = await start(options=options, has_ghost_text=True)
    editor.open(CODE)
    for given, has_ghost, has_menu in (
        ({}, True, False),
        ({"inline": "onDemand"}, False, False),
        ({"inline": False}, False, True),
        ({"popup": True}, True, True),
        ({"popup": False, "inline": False}, False, False),
    ):
        editor.set({"tinycopilot": given})
        assert (bool(await ghost(editor)), bool(await listed(editor))) == (has_ghost, has_menu)


async def test_on_demand_suggestion_stays_while_typing_through(start: Start, options: dict[str, Any]) -> None:
    editor = await start(options=options | {"inline": "onDemand"})
    editor.open(CODE)
    assert await ghost(editor) == ""
    whole = await editor.invoked(1, 11)
    assert len(whole) > 3
    version = 1
    for n in range(3):
        assert (await editor.ghost(1, 11 + n)).startswith(whole[n:])
        at = types.Position(1, 11 + n)
        editor.change(version := version + 1, types.TextDocumentContentChangePartial(types.Range(at, at), whole[n]))
    assert (await editor.ghost(1, 14)).startswith(whole[3:])
    at = types.Position(1, 14)
    wrong = "~" if whole[3] != "~" else "@"
    editor.change(version := version + 1, types.TextDocumentContentChangePartial(types.Range(at, at), wrong))
    assert await editor.ghost(1, 15) == ""
    after_wrong = types.Range(at, types.Position(1, 15))
    editor.change(version := version + 1, types.TextDocumentContentChangePartial(after_wrong, ""))
    assert await editor.ghost(1, 14) == ""  # not shown again until invoked
    rest = await editor.invoked(1, 14)
    editor.change(version := version + 1, types.TextDocumentContentChangePartial(types.Range(at, at), rest))
    lines = (CODE + whole[:3] + rest).split("\n")
    assert await editor.ghost(len(lines) - 1, len(lines[-1])) == ""  # after all of it was accepted
    editor.set({"tinycopilot": {"inline": True}})
    editor.uri = "file:///project/b.py"
    editor.open(CODE)
    assert await ghost(editor)


async def test_on_demand_suggestion_ends_before_the_cursor_of_its_request(
    start: Start, options: dict[str, Any]
) -> None:
    """Also if the user then types the same, or something else, at the same place."""
    editor = await start(options=options | {"inline": "onDemand"})
    editor.open(CODE)
    whole = await editor.invoked(1, 11)
    assert (await editor.ghost(1, 11)).startswith(whole)
    last = types.Range(types.Position(1, 10), types.Position(1, 11))
    removed = CODE.split("\n")[1][10]
    editor.change(2, types.TextDocumentContentChangePartial(last, ""))
    assert await editor.ghost(1, 10) == ""
    at = types.Range(types.Position(1, 10), types.Position(1, 10))
    editor.change(3, types.TextDocumentContentChangePartial(at, removed))
    assert await editor.ghost(1, 11) == ""


async def test_disabled_server_loads_the_model_when_enabled(start: Start, options: dict[str, Any]) -> None:
    editor = await start(options=options, configuration={"enabled": False}, wait=False)
    await editor.state("off")
    editor.open(CODE)
    assert await ghost(editor) == ""
    assert {status.state for status in editor.statuses} == {"off"}
    editor.set({"tinycopilot": {"enabled": True}})
    await editor.state("ready")
    assert await ghost(editor)


async def test_only_enabled_languages_are_completed(start: Start, options: dict[str, Any]) -> None:
    editor = await start(options=options)
    for language, suffix, by_default in (("rust", "rs", True), ("json", "json", False)):
        editor.uri = f"file:///project/a.{suffix}"
        editor.open(CODE, language=language)
        without = ["default", "*", f"-{language}"]
        for languages, is_completed in (
            (None, by_default), ([language], True), (["python"], False), (["*"], True), (without, False),
        ):  # fmt: skip
            editor.set({"tinycopilot": {"languages": languages}})
            assert bool(await ghost(editor)) == is_completed


async def test_in_comments_and_in_strings(start: Start, options: dict[str, Any]) -> None:
    editor = await start(options=options)
    texts = {"code": "x = va", "comment": "# x = va", "string": "x = 'it"}
    for name, text in texts.items():
        editor.open(text, f"file:///project/{name}.py")

    async def completed() -> set[str]:
        found = set()
        for name, text in texts.items():
            editor.uri = f"file:///project/{name}.py"
            if await editor.ghost(0, len(text)):
                found.add(name)
        return found

    everywhere = await completed()
    assert everywhere == {"code", "comment", "string"}
    editor.set({"tinycopilot": {"inComments": False}})
    assert await completed() == {"code", "string"}
    editor.set({"tinycopilot": {"inStrings": False}})
    assert await completed() == {"code", "comment"}


async def test_debounced_request_waits_unless_superseded(start: Start, options: dict[str, Any]) -> None:
    """The test does not wait ten seconds: each request is superseded or invoked."""
    editor = await start(options=options | {"debounceMs": 10_000})
    editor.open(CODE)
    assert await ghost(editor)  # nothing has changed yet
    end = types.Position(1, 11)
    for version in range(2, 5):
        change = types.TextDocumentContentChangePartial(range=types.Range(end, end), text="a")
        waiting = asyncio.ensure_future(ghost(editor))
        await asyncio.sleep(0.05)
        editor.change(version, change)
        if version > 2:
            assert await waiting == ""
    first, second = asyncio.ensure_future(ghost(editor)), asyncio.ensure_future(ghost(editor))
    assert await first == ""
    assert not second.done()
    params = editor.params(1, 14)
    params.context.trigger_kind = types.InlineCompletionTriggerKind.Invoked
    answer = await editor.client.text_document_inline_completion_async(params)
    assert isinstance(answer, types.InlineCompletionList)
    assert answer.items
    editor.set({"tinycopilot": {"debounceMs": 0}})
    assert await editor.ghost(1, 14)
    assert await second == ""


async def test_model_path_change_loads_the_model_if_valid(
    start: Start, options: dict[str, Any], saved: ModelPaths, unsure: ModelPaths, tmp_path: Path
) -> None:
    editor = await start(options=options)
    editor.open(CODE)
    old = await ghost(editor)
    editor.set({"tinycopilot": {"modelPath": str(tmp_path / "other.pth")}})
    while not editor.client.messages:
        await asyncio.sleep(0.01)
    [message] = editor.client.messages
    assert "no model file here" in message.message
    assert await ghost(editor) == old
    editor.set({"tinycopilot": {"modelPath": str(unsure.model), "tokenizerPath": str(unsure.tokenizer)}})
    text, other = "x = f(", oracle(unsure, "x = f(")
    assert other != oracle(saved, text)
    for version in itertools.count(2):
        editor.change(version, types.TextDocumentContentChangeWholeDocument(text + "\n" * (version % 2)))
        if await editor.ghost(0, len(text)) == other:
            break
