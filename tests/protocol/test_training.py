"""A real server trains on a small folder, from the command to the new model, with its failures.

What a few seconds of training achieve depends on the machine, so the trained weights are given where they matter. The
rest is real: processes, held-out text, measurement, saving and loading. (tests/unit/evaluation/test_adapt.py trains.)
"""

import asyncio
import os
import shlex
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from lsp_editor import Editor, Start, oracle
from lsprotocol import types

from tinycopilot.files.gitignore import Patterns, as_pattern
from tinycopilot.paths import ModelPaths, model_to_load, user_data_folder, user_model, workspace_model
from tinycopilot.training.checkpoint import lock_run_folder, run_folder

STRANGE = "ZQXJ"
"""Text that is not in the folder, so that only the network can predict it."""

# The server, with PROGRAM in place of `python -m tinycopilot`, and PYTHON, a command prefix with its imports loaded.
# Only a stand-in is killed after a second: tinycopilot itself may need longer for cleaning up on a busy machine.
SERVER = """
import sys
from types import SimpleNamespace
from tinycopilot_server import training
training.sys = SimpleNamespace(executable=PYTHON, platform=sys.platform)
training.PROGRAM, training.PATIENCE_S = PROGRAM, PATIENCE_S
from tinycopilot_server.__main__ import main
main()
"""

# `python -m tinycopilot` that takes MODEL's weights instead of training.
LEARNS_AT_ONCE = """
import sys
from pathlib import Path
from tinycopilot.evaluation import adapt, comparison
from tinycopilot.model.gpt import load_pair

def train_without_saving(request, folder, lines, console):
    assert request.minutes == 2 and folder.is_dir() and ".env" not in map(str, request.exclude)
    lines.say("training", 0.5, bits=1.5, minutes_left=1.0)
    return *load_pair(Path(MODEL), Path(TOKENIZER)), {}

adapt.train_without_saving = train_without_saving
adapt.MEASURED_CHARS = 1_000
comparison.Comparison.is_better = IS_BETTER
from tinycopilot.cli import main
sys.exit(main())
"""


@pytest.fixture(autouse=True)
def base(unsure: ModelPaths) -> ModelPaths:
    """The user's own model, untrained."""
    own = user_model().model.parent
    own.mkdir(parents=True)
    for path in (unsure.model, unsure.tokenizer):
        shutil.copy(path, own / path.name)
    return model_to_load()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name looks like an option."""
    folder = tmp_path / "-x"
    folder.mkdir()
    for i in range(12):
        names = [f"{a}{b}" for a in "abcdef" for b in "stuvwxyz"]
        lines = [f"def size_of_{name}_{i}(number):\n    return {i} + number\n\n\n" for name in names]
        (folder / f"module_{i}.py").write_text("".join(lines))
    (folder / ".env").write_text("PASSWORD=hunter2\n")
    return folder


class Trainee:
    """A client that records training notifications."""

    def __init__(self, editor: Editor) -> None:
        self.editor = editor
        self.told = list[Any]()
        editor.client.feature("tinycopilot/training")(lambda params: self.told.append(params))

    async def train(self, *arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self.editor.command("tinycopilot.trainWorkspace", *arguments)
        return answer

    async def is_told(self, what: Callable[[Any], bool]) -> Any:
        while not (found := [told for told in self.told if what(told)]):
            await asyncio.sleep(0.02)
        return found[0]

    async def ended(self) -> Any:
        return await self.is_told(lambda told: told.state != "running")

    async def shown(self, part: str) -> str:
        while not (found := [m.message for m in self.editor.client.messages if part in m.message]):
            await asyncio.sleep(0.02)
        return found[0]

    def open(self, folder: Path, text: str) -> None:
        self.editor.uri = (folder / "new.py").as_uri()
        self.editor.open(text, self.editor.uri)


Begin = Callable[..., Awaitable[Trainee]]


@pytest.fixture
async def begin(
    start: Start, folder: Path, tmp_path: Path, training_python: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> Begin:
    """Start a server. `program`: the module that it runs to train. `imports`: import everything in that process."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.join(training_python)} "$@"\n')
    python.chmod(0o755)

    async def begin_one(
        *, program: str = "", imports: bool = False, options: dict[str, Any] | None = None, **more: Any
    ) -> Trainee:
        server = SERVER.replace("PYTHON", repr(str(python)))
        if not imports:
            more["program"] = ["-c", server.replace("= PROGRAM, PATIENCE_S", "= 'tinycopilot', 600.0")]
        if program:
            modules = tmp_path / "modules"
            modules.mkdir()
            (modules / "stand_in.py").write_text(program)
            paths = [str(modules), os.environ.get("PYTHONPATH", "")]
            monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
            more["program"] = ["-c", server.replace("= PROGRAM, PATIENCE_S", "= 'stand_in', 1.0")]
        everything = {"minConfidence": 0, "eagerness": 1, "maxChars": 12, "maxLines": 12} | (options or {})
        return Trainee(await start(**({"folders": [folder], "options": everything} | more)))

    return begin_one


def learns(model: ModelPaths, *, is_better: bool) -> str:
    program = LEARNS_AT_ONCE.replace("TOKENIZER", repr(str(model.tokenizer)))
    return program.replace("MODEL", repr(str(model.model))).replace("IS_BETTER", str(is_better))


def left_behind() -> list[Path]:
    found = os.walk(user_data_folder() / "workspaces")  # which may vanish meanwhile
    return sorted(Path(folder, name) for folder, folders, files in found for name in (*folders, *files))


async def test_trained_model_is_loaded(begin: Begin, saved: ModelPaths, base: ModelPaths, folder: Path) -> None:
    trainee = await begin(program=learns(saved, is_better=True), shows_progress=True)
    before = base.model.read_bytes()
    trainee.open(folder, STRANGE)
    assert await trainee.editor.ghost(0, 4) == oracle(base, STRANGE) != oracle(saved, STRANGE)
    assert await trainee.train({"minutes": 2}) == {"started": True, "message": ""}
    assert (await trainee.editor.state("busy")).message == "training on this workspace"
    assert not (await trainee.train())["started"]  # one run at a time
    ended = await trainee.ended()
    assert ended.state == "done", ended.message
    assert ended.better
    assert ended.files == 1
    own = workspace_model(str(folder))
    assert ended.model == str(own.model)
    assert left_behind() == sorted([own.model.parent, own.model, own.tokenizer])  # no text, no checkpoint
    assert base.model.read_bytes() == before
    assert own.model.read_bytes() != before
    assert await trainee.editor.ghost(0, 4) == oracle(saved, STRANGE)
    assert trainee.editor.statuses[-1].state == "ready"
    assert (await trainee.shown("bits per character")).endswith("in use")
    percentages = [told.percentage for told in trainee.told]
    assert percentages == sorted(percentages)
    reports = list(trainee.editor.client.progress_reports.values())[-1]  # after those of loading and indexing
    assert isinstance(reports[0], types.WorkDoneProgressBegin)
    assert reports[0].cancellable
    assert isinstance(reports[-1], types.WorkDoneProgressEnd)


async def test_model_that_is_not_better_is_discarded(
    begin: Begin, saved: ModelPaths, base: ModelPaths, folder: Path
) -> None:
    trainee = await begin(program=learns(saved, is_better=False))
    trainee.open(folder, STRANGE)
    assert (await trainee.train({"minutes": 2}))["started"]
    ended = await trainee.ended()
    assert (ended.state, ended.better) == ("done", False), ended.message
    await trainee.shown("not better; the model is unchanged")
    assert left_behind() == []
    assert await trainee.editor.ghost(0, 4) == oracle(base, STRANGE)


async def really_begin(trainee: Trainee) -> None:
    """Start a real training run, which takes minutes unless stopped."""
    trainee.told.clear()
    assert (await trainee.train({"minutes": 4}))["started"]
    while not any(path.name == "train.bin" for path in left_behind()):
        await asyncio.sleep(0.02)


async def test_cancelled_training_leaves_no_files(begin: Begin) -> None:
    trainee = await begin(shows_progress=True)
    assert await trainee.editor.command("tinycopilot.cancelTraining") == {"cancelled": False}
    await really_begin(trainee)
    assert await trainee.editor.command("tinycopilot.cancelTraining") == {"cancelled": True}
    assert (await trainee.ended()).state == "cancelled"
    assert left_behind() == []
    assert trainee.editor.statuses[-1].state == "ready"
    await really_begin(trainee)  # again, stopped in the editor's progress bar
    token = list(trainee.editor.client.progress_reports)[-1]  # after those of loading, indexing, and the first run
    trainee.editor.client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token))
    assert (await trainee.ended()).state == "cancelled"
    assert left_behind() == []


async def test_model_saved_before_the_cancel_is_loaded(begin: Begin, saved: ModelPaths, folder: Path) -> None:
    program = learns(saved, is_better=True).replace("sys.exit(main())", "main()\nimport time\ntime.sleep(600)")
    trainee = await begin(program=program)
    trainee.open(folder, STRANGE)
    assert (await trainee.train({"minutes": 2}))["started"]
    while not workspace_model(str(folder)).model.exists():
        await asyncio.sleep(0.02)
    assert await trainee.editor.command("tinycopilot.cancelTraining") == {"cancelled": True}
    assert (await trainee.ended()).state == "done"
    assert await trainee.editor.ghost(0, 4) == oracle(saved, STRANGE)


async def test_forgotten_files_are_not_trained_on(begin: Begin, folder: Path) -> None:
    trainee = await begin(program="import sys\nprint(file=sys.stderr, *sys.argv)\nsys.exit(1)\n")
    odd = folder / "module 1[2] #!.py"
    await trainee.editor.command("tinycopilot.forgetFile", odd.as_uri())
    assert (await trainee.train())["started"]
    assert f"--exclude={as_pattern(str(odd))}" in (await trainee.ended()).message
    assert Patterns([as_pattern(str(odd))]).match(str(odd))
    assert not Patterns([as_pattern(str(odd))]).match(str(folder / "module 12 #!.py"))


async def test_training_ends_with_the_server(begin: Begin) -> None:
    trainee = await begin(imports=True)
    await really_begin(trainee)
    await trainee.editor.client.shutdown_async(None)
    trainee.editor.has_shut_down = True
    while left_behind():
        await asyncio.sleep(0.02)


async def test_failed_training_is_one_line(begin: Begin, folder: Path) -> None:
    trainee = await begin()

    async def problem() -> str:
        assert (await trainee.train())["started"]
        ended = await trainee.ended()
        assert ended.state == "failed"
        assert "\n" not in ended.message
        trainee.told.clear()
        return str(ended.message)

    with lock_run_folder(run_folder(workspace_model(str(folder)))):
        assert "another run is active here; wait for it" in await problem()
    assert left_behind() == []
    for path in folder.glob("module_1*.py"):
        path.unlink()
    for path in folder.glob("module_*.py"):
        path.write_text("x = 1\n")
    assert "is too little" in await problem()
    await trainee.shown("is too little")
    assert left_behind() == []
    assert trainee.editor.statuses[-1].state == "ready"


async def test_crashed_training_changes_nothing(begin: Begin) -> None:
    trainee = await begin(program="print('warming up', flush=True)\nraise ValueError('it is broken')\n")
    assert (await trainee.train())["started"]
    ended = await trainee.ended()
    assert ended.state == "failed"
    assert "(exit code 1): ValueError: it is broken; the model is unchanged" in ended.message


async def test_training_without_a_folder_is_refused(begin: Begin, saved: ModelPaths) -> None:
    cases: list[tuple[dict[str, Any], Any, str]] = [
        ({"folders": []}, {}, "no folder is open"),
        (
            {"options": {"modelPath": str(saved.model)}},
            {},
            "modelPath or tokenizerPath setting would override the new model",
        ),
        ({"options": {"maxWorkspaceChars": 0}}, {}, "maxWorkspaceChars setting is 0"),
        ({}, {"minutes": "; touch x"}, "minutes must be above 0"),
    ]
    for more, argument, problem in cases:
        trainee = await begin(**more)
        answer = await trainee.train(argument)
        assert not answer["started"]
        assert problem in answer["message"]
        assert problem in await trainee.shown("")
        assert trainee.told == []


async def test_replaced_model_file_is_reloaded(begin: Begin, saved: ModelPaths, base: ModelPaths, folder: Path) -> None:
    """A replaced model is loaded on the next edit; an incomplete one is not."""
    trainee = await begin()
    trainee.open(folder, STRANGE)
    old = oracle(base, STRANGE)
    assert await trainee.editor.ghost(0, 4) == old
    base.model.write_bytes(saved.model.read_bytes()[:1000])
    answer = await trainee.editor.command("tinycopilot.reloadModel")
    assert not answer["reloaded"]
    assert str(base.model) in answer["message"]
    await trainee.shown("damaged")
    assert await trainee.editor.ghost(0, 4) == old
    shutil.copy(saved.model, base.model)
    expected, version = oracle(saved, STRANGE), 1
    while await trainee.editor.ghost(0, 4) != expected:
        version += 1
        trainee.editor.change(version, types.TextDocumentContentChangeWholeDocument(STRANGE))
        await asyncio.sleep(0.05)
    assert trainee.editor.statuses[-1].state == "ready"


async def test_damaged_workspace_model_is_skipped(begin: Begin, base: ModelPaths, folder: Path) -> None:
    own = workspace_model(str(folder))
    own.model.parent.mkdir(parents=True)
    own.model.write_text("half a mod")
    trainee = await begin()
    trainee.open(folder, STRANGE)
    assert await trainee.editor.ghost(0, 4) == oracle(base, STRANGE)


# The server, with PyTorch not installed.
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from tinycopilot_server.__main__ import main
main()
"""


async def test_training_without_torch_says_what_to_install(start: Start, folder: Path) -> None:
    trainee = Trainee(await start(folders=[folder], program=["-c", WITHOUT_TORCH]))
    assert not (await trainee.editor.command("tinycopilot.status"))["canTrain"]
    answer = await trainee.train()
    assert not answer["started"]
    assert "training needs PyTorch" in answer["message"]
    assert "pip install" in await trainee.shown("")
    assert trainee.told == []
