"""The server in a process that cannot import PyTorch: completion works."""

from pathlib import Path

from lsp_editor import Start, oracle
from lsprotocol import types

from tinycopilot.paths import ModelPaths

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from tinycopilot_server.__main__ import main
sys.exit(main())
"""


async def test_suggestions_reload_pause_and_statistics_without_torch(
    start: Start, saved: ModelPaths, tmp_path: Path
) -> None:
    (tmp_path / "other.py").write_text("value = other(1)\n" * 9)
    editor = await start(program=("-c", WITHOUT_TORCH), imports=True, folders=[tmp_path])

    async def ask(command: str) -> object:
        return await editor.client.workspace_execute_command_async(types.ExecuteCommandParams(command))

    text = "def f(a, b):\n    return "
    editor.open(text)
    assert await editor.inline(1, 11)
    params = editor.params(1, 11)
    params.context.trigger_kind = types.InlineCompletionTriggerKind.Invoked
    answer = await editor.client.text_document_inline_completion_async(params)
    assert isinstance(answer, types.InlineCompletionList)
    assert answer.items
    assert (await editor.popup(1, 11)).items
    await ask("tinycopilot.pause")
    assert await editor.inline(1, 11) == []
    await ask("tinycopilot.resume")
    assert await ask("tinycopilot.statistics")
    await ask("tinycopilot.reloadModel")
    assert editor.statuses[-1].state == "ready"
    assert await editor.inline(1, 11)
    assert oracle(saved, text) != ""
