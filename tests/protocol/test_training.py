"""A real server trains on a small folder: from the command to the new model in use, and all that can go wrong."""

import asyncio

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from lsp_editor import Editor, Start
from lsprotocol import types

from tinycopilot import places
from tinycopilot.model.gpt import load_pair
from tinycopilot.places import ModelPaths

MINUTES = 0.05
SHOWN = types.MessageType


@pytest.fixture
def base(unsure: ModelPaths) -> ModelPaths:
    """The user's own model: one that has learned nothing."""
    own = places.user_models()
    own.mkdir(parents=True)
    for path in (unsure.model, unsure.tokenizer):
        shutil.copy(path, own / path.name)
    return places.to_load(trust_working_folder=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Called like an option, as far as a folder can be."""
    folder = tmp_path / "-x"
    folder.mkdir()
    for i in range(12):
        text = "".join(
            f"def size_of_{name}_{i}(number, factor):\n    return {i} + number * factor\n\n\n"
            for name in (f"{a}{b}" for a in "abcdef" for b in "stuvwxyz")
        )
        (folder / f"module_{i}.py").write_text(text)
    (folder / ".env").write_text("PASSWORD=hunter2\n")
    return folder


class Trainee:
    """An editor, and what it is told of the training."""

    def __init__(self, editor: Editor, folder: Path) -> None:
        self.editor, self.folder = editor, folder
        self.told = list[Any]()
        editor.client.feature("tinycopilot/training")(lambda params: self.told.append(params))

    async def train(self, *arguments: Any) -> Any:
        return await self.editor.command("tinycopilot.trainWorkspace", *(arguments or [{"minutes": MINUTES}]))

    async def ended(self) -> Any:
        while not (self.told and self.told[-1].state != "running"):
            await asyncio.sleep(0.02)
        return self.told[-1]

    async def is_at(self, state: str) -> None:
        while not any(state in told.message for told in self.told):
            await asyncio.sleep(0.02)

    @property
    def shown(self) -> list[str]:
        return [message.message for message in self.editor.client.messages]


Begin = Callable[..., Awaitable[Trainee]]


@pytest.fixture
async def begin(start: Start, folder: Path, base: ModelPaths) -> Begin:
    async def begin_one(**more: Any) -> Trainee:
        options = {"minConfidence": 0, "eagerness": 1}
        return Trainee(await start(**({"folders": [folder], "options": options} | more)), folder)

    return begin_one


def left_behind() -> list[Path]:
    workspaces = places.user_models().parent / "workspaces"
    return list(workspaces.rglob("*")) if workspaces.exists() else []


@pytest.mark.timeout(300)
async def test_from_the_command_to_the_new_model_in_use(begin: Begin, base: ModelPaths) -> None:
    trainee = await begin()
    before = base.model.read_bytes()
    uri = (trainee.folder / "new.py").as_uri()
    trainee.editor.uri = uri
    trainee.editor.open("def size_of_as_1(num", uri)
    assert (await trainee.train())["started"]
    assert (await trainee.editor.state("busy")).message == "training on this workspace"
    ended = await trainee.ended()
    assert ended.state == "done", ended.message
    assert ended.better
    assert ended.now.mixed < ended.before.mixed
    own = places.workspace_model(str(trainee.folder))
    assert ended.model == str(own.model)
    assert sorted(left_behind()) == sorted([own.model.parent, own.model, own.tokenizer])  # no text, no checkpoint
    assert base.model.read_bytes() == before
    assert b"hunter2" not in own.model.read_bytes()
    network, _ = load_pair(own.model, own.tokenizer)
    assert network.config == load_pair(base.model, base.tokenizer)[0].config
    assert trainee.editor.statuses[-1].state == "ready"
    assert any("bits per character" in text and text.endswith("in use") for text in trainee.shown)
    percentages = [told.percentage for told in trainee.told]
    assert percentages == sorted(percentages)
    assert await trainee.editor.ghost(0, 20) == ""
