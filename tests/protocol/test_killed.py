"""`kill -9` while learned weights are written: the next start is normal, and no temporary files accumulate.

The suite runs a few kills; `make soak` runs many:

    python -m pytest -s tests/protocol/test_killed.py --kills 200
"""

import asyncio
import itertools
import json
import os
import random
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from engine_requests import suggest
from networks import EVERYTHING
from stdio_client import StdioClient

from tinycopilot.completion import persistence
from tinycopilot.completion.engine import Engine
from tinycopilot.completion.predictor import INITIAL
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import ModelPaths, mixture_weights_path

N_KILLS = 2
"""Number of kills in a short run."""
WAIT_S = 60.0
SLOW_S = 1e-4
"""Every other kill happens between two bytes of a write; the rest happen at any moment."""
TEXT = "value = 1\nresult = val"

# The server, which writes its weights as often as possible, byte by byte.
WRITING = """
import contextlib, sys, time
pause_s = float(sys.argv.pop())
from tinycopilot_server import index
index.SAVE_WEIGHTS_S = 0.0
from tinycopilot.completion import persistence
class Slow:
    def __init__(self, file):
        self.file = file
    def write(self, data):
        for i in range(len(data)):
            self.file.write(data[i : i + 1])
            self.file.flush()
            if pause_s:
                time.sleep(pause_s)
atomic_write = persistence.atomic_write
@contextlib.contextmanager
def replacing_slowly(path):
    with atomic_write(path) as file:
        yield Slow(file)
persistence.atomic_write = replacing_slowly
from tinycopilot_server.__main__ import main
main()
"""


@dataclass
class Project:
    """A folder whose weights are saved, and the servers that run in it one after another."""

    saved: ModelPaths
    folder: Path
    kept: Path
    python: Sequence[str]
    """A command prefix for Python."""

    def left_behind(self) -> list[Path]:
        """Return temporary files of interrupted writes."""
        return [path for path in self.kept.parent.glob("*") if path != self.kept]

    async def start(self, *program: str) -> StdioClient:
        client = await StdioClient.start((*self.python, *program))
        options = {
            "modelPath": str(self.saved.model),
            "eagerness": 1,
            "minConfidence": 0,
            "maxChars": 12,
            "maxLines": 12,
        }
        folders = [{"uri": self.folder.as_uri(), "name": "project"}]
        await client.initialize("utf-32", initializationOptions=options, workspaceFolders=folders)
        assert (await asyncio.wait_for(client.state("ready", "error"), WAIT_S))["state"] == "ready"
        document = {"uri": self.uri, "languageId": "python", "version": 1, "text": TEXT}
        client.notify("textDocument/didOpen", {"textDocument": document})
        return client

    @property
    def uri(self) -> str:
        return (self.folder / "a.py").as_uri()

    async def ask(self, client: StdioClient, text: str) -> list[str]:
        """Return the suggestion at the end of the second line."""
        place = {"textDocument": {"uri": self.uri}, "position": end(text), "context": {"triggerKind": 2}}
        answer = await asyncio.wait_for(client.request("textDocument/inlineCompletion", place), WAIT_S)
        return [item["insertText"] for item in answer.result["items"]]

    async def kill_one(self, dice: random.Random, pause_s: float) -> None:
        """Type, and kill the server at a random moment after it has begun to write."""
        client, text, n_more = await self.start("-c", WRITING, str(pause_s)), TEXT, dice.randint(1, 8)
        for version in itertools.count(2):
            await self.ask(client, text)
            n_more -= self.kept.exists() or bool(self.left_behind())
            if not n_more:
                break
            change = {"range": {"start": end(text), "end": end(text)}, "text": (key := dice.choice("abcdefg(= "))}
            document = {"uri": self.uri, "version": version}
            client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})
            text += key
        await asyncio.sleep(dice.uniform(0, 0.02))
        assert await client.kill() == -signal.SIGKILL


def end(text: str) -> dict[str, int]:
    return {"line": 1, "character": len(text.split("\n")[1])}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
@pytest.mark.timeout(0)
async def test_killed_while_writing(
    saved: ModelPaths, tmp_path: Path, python: Sequence[str], pytestconfig: pytest.Config
) -> None:
    digest, dice = SimpleTokenizer.load(saved.tokenizer).digest, random.Random(pytestconfig.getoption("seed"))
    project = Project(saved, tmp_path, mixture_weights_path(str(tmp_path.resolve()), digest), python)
    n_kills, half_written = pytestconfig.getoption("kills") or N_KILLS, set[Path]()
    for i in range(n_kills):
        await project.kill_one(dice, SLOW_S if i % 2 == 0 else 0.0)
        for path in project.left_behind():
            half_written.add(path)
            os.utime(path, (0, 0))  # long ago
        assert len(project.left_behind()) <= 1
    print(f"\n{n_kills} kills, {len(half_written)} of them in the middle of a write")
    assert half_written
    engine = Engine.load(saved, EVERYTHING)
    if project.kept.exists():
        engine.restore(persistence.load_weights(project.kept, digest))
        assert json.loads(project.kept.read_text())["weights"].keys() == set(map(str, INITIAL))
    client = await project.start("-m", "tinycopilot_server")
    suggestion = suggest(engine, TEXT)
    assert suggestion is not None
    assert await project.ask(client, TEXT) == [suggestion.text]
    assert await client.end() == 0
    assert not any("not used" in line for line in client.last_lines)
