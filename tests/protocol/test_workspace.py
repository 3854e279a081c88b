"""A real server and a real folder: other files are indexed in their current state, except secrets."""

import asyncio
import html
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from lsp_editor import Start
from lsp_workspace import INDEX_ONLY_SERVER, KEY, NAME, REST, TYPED, Session, code_with_name
from lsprotocol import types

from tinycopilot.completion.persistence import WEIGHTS_KIND
from tinycopilot.completion.predictor import INITIAL
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import ModelPaths, index_path, mixture_weights_path, workspace_model

OTHER = "hippopotamus_appetite"

Open = Callable[..., Awaitable[Session]]


@pytest.fixture
def options(unsure: ModelPaths) -> dict[str, Any]:
    return {"modelPath": str(unsure.model), "minConfidence": 0, "maxChars": 30}


@pytest.fixture
def digest(unsure: ModelPaths) -> str:
    return SimpleTokenizer.load(unsure.tokenizer).digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "animals.py").write_text(code_with_name(NAME))
    return folder


@pytest.fixture
async def begin(start: Start, folder: Path, options: dict[str, Any]) -> Open:
    async def begin_one(**more: Any) -> Session:
        arguments = {"folders": [folder], "options": options, "program": ["-c", INDEX_ONLY_SERVER], **more}
        session = Session(await start(**arguments), folder)
        session.open("a.py")
        return session

    return begin_one


async def test_name_from_another_file_is_suggested(begin: Open) -> None:
    session = await begin()
    await session.wait_until_indexed()
    assert not await session.is_indexed(OTHER)


async def test_without_a_folder_only_open_documents_are_indexed(begin: Open) -> None:
    session = await begin(folders=())
    session.open("other.py", code_with_name(OTHER))
    assert await session.is_indexed(OTHER)
    session.close("other.py")
    session.report_changes("package/animals.py")
    await asyncio.sleep(0.3)
    assert not await session.is_indexed()


async def test_max_workspace_chars_0_indexes_only_the_current_document(begin: Open, options: dict[str, Any]) -> None:
    session = await begin(options=options | {"maxWorkspaceChars": 0})
    session.open("other.py", code_with_name(OTHER))
    session.report_changes("package/animals.py")
    await asyncio.sleep(0.3)
    assert not await session.is_indexed(OTHER)
    assert not await session.is_indexed()
    assert (await session.ghost("a.py", code_with_name(NAME) + TYPED)).startswith(REST)


async def test_changes_on_disk_are_followed(begin: Open, folder: Path) -> None:
    session = await begin()
    await session.wait_until_indexed()
    (folder / "new.py").write_text(code_with_name(OTHER))
    session.report_changes("new.py", kind=types.FileChangeType.Created)
    await session.wait_until_indexed(OTHER)
    (folder / "new.py").write_text("x = 1\n")
    session.report_changes("new.py")
    await session.wait_until_dropped(OTHER)
    shutil.rmtree(folder / "package")
    session.report_changes("package", kind=types.FileChangeType.Deleted)
    await session.wait_until_dropped()


async def test_without_file_watching_a_save_triggers_a_scan(begin: Open, folder: Path) -> None:
    session = await begin()
    await session.wait_until_indexed()
    (folder / "new.py").write_text(code_with_name(OTHER))
    session.save("a.py")
    await session.wait_until_indexed(OTHER)


async def test_file_watching_is_registered_if_supported(begin: Open) -> None:
    session = await begin(watches=True)
    while not session.editor.registrations:
        await asyncio.sleep(0.01)
    [registration] = session.editor.registrations
    assert registration.method == types.WORKSPACE_DID_CHANGE_WATCHED_FILES


async def test_folders_added_and_removed(begin: Open, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    (second / "b.py").write_text(code_with_name(OTHER))
    session = await begin()
    await session.wait_until_indexed()
    first, other = (types.WorkspaceFolder(path.as_uri(), path.name) for path in (session.folder, second))
    for added, removed, gone, come in (([other], [first], NAME, OTHER), ([first], [other], OTHER, NAME)):
        event = types.WorkspaceFoldersChangeEvent(added, removed)
        session.editor.client.workspace_did_change_workspace_folders(types.DidChangeWorkspaceFoldersParams(event))
        await session.wait_until_indexed(come)
        await session.wait_until_dropped(gone)


async def test_added_folder_is_indexed_with_the_suffixes_of_its_open_documents(begin: Open, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    (second / "b.js").write_text(code_with_name(OTHER))
    session = await begin()
    session.editor.open("let x = 1\n", (second / "a.js").as_uri(), "javascript")
    event = types.WorkspaceFoldersChangeEvent([types.WorkspaceFolder(second.as_uri(), second.name)], [])
    session.editor.client.workspace_did_change_workspace_folders(types.DidChangeWorkspaceFoldersParams(event))
    await session.wait_until_indexed(OTHER)


async def test_root_uri_is_used_only_without_workspace_folders(begin: Open, folder: Path) -> None:
    session = await begin(root=folder, folders=[])
    await session.wait_until_indexed()
    session = await begin(root=folder)
    await session.wait_until_indexed()
    event = types.WorkspaceFoldersChangeEvent([], [types.WorkspaceFolder(folder.as_uri(), folder.name)])
    session.editor.client.workspace_did_change_workspace_folders(types.DidChangeWorkspaceFoldersParams(event))
    await session.wait_until_dropped()


async def test_open_document_is_indexed_as_edited_then_as_saved(begin: Open) -> None:
    session = await begin()
    await session.wait_until_indexed()
    session.open("package/animals.py", code_with_name(OTHER))  # unsaved, and different on disk
    assert await session.is_indexed(OTHER)
    assert not await session.is_indexed()
    session.report_changes("package/animals.py")  # the editor's text counts, not the disk's
    session.change("package/animals.py", code_with_name("x" + OTHER))
    assert await session.is_indexed("x" + OTHER)
    assert not await session.is_indexed()
    session.close("package/animals.py")
    assert not await session.is_indexed("x" + OTHER)
    await session.wait_until_indexed()


async def test_unsaved_document_is_dropped_when_closed(begin: Open) -> None:
    session = await begin()
    session.open("never_saved.py", code_with_name(OTHER))
    assert await session.is_indexed(OTHER)
    session.close("never_saved.py")
    assert not await session.is_indexed(OTHER)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no symbolic links")
async def test_file_and_link_to_it_are_one_document(begin: Open, folder: Path) -> None:
    (folder / "link.py").symlink_to(folder / "package" / "animals.py")
    session = await begin()
    await session.wait_until_indexed()
    session.open("link.py", "x = 1\n")
    assert not await session.is_indexed()


async def test_closing_one_of_two_documents_of_one_file(begin: Open, folder: Path) -> None:
    (folder / "real.py").write_text("x = 1\n")
    (folder / "link.py").symlink_to(folder / "real.py")
    session = await begin()
    for name in ("real.py", "link.py"):
        session.open(name, code_with_name(OTHER))  # not saved
    assert await session.is_indexed(OTHER)
    session.close("link.py")
    assert await session.is_indexed(OTHER)


SECRETS = (".env", "id_rsa", "settings.pem", ".ssh/config.py", "link_to_a_secret.py", "credentials.py", ".env.local")


@pytest.mark.parametrize("name", SECRETS)
async def test_secret_documents_are_neither_completed_nor_indexed(begin: Open, folder: Path, name: str) -> None:
    """This includes links that are secret by their own name or by their target's."""
    (folder / ".env").write_text(code_with_name(OTHER))
    (folder / "link_to_a_secret.py").symlink_to(folder / ".env")
    (folder.parent / "outside.py").write_text(code_with_name(OTHER))
    (folder / "credentials.py").symlink_to(folder.parent / "outside.py")
    (folder / ".env.local").symlink_to("development")
    (folder / "development").write_text(code_with_name(OTHER))
    session = await begin()
    await session.wait_until_indexed()
    session.open(name, code_with_name(OTHER))
    assert await session.ghost(name, code_with_name(OTHER) + TYPED) == ""
    assert not await session.is_indexed(OTHER)


async def test_document_with_a_private_key_is_indexed_without_the_key(begin: Open) -> None:
    session = await begin()
    word = "aardvarkandgiraffeathome"
    body = f"MIIE{word}/{word}\n" * 4
    text = KEY + body + KEY.replace("BEGIN", "END") + code_with_name(OTHER)
    session.open("notes.py", text)
    assert await session.is_indexed(OTHER)
    assert not await session.is_indexed(word)
    session.change("notes.py", text.replace("PRIVATE", "PUBLIC"))
    assert await session.is_indexed(word)


async def test_document_with_very_long_lines_is_completed_but_not_indexed(begin: Open) -> None:
    session = await begin()
    await session.wait_until_indexed()
    text = (code_with_name(OTHER) + "y" * 3_000) * 3 + "\n"
    session.open("minified.py", text)
    assert (await session.ghost("minified.py", text + TYPED)).startswith(REST)
    assert not await session.is_indexed(OTHER)


async def test_long_document_is_indexed_by_its_first_request(begin: Open) -> None:
    session = await begin()
    await session.wait_until_indexed()
    session.open("long.py", code_with_name(OTHER) * 2_000)
    assert (await session.ghost("long.py", code_with_name(OTHER) * 2_000 + OTHER[:11])).startswith(OTHER[11:])
    assert await session.is_indexed(OTHER)


async def test_opening_a_file_indexes_files_with_its_suffix(begin: Open, folder: Path) -> None:
    (folder / "animals.rs").write_text(code_with_name(OTHER))
    session = await begin()
    await session.wait_until_indexed()
    assert not await session.is_indexed(OTHER)
    session.open("main.rs", "fn main() {}\n")
    await session.wait_until_indexed(OTHER)


async def test_exclude_setting_drops_files_and_restores_them(begin: Open) -> None:
    session = await begin()
    await session.wait_until_indexed()
    session.open("open.py", code_with_name(OTHER))
    assert await session.is_indexed(OTHER)
    session.editor.set({"tinycopilot": {"exclude": ["package/", "open.*"]}})
    assert not await session.is_indexed(OTHER)  # the open one at once
    here = (await session.editor.command("tinycopilot.status", (session.folder / "open.py").as_uri()))["silentHere"]
    assert here == "the `exclude` setting excludes this file"
    await session.wait_until_dropped()
    assert await session.ghost("open.py", code_with_name(OTHER) + OTHER[:11]) == ""
    session.change("open.py", code_with_name(OTHER))
    session.editor.set({"tinycopilot": {"exclude": []}})
    assert await session.is_indexed(OTHER)
    await session.wait_until_indexed()


async def test_exclude_setting_matches_the_link_and_its_target(
    begin: Open, folder: Path, options: dict[str, Any]
) -> None:
    for excluded, path in (("private", "private/link.py"), ("shared", "link.py")):
        real = folder / excluded / "real.py" if excluded == "shared" else folder / "elsewhere.py"
        for file in (real, folder / path):
            file.parent.mkdir(exist_ok=True)
        real.write_text(code_with_name(OTHER))
        (folder / path).symlink_to(real)
        session = await begin(options=options | {"exclude": [excluded + "/"]})
        session.open(path, code_with_name(OTHER))
        assert await session.ghost(path, code_with_name(OTHER) + OTHER[:11]) == ""


async def test_disabled_language_is_dropped(begin: Open, folder: Path, options: dict[str, Any]) -> None:
    (folder / "lib.rs").write_text(code_with_name(OTHER))
    session = await begin(options=options | {"languages": ["python", "rust"]})
    session.editor.open("fn main() {}\n", session.uri("main.rs"), "rust")
    await session.wait_until_indexed(OTHER)
    session.editor.set({"tinycopilot": {"languages": ["python"]}})
    await session.wait_until_dropped(OTHER)
    (folder / "main.rs").write_text(code_with_name(OTHER))
    session.close("main.rs")
    await session.wait_until_indexed()
    assert not await session.is_indexed(OTHER)


@pytest.mark.parametrize("languages", [["javascript"], ["default", "-python"]])
async def test_python_files_are_not_indexed_if_python_is_off(
    begin: Open, folder: Path, options: dict[str, Any], languages: list[str]
) -> None:
    (folder / "other.js").write_text(code_with_name(OTHER))
    session = await begin(options=options | {"languages": languages})
    session.editor.open("let x = 1\n", session.uri("main.js"), "javascript")
    await session.wait_until_indexed(OTHER, where="main.js")
    assert not await session.is_indexed(where="main.js")
    session.editor.set({"tinycopilot": {"languages": ["default"]}})
    await session.wait_until_indexed(where="main.js")


@pytest.mark.parametrize("how", ["forgotten", "excluded"])
async def test_deleted_text_is_not_suggested_again(begin: Open, how: str) -> None:
    session = await begin()
    await session.wait_until_indexed()
    text = "\n\nx = " + TYPED
    assert (await session.ghost("a.py", text)).startswith(REST)
    if how == "forgotten":
        await session.editor.command("tinycopilot.forgetFile", session.uri("package/animals.py"))
    else:
        session.editor.set({"tinycopilot": {"exclude": ["package/"]}})
    while (await session.editor.ghost(2, 4 + len(TYPED))).startswith(REST):
        await asyncio.sleep(0.02)
    assert not (await session.ghost("a.py", text + REST[:2])).startswith(REST[2:])


async def test_document_of_another_language_is_indexed_once_enabled(begin: Open) -> None:
    session = await begin()
    session.editor.open(code_with_name(OTHER), session.uri("notes.txt"), "plaintext")
    assert not await session.is_indexed(OTHER)
    session.editor.set({"tinycopilot": {"languages": ["default", "plaintext"]}})
    assert await session.is_indexed(OTHER)


async def test_max_workspace_chars_may_change_at_any_time(begin: Open) -> None:
    session = await begin()
    session.open("open.py", code_with_name(OTHER))
    await session.wait_until_indexed()
    session.editor.set({"tinycopilot": {"maxWorkspaceChars": 0}})
    await session.wait_until_dropped()
    assert not await session.is_indexed(OTHER)
    session.editor.set({"tinycopilot": {"maxWorkspaceChars": 1_000_000}})
    await session.wait_until_indexed()
    assert await session.is_indexed(OTHER)


async def test_selected_menu_entry_is_not_indexed(begin: Open) -> None:
    session = await begin()
    session.change("a.py", "y = hip")
    params = session.editor.params(0, 7)
    where = types.Range(types.Position(0, 4), types.Position(0, 7))
    params.context.selected_completion_info = types.SelectedCompletionInfo(where, code_with_name(OTHER))
    await session.editor.client.text_document_inline_completion_async(params)
    assert not await session.is_indexed(OTHER)


async def test_unreadable_files_are_skipped(begin: Open, folder: Path) -> None:
    (folder / "binary.py").write_bytes(b"\0" + code_with_name(OTHER).encode())
    (folder / "latin.py").write_bytes(code_with_name(OTHER).encode() + b"\xe9\n")
    (folder / "key.py").write_text(KEY + code_with_name(OTHER))
    (folder / "round").symlink_to(folder)
    (folder / "nowhere.py").symlink_to(folder / "missing.py")
    (folder / "outside.py").symlink_to(folder.parent / "outside.py")
    (folder.parent / "outside.py").write_text(code_with_name(OTHER))
    (folder / "closed").mkdir()
    (folder / "closed" / "a.py").write_text(code_with_name(OTHER))
    (folder / "closed").chmod(0)
    session = await begin()
    await session.wait_until_indexed()
    assert not await session.is_indexed(OTHER) or os.geteuid() == 0
    (folder / "closed").chmod(0o700)


def weights_file(folder: Path, unsure: ModelPaths) -> Path:
    return mixture_weights_path(str(folder.resolve()), SimpleTokenizer.load(unsure.tokenizer).digest)


async def type_some(session: Session) -> None:
    text = code_with_name(NAME) + "x = "
    await session.ghost("a.py", text)
    for character in TYPED:
        text += character
        await session.ghost("a.py", text)


async def test_learned_weights_are_private_and_restored(begin: Open, folder: Path, unsure: ModelPaths) -> None:
    path = weights_file(folder, unsure)
    session = await begin()
    await session.wait_until_indexed()
    await type_some(session)
    while not path.exists():
        await asyncio.sleep(0.02)
    first = json.loads(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await session.editor.client.shutdown_async(None)
    session.editor.has_shut_down = True
    learned = json.loads(path.read_text())
    assert learned["weights"] != first["weights"]  # of later keys, too: written at the end
    found = learned["weights"] | {"digit": [0.25, 0.5, 0.75]}  # no digit is typed, so its weight is not trained
    path.write_text(json.dumps(learned | {"weights": found}))
    session = await begin()
    await session.wait_until_indexed()
    await type_some(session)
    await session.editor.client.shutdown_async(None)
    session.editor.has_shut_down = True
    after = json.loads(path.read_text())["weights"]
    assert after["digit"] == found["digit"]  # it continued from the saved weights
    assert after != found


async def test_damaged_weights_file_is_replaced(begin: Open, folder: Path, unsure: ModelPaths) -> None:
    path = weights_file(folder, unsure)
    path.parent.mkdir(parents=True)
    path.write_text('{"kind": "tinycopilot weights", "weights": {"3": [NaN]}}')
    session = await begin()
    await session.wait_until_indexed()
    await type_some(session)
    await session.editor.client.shutdown_async(None)
    session.editor.has_shut_down = True
    assert json.loads(path.read_text())["kind"] == WEIGHTS_KIND
    assert json.loads(path.read_text())["weights"].keys() == set(map(str, INITIAL))


async def test_max_workspace_chars_0_learns_and_saves_nothing(
    begin: Open, folder: Path, unsure: ModelPaths, options: dict[str, Any]
) -> None:
    session = await begin(options=options | {"maxWorkspaceChars": 0})
    await type_some(session)
    await session.editor.client.shutdown_async(None)
    session.editor.has_shut_down = True
    assert not weights_file(folder, unsure).parent.exists()


async def test_max_workspace_chars_0_deletes_what_was_saved(
    begin: Open, folder: Path, unsure: ModelPaths, digest: str, options: dict[str, Any]
) -> None:
    session = await begin()
    await session.wait_until_indexed()
    await type_some(session)
    [_] = [path async for path in _until_there(index_path([str(folder)], digest).parent)]
    await session.editor.client.shutdown_async(None)
    session.editor.has_shut_down = True
    assert weights_file(folder, unsure).exists()
    second = await begin(options=options | {"maxWorkspaceChars": 0})
    await second.ghost("a.py", TYPED)
    assert not index_path([str(folder)], digest).exists()
    assert not weights_file(folder, unsure).exists()
    second.editor.set({"tinycopilot": {"maxWorkspaceChars": 10_000}})  # and it is saved again
    await second.wait_until_indexed()
    [_] = [path async for path in _until_there(index_path([str(folder)], digest).parent)]
    second.editor.set({"tinycopilot": {"maxWorkspaceChars": 0}})
    await second.wait_until_dropped()
    assert not index_path([str(folder)], digest).exists()


async def test_saved_index_is_used_in_the_next_session(begin: Open, folder: Path, digest: str) -> None:
    session = await begin()
    await session.wait_until_indexed()
    [kept] = [path async for path in _until_there(index_path([str(folder)], digest).parent)]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    second = await begin()
    await second.wait_until_indexed()
    (folder / "package" / "animals.py").write_text(code_with_name(OTHER))
    third = await begin()
    await third.wait_until_indexed(OTHER)
    await third.wait_until_dropped()


async def test_saved_index_belongs_to_the_open_folders(begin: Open, tmp_path: Path, digest: str) -> None:
    second = tmp_path / "second"
    second.mkdir()
    (second / "b.py").write_text(code_with_name(OTHER))
    session = await begin(folders=[])
    event = types.WorkspaceFoldersChangeEvent([types.WorkspaceFolder(second.as_uri(), second.name)], [])
    session.editor.client.workspace_did_change_workspace_folders(types.DidChangeWorkspaceFoldersParams(event))
    await session.wait_until_indexed(OTHER)
    [kept] = [path async for path in _until_there(index_path([str(second)], digest).parent)]
    assert kept == index_path([str(second)], digest)


async def test_learned_weights_belong_to_the_open_folder(
    begin: Open, folder: Path, tmp_path: Path, unsure: ModelPaths
) -> None:
    second = tmp_path / "second"
    second.mkdir()
    (second / "b.py").write_text(code_with_name(OTHER))
    session = await begin()
    added, removed = (types.WorkspaceFolder(path.as_uri(), path.name) for path in (second, folder))
    event = types.WorkspaceFoldersChangeEvent([added], [removed])
    session.editor.client.workspace_did_change_workspace_folders(types.DidChangeWorkspaceFoldersParams(event))
    await session.wait_until_indexed(OTHER)
    await type_some(session)
    await session.editor.client.shutdown_async(None)
    session.editor.has_shut_down = True
    assert weights_file(second, unsure).exists()
    assert not weights_file(folder, unsure).exists()


async def test_forget_file(begin: Open, folder: Path) -> None:
    (folder / "other.py").write_text(code_with_name(OTHER))
    session = await begin()
    await session.wait_until_indexed()
    await session.wait_until_indexed(OTHER)
    forgotten = await session.editor.command("tinycopilot.forgetFile", session.uri("package/animals.py"))
    assert forgotten == {"forgotten": str(folder / "package" / "animals.py")}
    await session.wait_until_dropped()
    session.open("package/animals.py", code_with_name(NAME))
    session.report_changes("package/animals.py", "other.py")
    assert await session.ghost("package/animals.py", code_with_name(NAME) + TYPED) == ""  # it is not indexed again
    await session.wait_until_indexed(OTHER)
    assert not await session.is_indexed()
    assert await session.editor.command("tinycopilot.forgetFile") == {"forgotten": ""}


@pytest.mark.parametrize("command", ["forgetFile", "forgetWorkspace"])
async def test_forgotten_text_is_not_explained(begin: Open, command: str) -> None:
    session = await begin()
    await session.ghost("a.py", "ocelot_budget = 1\nx = oce")
    page = (await session.editor.command("tinycopilot.explain"))["path"]
    assert "ot_budget" in visible_text(Path(page))  # after `oce`, and the character that followed it
    await session.editor.command(f"tinycopilot.{command}", *[session.uri("a.py")] * (command == "forgetFile"))
    await session.editor.command("tinycopilot.explain")
    assert not Path(page).exists()


def visible_text(page: Path) -> str:
    return html.unescape(re.sub("<[^>]+>", "", page.read_text("utf-8")))


async def test_forget_workspace(begin: Open, folder: Path, digest: str) -> None:
    session = await begin()
    await session.wait_until_indexed()
    weights, memory = mixture_weights_path(str(folder), digest), index_path([str(folder)], digest)
    [_] = [path async for path in _until_there(memory.parent)]
    own = workspace_model(str(folder))
    own.model.parent.mkdir(parents=True)
    own.model.write_text("of this workspace")
    weights.parent.mkdir(parents=True)
    weights.write_text("learned here")
    others = [mixture_weights_path(str(folder), "another"), index_path([str(folder)], "another")]
    elsewhere = [mixture_weights_path("/elsewhere", digest), index_path([str(folder), "/elsewhere"], digest)]
    for path in (*others, *elsewhere):
        path.write_text("with another model, or of another workspace")
    assert await session.editor.command("tinycopilot.forgetWorkspace") == {"forgotten": [str(folder)]}
    await session.wait_until_dropped()
    session.report_changes("package/animals.py")
    for max_chars in (1_000_000, 20_000_000):  # whatever is set later
        session.editor.set({"tinycopilot": {"maxWorkspaceChars": max_chars}})
        assert not await session.is_indexed()
    session.open("other.py", code_with_name(OTHER))  # nor is anything that is opened later
    await session.ghost("other.py", code_with_name(OTHER) + "x")
    for _ in range(20):
        assert not await session.is_indexed()
        assert not await session.is_indexed(OTHER)
        await asyncio.sleep(0.02)
    assert not any(path.exists() for path in (weights, memory, own.model.parent, *others))
    assert all(path.exists() for path in elsewhere)


async def _until_there(folder: Path) -> AsyncIterator[Path]:
    """Wait until the folder has content, and return it."""
    while not folder.exists() or not (found := [path for path in folder.iterdir() if path.suffix == ".memory"]):
        await asyncio.sleep(0.02)
    for path in found:
        yield path


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_idle_server_uses_no_cpu(begin: Open) -> None:
    """At most 20 ms of CPU time per minute: in three seconds, that is less than the system's resolution."""
    session = await begin(watches=True)
    await session.wait_until_indexed()
    server = session.editor.process

    def n_ticks() -> int:  # of 10 ms, mostly
        fields = Path(f"/proc/{server.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    before = -1
    while before != (before := n_ticks()):  # until all pending work is done
        await asyncio.sleep(0.5)
    await asyncio.sleep(3)
    assert n_ticks() - before <= 1
