"""The server's command `explain`: a private page that explains the last suggestion, or why there was none."""

import os
import stat
from pathlib import Path

from explain_page import Page
from lsp_editor import Editor, Start, oracle
from lsprotocol import types

from tinycopilot.completion.request import CompleterSettings
from tinycopilot.paths import ModelPaths, explanation_path

SECRET = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD3eFg"


async def explained(editor: Editor) -> Page:
    answer = await editor.command("tinycopilot.explain")
    path = Path(answer["path"])
    assert answer == {"path": str(explanation_path()), "uri": path.as_uri(), "message": ""}
    return Page(path.read_text("utf-8"), "")


async def test_last_suggestion_is_explained_without_changing_it(start: Start, saved: ModelPaths) -> None:
    editor = await start()
    editor.open("result = val")
    ghost = await editor.ghost(0, 12)
    assert ghost == oracle(saved, "result = val")
    page = await explained(editor)
    assert "".join(page.data["text"]) == "\nresult = val"
    assert page.data["ghost"] == ghost
    assert await editor.ghost(0, 12) == ghost
    if os.name == "posix":
        assert stat.S_IMODE(explanation_path().stat().st_mode) == 0o600


async def test_silence_is_explained(start: Start) -> None:
    editor = await start(settings=CompleterSettings(eagerness=0, min_confidence=0.9))
    editor.open("x = (a b)\n")
    assert await editor.ghost(0, 6) == ""
    page = await explained(editor)
    decision = next(one for one in page.data["decision"]["by_eagerness"] if one["eagerness"] == 0)
    assert decision["why"].startswith("Nothing is shown: on this line, ")
    assert page.data["ghost"] == ""


async def test_before_the_first_request_there_is_nothing_to_explain(start: Start) -> None:
    editor = await start()
    answer = await editor.command("tinycopilot.explain")
    assert answer == {"path": "", "uri": "", "message": "no suggestion has been requested yet: type something first"}
    await editor.state("ready")
    assert not explanation_path().exists()
    [message] = editor.client.messages
    assert message.type == types.MessageType.Warning
    assert "type something first" in message.message


async def test_page_contains_no_secret_and_is_deleted_on_forget(start: Start) -> None:
    editor = await start()
    text = f'token = "{SECRET}"\nresult = val'
    editor.open(text)
    await editor.ghost(1, 12)
    page = await explained(editor)
    assert SECRET not in page.html
    assert SECRET not in "".join(page.data["text"])
    await editor.command("tinycopilot.forgetFile", editor.uri)
    assert not explanation_path().exists()


UPDATED_SERVER = """
import tinycopilot.explain.page as page
def render(*_, **__):
    raise OSError("could not get source code")
page.render = render
from tinycopilot_server.__main__ import main
main()
"""


async def test_explanation_after_an_update_is_a_message(start: Start) -> None:
    editor = await start(program=("-c", UPDATED_SERVER))
    editor.open("result = val")
    await editor.ghost(0, 12)
    answer = await editor.command("tinycopilot.explain")
    assert answer["message"] == "tinycopilot was updated or removed while its server runs; restart the editor"


async def test_a_page_that_cannot_be_written_is_a_message(start: Start) -> None:
    editor = await start()
    editor.open("result = val")
    await editor.ghost(0, 12)
    explanation_path().mkdir(parents=True)
    answer = await editor.command("tinycopilot.explain")
    assert answer["path"] == ""
    assert "cannot write the page" in answer["message"]
