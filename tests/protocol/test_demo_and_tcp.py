"""`tinycopilot demo` as `make demo` runs it, and the server on a loopback port."""

import asyncio
import re
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from lsp_editor import Editor
from lsprotocol import types
from pytest_lsp import make_test_lsp_client

from tinycopilot.cli import main
from tinycopilot.paths import ModelPaths, statistics_path

ROOT = Path(__file__).resolve().parents[2]


def test_demo_types_a_program_and_prints_how_to_connect(pair: ModelPaths, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--model_path", str(pair.model)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"\d+ characters with \d+ keys", out)
    assert "ms (p50)" in out
    assert "VS Code" in out
    assert f'vim.opt.rtp:prepend("{ROOT.as_posix()}/editors/nvim")' in out
    assert re.search(r"tinycopilot play\n", out)
    assert not statistics_path().exists()


async def test_tcp_on_loopback(saved: ModelPaths, python: Sequence[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [*python, "-m", "tinycopilot_server", "--tcp", str(port)]
    server = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.PIPE)
    client = make_test_lsp_client()
    editor = Editor(client)
    client.feature("tinycopilot/status")(lambda params: editor.statuses.append(params))
    for _ in range(600):
        try:
            await client.start_tcp("127.0.0.1", port)
            break
        except OSError:
            await asyncio.sleep(0.05)
    options = {"modelPath": str(saved.model), "eagerness": 1, "minConfidence": 0, "maxChars": 9}
    await client.initialize_session(types.InitializeParams(types.ClientCapabilities(), initialization_options=options))
    await editor.state("ready")
    editor.open("x = [")
    assert await editor.ghost(0, 5) != ""
    await client.shutdown_session()
    assert await server.wait() == 0
    assert client.protocol.writer is not None
    client.protocol.writer.close()  # otherwise the garbage collector does, and warns in another test
    await client.stop()


def test_port_in_use_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["serve", "--tcp", port]) == 2
    assert f"port {port} cannot be used" in capsys.readouterr().err
