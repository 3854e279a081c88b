"""Completion items: insert text, range, and the counting of accepts."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from lsp_editor import Editor, Start, oracle
from lsprotocol import types
from lsprotocol.types import PositionEncodingKind as Kind
from networks import EVERYTHING

from tinycopilot.completion.engine import Engine, Request
from tinycopilot.completion.request import CompleterSettings
from tinycopilot.paths import ModelPaths

EMOJI = "\N{GRINNING FACE}"
ROOT = Path(__file__).resolve().parents[2]


def at(line: int, start: int, end: int) -> types.Range:
    return types.Range(types.Position(line, start), types.Position(line, end))


async def with_selected(editor: Editor, where: types.Range, text: str) -> list[types.InlineCompletionItem]:
    """Request at the end of `where` while the menu's entry `text` is selected."""
    params = editor.params(where.end.line, where.end.character)
    params.context.selected_completion_info = types.SelectedCompletionInfo(where, text)
    answer = await editor.client.text_document_inline_completion_async(params)
    assert isinstance(answer, types.InlineCompletionList)
    return list(answer.items)


@pytest.mark.parametrize("prefix", ["", EMOJI])
async def test_suggestion_extends_the_selected_menu_entry(start: Start, saved: ModelPaths, prefix: str) -> None:
    """VS Code requires that the item's text and range start with those of the entry."""
    editor = await start()
    n_units = 2 * len(prefix)
    editor.open(f"a{prefix} = va)\nb = 1\n")
    where = at(0, n_units + 4, n_units + 6)
    [item] = await with_selected(editor, where, "value")
    request = Request(f"a{prefix} = va", ")\nb = 1\n", selected=(f"a{prefix} = value", ")\nb = 1\n"))
    wanted = Engine.load(saved, EVERYTHING).complete(request).suggestion
    assert wanted is not None
    assert item.insert_text == "value" + wanted.text
    assert item.range == where
    assert await editor.ghost(0, n_units + 6) == oracle(saved, f"a{prefix} = va", ")\nb = 1\n")


async def test_selected_entry_may_replace_text_after_the_cursor(start: Start, saved: ModelPaths) -> None:
    editor = await start()
    editor.open("a = vast\n")
    params = editor.params(0, 6)
    params.context.selected_completion_info = types.SelectedCompletionInfo(at(0, 4, 8), "value")
    answer = await editor.client.text_document_inline_completion_async(params)
    assert isinstance(answer, types.InlineCompletionList)
    request = Request("a = va", "st\n", selected=("a = value", "\n"))
    wanted = Engine.load(saved, EVERYTHING).complete(request).suggestion
    assert wanted is not None
    assert [item.insert_text for item in answer.items] == ["value" + wanted.text]


async def test_no_suggestion_after_a_complete_menu_entry(start: Start) -> None:
    editor = await start()
    editor.open("a = va word\n")  # before a word nothing is suggested
    assert await with_selected(editor, at(0, 4, 6), "value") == []


@pytest.mark.parametrize("closers", [")", "])", '")', "):", " )"])
async def test_suggestion_before_closers_does_not_repeat_them(start: Start, closers: str) -> None:
    """The range is empty and at the cursor, so VS Code shows the item in any case, and Neovim overwrites nothing."""
    editor = await start(settings=CompleterSettings(eagerness=1, min_confidence=0, max_chars=60, max_lines=3))
    n_found = 0
    for i, prompt in enumerate(("x = f(a", "x = [f(", 'print("va', "if f(a, ", "for x in g(")):
        editor.uri = f"file:///project/{i}.py"
        editor.open(f"{prompt}{closers}\n")
        for item in await editor.inline(0, len(prompt)):
            n_found += 1
            assert item.range == at(0, len(prompt), len(prompt))
            assert not str(item.insert_text).endswith(closers[0])
    assert n_found


async def test_first_line_is_shown_and_the_rest_after_accepting_it(start: Start, saved: ModelPaths) -> None:
    editor = await start()
    editor.set({"tinycopilot": {"multiline": "firstLine"}})
    n_found = 0
    for i, text in enumerate(("result = val", "import o", "def f(se", "x = [a for a in b", "for i in ran", "y = g(1")):
        editor.uri = f"file:///project/{i}.py"
        editor.open(text)
        whole = oracle(saved, text)
        shown, _, rest = whole.partition("\n")
        if not shown.strip() or not rest.strip():
            continue
        n_found += 1
        [item] = await editor.inline(0, len(text))
        assert item.insert_text == shown
        assert item.command is not None
        assert item.command.arguments is not None
        assert list(item.command.arguments[1:]) == [sum(bool(line.strip()) for line in rest.split("\n"))]
        editor.change(2, types.TextDocumentContentChangeWholeDocument(text + shown))
        await editor.command(item.command.command, *item.command.arguments)
        [item] = await editor.inline(0, len(text + shown))
        assert item.insert_text == "\n" + rest
        assert item.command is not None
        assert item.command.arguments is not None
        assert len(item.command.arguments) == 1
    assert n_found


async def test_menu_lists_rest_of_line_and_rest_of_word(start: Start, saved: ModelPaths) -> None:
    editor = await start()
    n_both = 0
    for i, text in enumerate(("result = val", "import o", "def f(se", "x = [a for a in b", "for i in ran")):
        editor.uri = f"file:///project/{i}.py"
        editor.open(text)
        rest = oracle(saved, text).split("\n")[0]
        word = re.match(r"\w*", rest)
        begun = re.split(r"\W", text)[-1]
        assert word
        wanted = [begun + some for some in dict.fromkeys((rest, word[0])) if some] if rest.strip() else []
        answer = await editor.popup(0, len(text))
        assert [item.label for item in answer.items] == wanted
        assert answer.is_incomplete
        assert not any(item.preselect for item in answer.items)
        assert all("\n" not in item.label for item in answer.items)
        assert [item.sort_text for item in answer.items] == sorted(str(item.sort_text) for item in answer.items)
        assert all(str(item.sort_text) > "\U0010fffe" for item in answer.items)
        n_both += len(answer.items) == 2
    assert n_both


async def counted(editor: Editor) -> dict[str, int]:
    """The counts, summed over all days."""
    days = (await editor.command("tinycopilot.statistics"))["days"]
    total: dict[str, int] = {}
    for day in days.values():
        for name, n in day.items():
            if name != "latency" and n:
                total[name] = total.get(name, 0) + n
    return total


def item_of(item: types.InlineCompletionItem) -> dict[str, Any]:
    assert item.command is not None
    return {
        "insertText": item.insert_text,
        "command": {"command": item.command.command, "arguments": item.command.arguments},
    }


async def test_accepted_suggestion_is_counted_and_checked_at_the_end(start: Start, temporary_home: Path) -> None:
    editor = await start()
    editor.open("result = val")
    [item] = await editor.inline(0, 12)
    assert item.command is not None
    assert item.command.command == "tinycopilot.accepted"
    assert await counted(editor) == {"answered": 1}
    editor.client.protocol.notify("textDocument/didShowCompletion", {"item": item_of(item)})
    length = len(str(item.insert_text))
    editor.client.protocol.notify(
        "textDocument/didPartiallyAcceptCompletion", {"item": item_of(item), "acceptedLength": 2}
    )
    here = types.Position(0, 12)
    editor.change(2, types.TextDocumentContentChangePartial(range=types.Range(here, here), text=str(item.insert_text)))
    for _ in range(2):
        await editor.command("tinycopilot.accepted", *(item.command.arguments or []))
    listed = (await editor.popup(0, 12 + length)).items
    wanted = {"answered": 1, "shown": 1, "partly_accepted": 1, "accepted": 1, "accepted_chars": length}
    assert await counted(editor) == wanted | ({"listed": len(listed)} if listed else {})
    await editor.client.shutdown_async(None)
    editor.has_shut_down = True
    [path] = (temporary_home / "data").rglob("statistics.json")
    [day] = json.loads(path.read_text())["days"].values()
    assert day["judged_chars"] == day["kept_chars"] == length
    assert "result" not in path.read_text()


async def test_closed_document_is_checked_with_its_last_text(start: Start) -> None:
    editor = await start()
    editor.open("result = val")
    item = (await editor.popup(0, 12)).items[0]
    assert item.command is not None
    await editor.command("tinycopilot.accepted", *(item.command.arguments or []))  # and undone before closing
    editor.client.text_document_did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(editor.uri)))
    found = await counted(editor)
    assert found["chosen"] == 1
    assert found["judged_chars"] == found["accepted_chars"] > 0
    assert "kept_chars" not in found


@pytest.mark.parametrize(
    "params", [{}, {"item": None}, {"item": {"command": {}}}, {"item": {"command": {"arguments": [7]}}}, {"item": 7}]
)
async def test_invalid_statistics_messages_are_ignored(start: Start, params: dict[str, Any]) -> None:
    editor = await start()
    for method in ("didShowCompletion", "didPartiallyAcceptCompletion"):
        editor.client.protocol.notify(f"textDocument/{method}", params | {"acceptedLength": "long"})
        editor.client.protocol.notify(f"textDocument/{method}", params)
    await editor.command("tinycopilot.accepted")
    await editor.command("tinycopilot.accepted", "unknown", 7)
    assert await counted(editor) == {}
    assert editor.client.messages == []


async def test_statistics_can_be_disabled_and_deleted(start: Start) -> None:
    editor = await start()
    editor.open("result = val")
    assert (await editor.inline(0, 12))[0].command
    assert await counted(editor) == {"answered": 1}
    editor.set({"tinycopilot": {"statistics": False}})
    assert (await editor.inline(0, 12))[0].command is None
    assert (await editor.popup(0, 12)).items[0].command is None
    assert await counted(editor) == {"answered": 1}
    answer = await editor.command("tinycopilot.forgetStatistics")
    assert answer == {"days": {}, "text": "Nothing has been counted yet."}
    assert await counted(editor) == {}


async def test_partial_accept_is_measured_in_client_units(start: Start, unsure: ModelPaths) -> None:
    editor = await start(
        encoding=Kind.Utf16, options={"modelPath": str(unsure.model), "minConfidence": 0, "eagerness": 1}
    )
    lines = [f"x = '{EMOJI}{EMOJI}abcdefgh'\na{i} = 1\nb{i} = 1\nc{i} = 1\n" for i in range(9)]
    editor.open("".join(lines) + f"x = '{EMOJI}")
    [item] = await editor.inline(4 * 9, 7)
    assert str(item.insert_text).startswith(EMOJI)
    editor.client.protocol.notify(
        "textDocument/didPartiallyAcceptCompletion", {"item": item_of(item), "acceptedLength": 3}
    )
    assert (await counted(editor))["accepted_chars"] == 2


async def test_knowledge_command(start: Start, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("x = 1\n")
    (tmp_path / "secrets.yaml").write_text("a: 1\n")
    (tmp_path / "large.py").write_text("x = 1\n" * 200_000)
    editor = await start(folders=[tmp_path])
    editor.open("import sys\nprint(sys.", f"{tmp_path.as_uri()}/two.py")
    while (known := await editor.command("tinycopilot.knowledge"))["leftOut"] == []:
        await asyncio.sleep(0.01)
    assert known["lastAnswerMs"] is None
    assert known["files"] == 1
    assert known["open"] == 1
    assert any("over 1 MB" in line for line in known["leftOut"])
    assert "large.py" in known["text"]
    editor.uri = f"{tmp_path.as_uri()}/two.py"
    assert await editor.inline(1, 10)
    known = await editor.command("tinycopilot.knowledge")
    assert 0 < known["lastAnswerMs"] < 60_000
    assert known["characters"] > 0
    assert "tiny_gpt.pth" in known["model"]
    for line in ("Indexed: ", "Model: ", "Last suggestion: "):
        assert line in known["text"]


async def test_files_beyond_the_limit_are_not_counted_as_indexed(start: Start, tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / f"{i}.py").write_text(f"a = {i}\n" * 100)
    editor = await start(folders=[tmp_path], options={"maxWorkspaceChars": 1_000})
    while (known := await editor.command("tinycopilot.knowledge"))["leftOut"] == []:
        await asyncio.sleep(0.01)
    assert known["leftOut"] == ["skipped: 2 files beyond maxWorkspaceChars"]
    assert known["files"] == 1, "the second file read did not fit"


async def test_why_a_document_gets_no_suggestions(start: Start, tmp_path: Path) -> None:
    editor = await start(folders=[tmp_path], options={"exclude": ["/generated.py"]})
    reasons = dict[str, str]()
    for name in ("one.py", "notes.txt", "generated.py", "secrets.py", "forgotten.py"):
        editor.uri = f"{tmp_path.as_uri()}/{name}"
        editor.open("x = 1\n", editor.uri, language="plaintext" if name == "notes.txt" else "python")
        if name == "forgotten.py":
            await editor.command("tinycopilot.forgetFile", editor.uri)
        reasons[name] = (await editor.command("tinycopilot.status", editor.uri))["silentHere"]
    assert reasons == {
        "one.py": "",
        "notes.txt": "off in plaintext",
        "generated.py": "the `exclude` setting excludes this file",
        "secrets.py": "this file may contain secrets",
        "forgotten.py": "this file is ignored until a restart",
    }


async def test_server_commands_do_not_clash_with_the_extensions(start: Start) -> None:
    """VS Code's client registers the server's commands by name; a name that the extension has registered would fail."""
    editor = await start()
    assert editor.capabilities.execute_command_provider
    ours = set(editor.capabilities.execute_command_provider.commands)
    manifest = json.loads((ROOT / "editors/vscode/package.json").read_text("utf-8"))
    assert "tinycopilot.accepted" in ours
    source = "".join(path.read_text("utf-8") for path in (ROOT / "editors/vscode/src").glob("*.ts"))
    theirs = {command["command"] for command in manifest["contributes"]["commands"]}
    theirs |= set(re.findall(r"registerCommand\(\s*'([\w.]+)'", source))
    assert theirs
    assert not ours & theirs


# The server, which loads the model and indexes the workspace, each until the file named by its argument exists.
WAITING = """
import sys, time
from pathlib import Path
from tinycopilot.completion.engine import Engine
from tinycopilot_server.__main__ import main
from tinycopilot_server.scanner import Scanner

shown = Path(sys.argv.pop())

def wait_for(name):
    for _ in range(3_000):
        if (shown / name).exists():
            return
        time.sleep(0.01)

def load(*arguments, load=Engine.load, **more):
    wait_for("loading")
    return load(*arguments, **more)

def changes(*arguments, changes=Scanner.changes):
    yield from changes(*arguments)
    wait_for("indexing")

Engine.load, Scanner.changes = load, changes
main()
"""


async def test_loading_and_indexing_show_progress(start: Start, tmp_path: Path) -> None:
    (folder := tmp_path / "workspace").mkdir()
    (folder / "a.py").write_text("x = 1\n")
    program = ["-c", WAITING, str(tmp_path)]  # work that ends before the client answers is not shown
    editor = await start(folders=[folder], shows_progress=True, program=program, wait=False)
    reports = editor.client.progress_reports
    kinds: dict[str, list[str]] = {}
    for _ in range(1_000):
        kinds = {values[0].title: [value.kind for value in values] for values in reports.values() if values}
        for title in kinds:
            (tmp_path / title.split()[1]).touch()
        if len(kinds) == 2 and {values[-1] for values in kinds.values()} == {"end"}:
            break
        await asyncio.sleep(0.02)
    assert set(kinds) == {"tinycopilot: loading the model", "tinycopilot: indexing the workspace"}
    for values in kinds.values():
        assert values[0] == "begin"
        assert values.count("begin") == values.count("end") == 1
    await editor.state("ready")


async def test_failed_load_ends_its_progress(start: Start, tmp_path: Path) -> None:
    editor = await start(options={"modelPath": str(tmp_path / "missing.pth")}, wait=False, shows_progress=True)
    await editor.state("error")
    for _ in range(10):
        await editor.command("tinycopilot.status")
    for values in editor.client.progress_reports.values():
        assert [value.kind for value in values] in ([], ["begin", "end"])
