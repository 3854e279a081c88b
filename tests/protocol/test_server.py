import asyncio
import re
from pathlib import Path

import pytest
from lsp_editor import Start, oracle
from lsprotocol import types
from lsprotocol.types import PositionEncodingKind as Kind
from pygls.exceptions import JsonRpcException

from tinycopilot.completion.request import CompleterSettings
from tinycopilot.paths import ModelPaths, bundled_path


def insertion(line: int, character: int, text: str) -> types.TextDocumentContentChangePartial:
    here = types.Position(line, character)
    return types.TextDocumentContentChangePartial(range=types.Range(here, here), text=text)


async def test_inline_completion_inserts_the_suggestion_at_the_cursor(start: Start, saved: ModelPaths) -> None:
    editor = await start()
    text = "def f(a, b):\n    return "
    editor.open(text)
    [item] = await editor.inline(1, 11)
    assert item.insert_text == oracle(saved, text) != ""
    assert item.range == types.Range(types.Position(1, 11), types.Position(1, 11))


async def test_invoked_completion_returns_alternatives(start: Start) -> None:
    """Uses the bundled model, which is less certain than the random one."""
    editor, n_shown = await start(options={"modelPath": str(bundled_path("paras") / "tiny_gpt.pth")}), list[int]()
    lines = ["import o", "def main(", "    for i in ran", "    if x is ", "        self.name = n"]
    editor.open("\n".join(lines))
    for line, text in enumerate(lines):
        params = editor.params(line, len(text))
        params.context.trigger_kind = types.InlineCompletionTriggerKind.Invoked
        answer = await editor.client.text_document_inline_completion_async(params)
        assert isinstance(answer, types.InlineCompletionList)
        texts = [str(item.insert_text) for item in answer.items]
        assert len(set(texts)) == len(texts)
        assert [str(item.insert_text) for item in await editor.inline(line, len(text))] == texts[:1]
        n_shown.append(len(texts))
    assert max(n_shown) > 1


async def test_completion_after_every_keystroke(start: Start, saved: ModelPaths) -> None:
    editor = await start()
    editor.open("x = 1\n\n")
    text = "x = 1\n"
    for version, character in enumerate("value = f(", start=2):
        line = text.rsplit("\n", 1)[1]
        editor.change(version, insertion(1, len(line), character))
        text += character
    assert await editor.ghost(1, 10) == oracle(saved, text, "\n")
    deletion = types.Range(types.Position(0, 0), types.Position(1, 4))
    editor.change(20, types.TextDocumentContentChangePartial(range=deletion, text="\N{SNOWMAN}"))
    assert await editor.ghost(0, 7) == oracle(saved, "\N{SNOWMAN}e = f(", "\n")
    editor.change(21, types.TextDocumentContentChangeWholeDocument("import "))
    assert await editor.ghost(0, 7) == oracle(saved, "import ")


async def test_completion_menu_continues_the_current_word(start: Start, saved: ModelPaths) -> None:
    editor = await start()
    editor.open("result = val")
    answer = await editor.popup(0, 12)
    rest = oracle(saved, "result = val").split("\n")[0]
    assert rest.strip()
    item = answer.items[0]
    assert item.label == item.filter_text == "val" + rest
    assert item.text_edit == types.TextEdit(types.Range(types.Position(0, 9), types.Position(0, 12)), "val" + rest)
    assert answer.is_incomplete
    assert not item.preselect


@pytest.mark.parametrize("encoding", [Kind.Utf8, Kind.Utf16, Kind.Utf32])
async def test_emoji_before_the_cursor(start: Start, saved: ModelPaths, encoding: Kind) -> None:
    editor = await start(encoding=encoding)
    line = 'name = "\N{GRINNING FACE}\N{LATIN SMALL LETTER E WITH ACUTE}"; val'
    editor.open("a = 1\n" + line + "\nb = 2\n")
    codec, size = {Kind.Utf8: ("utf-8", 1), Kind.Utf16: ("utf-16-le", 2), Kind.Utf32: ("utf-32-le", 4)}[encoding]
    column = len(line.encode(codec)) // size
    wanted = oracle(saved, "a = 1\n" + line, "\nb = 2\n")
    assert await editor.ghost(1, column) == wanted != ""
    item = (await editor.popup(1, column)).items[0]
    assert isinstance(item.text_edit, types.TextEdit)
    assert item.text_edit.range.start.character == column - 3
    assert item.label == "val" + wanted.split("\n")[0]
    editor.change(2, insertion(1, column, "()"))
    assert await editor.ghost(1, column + 1) == oracle(saved, "a = 1\n" + line + "(", ")\nb = 2\n")


async def test_default_encoding_is_utf16(start: Start, saved: ModelPaths) -> None:
    editor = await start(encoding=None)
    editor.open('s = "\N{GRINNING FACE}" + ')
    editor.change(2, insertion(0, 11, "b"))
    assert await editor.ghost(0, 12) == oracle(saved, 's = "\N{GRINNING FACE}" + b')


async def test_position_outside_of_the_text_is_clamped(start: Start) -> None:
    editor = await start()
    editor.open("a = 1\nb = val")
    for line, character in ((1, 99), (9, 9)):
        item = (await editor.popup(line, character)).items[0]
        assert isinstance(item.text_edit, types.TextEdit)
        assert item.text_edit.range == types.Range(types.Position(1, 4), types.Position(1, 7))
        [ghost] = await editor.inline(line, character)
        assert ghost.range == types.Range(types.Position(1, 7), types.Position(1, 7))


async def test_reopened_document_is_a_new_document(start: Start, saved: ModelPaths) -> None:
    editor = await start()
    for text in ("x = [", "y = ("):
        editor.open(text)
        assert await editor.ghost(0, 5) == oracle(saved, text)
        editor.client.text_document_did_close(
            types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(editor.uri))
        )


async def test_request_after_shutdown_is_refused(start: Start) -> None:
    editor = await start()
    await editor.client.shutdown_async(None)
    editor.has_shut_down = True
    params = {"textDocument": {"uri": editor.uri}, "position": {"line": 0, "character": 0}}
    answer = await editor.raw_request("textDocument/completion", params)
    assert answer["error"]["code"] == -32600


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_suggestions_use_the_documents_line_ends(start: Start, end: str) -> None:
    """Uses several lines, so that the suggestion contains a line end."""
    settings = CompleterSettings(eagerness=1, min_confidence=0, max_chars=200, max_lines=200)
    editor = await start(settings=settings)
    found = 0
    for i, prompt in enumerate(("a = 1", "b(", "class C", "x", "for ")):
        editor.uri = f"file:///project/{i}.py"
        editor.open(f"import os{end}{prompt}")
        text = await editor.ghost(1, len(prompt))
        assert re.sub("\r\n|\r|\n", "", text) == text.replace(end, "")
        found += end in text
    assert found


async def test_tabs(start: Start, saved: ModelPaths) -> None:
    editor = await start()
    text = "def f():\n\tif x:\n\t\treturn "
    editor.open(text)
    assert await editor.ghost(2, 9) == oracle(saved, text) != ""


async def test_python_only_line_separators(start: Start, saved: ModelPaths) -> None:
    editor = await start()
    editor.open("a\x0cb\u2028c\nccc\n")
    editor.change(2, insertion(1, 3, "d"))
    assert await editor.ghost(1, 4) == oracle(saved, "a\x0cb\u2028c\ncccd", "\n")


BUSY = CompleterSettings(min_confidence=0, max_chars=100_000, max_lines=100_000)
# Continues even where several lines are improbable.
BOLD = """
from tinycopilot.completion import request
from tinycopilot_server.__main__ import main
request.SURE = 0
main()
"""


async def test_cancelled_request_is_answered_at_once(start: Start) -> None:
    """100,000 characters would take minutes. The answer to the last request shows that the engine is free again."""
    editor = await start(settings=BUSY, program=("-c", BOLD))
    editor.open("x = [")
    future = editor.client.protocol.send_request("textDocument/inlineCompletion", editor.params(0, 5), msg_id="busy")
    await asyncio.sleep(0.2)
    assert not future.done()
    editor.client.cancel_request(types.CancelParams("busy"))
    with pytest.raises(JsonRpcException) as caught:
        await asyncio.wrap_future(future)
    assert caught.value.code == -32800
    assert await editor.ghost(0, 0) == ""  # before a word nothing is suggested, but only once the thread is free


async def test_newer_request_ends_the_older_one(start: Start) -> None:
    editor = await start(settings=BUSY, program=("-c", BOLD))
    editor.open("x = [")
    older = asyncio.create_task(editor.inline(0, 5))
    await asyncio.sleep(0.2)
    assert await editor.inline(0, 0) == []  # before a word nothing is suggested
    assert await older == []


async def test_unanswerable_requests_get_an_empty_result(start: Start) -> None:
    editor = await start()
    assert await editor.inline(0, 0) == []  # never opened
    editor.open("x = ")
    editor.client.text_document_did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(editor.uri)))
    assert await editor.inline(0, 4) == []
    assert list((await editor.popup(0, 4)).items) == []


@pytest.mark.parametrize("kind", [0, 7])
async def test_unknown_trigger_kind_is_answered(start: Start, saved: ModelPaths, kind: int) -> None:
    editor = await start()
    editor.open("x = ")
    document, position = {"uri": editor.uri}, {"line": 0, "character": 4}
    params = {"textDocument": document, "position": position, "context": {"triggerKind": kind}}
    answer = await editor.raw_request("textDocument/inlineCompletion", params)
    assert answer["result"]["items"][0]["insertText"] == oracle(saved, "x = ")


async def test_invalid_parameters_get_an_error(start: Start, saved: ModelPaths) -> None:
    editor = await start()
    answer = await editor.raw_request("textDocument/inlineCompletion", {"textDocument": 7})
    assert answer["error"]["code"] == -32602
    editor.open("x = ")
    assert await editor.ghost(0, 4) == oracle(saved, "x = ")


LOADS_ON_COMMAND = """
import sys, time
from pathlib import Path
from tinycopilot.completion.engine import Engine
load, command = Engine.load, Path(sys.argv.pop(1))
def load_on_command(*arguments):
    while not command.exists():
        time.sleep(0.01)
    return load(*arguments)
Engine.load = load_on_command
from tinycopilot_server.__main__ import main
main()
"""


async def test_initialize_is_answered_before_the_model_is_loaded(start: Start, tmp_path: Path) -> None:
    editor = await start(program=["-c", LOADS_ON_COMMAND, str(tmp_path / "command")], wait=False)
    editor.open("x = ")
    assert [s.state for s in editor.statuses] in ([], ["loading"])
    assert await editor.inline(0, 4) == []
    (tmp_path / "command").touch()
    await editor.state("ready")
    assert await editor.inline(0, 4) != []


async def test_missing_model_is_reported_once(start: Start, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pth"
    editor = await start(options={"modelPath": str(missing)}, wait=False)
    problem = await editor.state("error")
    assert f"{missing}: no model file here" in problem.message
    assert "tinycopilot train" in problem.message
    editor.open("x = ")
    for _ in range(3):
        assert await editor.inline(0, 4) == []
    assert len(editor.client.messages) == 1
    assert editor.client.messages[0].message.endswith(problem.message)


async def test_invalid_setting_is_reported_once_and_replaced(start: Start, saved: ModelPaths) -> None:
    options = {
        "modelPath": str(saved.model),
        "tokenizerPath": str(saved.tokenizer),
        "minConfidence": "high",
        "color": 1,
    }
    editor = await start(options=options)
    assert len(editor.client.messages) == 1
    assert "minConfidence must be a number from 0 to 1" in editor.client.messages[0].message
    assert "'color'" in editor.client.messages[0].message


async def test_model_in_the_working_folder_is_not_loaded(start: Start, in_folder: Path) -> None:
    (in_folder / "paras").mkdir()
    for name in ("tiny_gpt.pth", "tokenizer.pth"):
        (in_folder / "paras" / name).write_text("hostile")
    editor = await start(options={})  # would be "error" if it had read them
    editor.open("def area(self):\n    raise NotImpl")
    assert await editor.ghost(1, 17) == "ementedError"


@pytest.mark.parametrize("encoding", [Kind.Utf8, Kind.Utf32])
async def test_server_capabilities(start: Start, encoding: Kind) -> None:
    capabilities = (await start(encoding=encoding)).capabilities
    assert capabilities.position_encoding == encoding
    assert capabilities.inline_completion_provider
    assert capabilities.completion_provider
    assert isinstance(capabilities.text_document_sync, types.TextDocumentSyncOptions)
    assert capabilities.text_document_sync.change == types.TextDocumentSyncKind.Incremental


async def test_pause_and_resume(start: Start) -> None:
    editor = await start()
    editor.open("def f(a, b):\n    return ")
    assert await editor.ghost(1, 11)
    assert await editor.command("tinycopilot.pause") == {"state": "off", "message": "paused", "canTrain": True}
    assert (await editor.state("off")).message == "paused"
    assert await editor.inline(1, 11) == []
    assert not (await editor.popup(1, 11)).items
    assert await editor.command("tinycopilot.resume") == {"state": "ready", "message": "", "canTrain": True}
    assert await editor.ghost(1, 11)
