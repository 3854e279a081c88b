"""The commands in an editor's menu (`workspace/executeCommand`)."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import Timeout
from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcInternalError

from tinycopilot import UserError
from tinycopilot.completion.request import Request, Result
from tinycopilot.extras import has_torch
from tinycopilot.page_file import write_page
from tinycopilot.paths import explanation_path, log_path
from tinycopilot.process import memory_bytes
from tinycopilot_server.models import delete_own
from tinycopilot_server.server import TinyCopilotServer
from tinycopilot_server.statistics import in_words
from tinycopilot_server.training import minutes_of

if TYPE_CHECKING:
    from tinycopilot.completion.engine import Engine


def register(server: TinyCopilotServer) -> None:
    """Register the commands. VS Code registers the same names, which must differ from the extension's."""
    for name, command in COMMANDS.items():
        server.command(name)(command)


def pause(server: TinyCopilotServer) -> dict[str, str | bool]:
    """Pause suggestions until `resume`."""
    return _set_paused(server, is_paused=True)


def resume(server: TinyCopilotServer) -> dict[str, str | bool]:
    """Resume suggestions."""
    return _set_paused(server, is_paused=False)


def _set_paused(server: TinyCopilotServer, *, is_paused: bool) -> dict[str, str | bool]:
    server.session.is_paused = is_paused
    server.session.send_status()
    return status(server)


def status(server: TinyCopilotServer, *arguments: Any) -> dict[str, str | bool]:
    """Return the last `tinycopilot/status`, and whether PyTorch is installed, which training needs.

    `arguments`: the URI of an open document. Then `silentHere` tells why it gets no suggestions; "" if it gets some.
    """
    result: dict[str, str | bool] = {**asdict(server.session.status), "canTrain": has_torch()}
    if arguments and isinstance(arguments[0], str):
        document = server.session.documents.unit_of(arguments[0])
        result["silentHere"] = server.session.why_silent(document) if document else ""
    return result


def accepted(server: TinyCopilotServer, *arguments: Any) -> None:
    """Count a full accept; the client runs this automatically. `arguments`: the suggestion's name."""
    if arguments:
        server.statistics.accepted(str(arguments[0]))
    server.statistics.update()


def statistics(server: TinyCopilotServer) -> dict[str, Any]:
    """Return the statistics by day, and a summary."""
    server.statistics.check_due()
    days = server.statistics.days()
    return {"days": days, "text": in_words(days)}


def forget_statistics(server: TinyCopilotServer) -> dict[str, Any]:
    """Delete the statistics."""
    try:
        server.statistics.forget()
    except (OSError, Timeout) as error:
        server.session.warn([f"the statistics could not be deleted: {error}"])
    return statistics(server)


async def knowledge(server: TinyCopilotServer) -> dict[str, Any]:
    """Return what is indexed and left out, the model, memory in bytes, the last latency in milliseconds, and a summary.

    Memory is None if the system does not report it; latency is None before the first suggestion.
    """
    scheduler, indexer, session = server.scheduler, server.index.indexer, server.session
    n_chars, names = 0, set[str]()
    if scheduler.is_ready:
        asked = scheduler.ask(lambda engine: (engine.ngrams.n_chars, engine.ngrams.documents))
        n_chars, names = await asyncio.wrap_future(asked)
    known = {
        "folders": list(session.folders.roots),
        "files": sum(name in indexer.scanner.known for name in names),
        "open": sum(not session.why_silent(unit) for unit in session.documents.units()),
        "suffixes": list(session.folders.suffixes),
        "characters": n_chars,
        "maxCharacters": server.index.max_chars,
        "leftOut": list(indexer.left_out),
        "model": server.models.description,
        "memoryBytes": memory_bytes(),
        "lastAnswerMs": server.completer.last_ms,
    }
    return {**known, "text": knowledge_in_words(known)}


def knowledge_in_words(known: dict[str, Any]) -> str:
    """Return a summary of what `knowledge` returns."""
    where = ", ".join(known["folders"]) or "no folder is open"
    lines = [
        f"Workspace: {where}",
        f"Indexed: {_counted(known['files'], 'file')} on disk and {_counted(known['open'], 'open document')}, "
        f"{known['characters']:,} characters of at most {known['maxCharacters']:,}",
        f"Kinds of files: {', '.join(known['suffixes'])}; others are indexed once you open one",
        *(line[:1].upper() + line[1:] for line in known["leftOut"]),
        f"Model: {known['model'].removeprefix('model: ') or 'none'}",
    ]
    if known["memoryBytes"] is not None:
        lines.append(f"Memory: {known['memoryBytes'] / 1e6:,.0f} MB")
    if known["lastAnswerMs"] is not None:
        lines.append(f"Last suggestion: {known['lastAnswerMs']:.1f} ms")
    return "\n".join(lines)


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def forget_file(server: TinyCopilotServer, *arguments: Any) -> dict[str, str]:
    """Forget a file, given by its URI, and ignore it until the server restarts."""
    if not arguments or not isinstance(arguments[0], str):
        server.session.warn(["forgetFile needs the URI of a file"])
        return {"forgotten": ""}
    name = server.session.documents.name_of(arguments[0])
    server.index.forget_file(name)
    server.completer.forget()
    _delete_page()
    return {"forgotten": _encodable(name)}


def forget_workspace(server: TinyCopilotServer) -> dict[str, list[str]]:
    """Delete all that was indexed, learned and trained here; index and learn nothing until the server restarts."""
    folders = server.session.folders
    server.training.cancel()
    server.completer.forget()
    _delete_page()
    if folders.main is not None:
        delete_own(folders.main)
    server.models.follow()
    try:
        server.index.forget_workspace()  # last, since it may fail
    except OSError as error:
        raise JsonRpcInternalError(f"{error.filename}: cannot be deleted: {error.strerror}") from None
    return {"forgotten": list(map(_encodable, folders.roots))}


def _encodable(name: str) -> str:
    """Return a name with `?` for bytes that are not UTF-8: Neovim's JSON parser rejects lone surrogates."""
    return name.encode("utf-8", "replace").decode()


def open_log(server: TinyCopilotServer) -> dict[str, str]:
    """Show the log file, if the client can show a document; return its path."""
    path = log_path()
    if get_capability(server.client_capabilities, "window.show_document.support"):
        server.window_show_document(types.ShowDocumentParams(path.as_uri(), take_focus=True))
    return {"path": str(path)}


async def explain(server: TinyCopilotServer) -> dict[str, str]:
    """Write the page that explains the last suggestion, or why there was none; return its path and URI.

    It replaces the previous page.
    """
    scheduler, last = server.scheduler, server.completer.last_answered()
    try:
        if last is None or not scheduler.is_ready:
            raise UserError("no suggestion has been requested yet: type something first")
        engine = await asyncio.wrap_future(scheduler.ask(lambda engine: engine.copy()))
        path = await asyncio.to_thread(_write_page, engine, *last, server.models.name)
    except UserError as error:
        server.session.warn([str(error)])
        return {"path": "", "uri": "", "message": str(error)}
    return {"path": str(path), "uri": path.as_uri(), "message": ""}


def _write_page(engine: "Engine", request: Request, result: Result, model: str) -> Path:
    """Explain the request on the page; return its path. Raises UserError. Runs in another thread."""
    from tinycopilot.explain.page import render  # noqa: PLC0415 (Jinja2: not needed to start)
    from tinycopilot.explain.trace import MAX_CHARS, trace  # noqa: PLC0415
    from tinycopilot.page.words import visible  # noqa: PLC0415

    path = explanation_path()
    traced = trace(engine, request, MAX_CHARS)
    found, shown = traced.suggestion, result.suggestion
    notes = list[str]()
    if len(request.before) > MAX_CHARS:
        notes.append(f"explained: the last {MAX_CHARS} of {len(request.before):,} characters before the cursor")
    if (found and found.text) != (shown and shown.text):
        earlier = f"“{visible(shown.text)}”" if shown else "nothing"
        notes.append(f"the editor showed {earlier}: that was computed earlier, when less had been typed or indexed")
    try:
        html = render(traced, path, model=model, notes=notes)
    except OSError:  # it reads templates, and sources
        raise UserError("tinycopilot was updated or removed while its server runs; restart the editor") from None
    write_page(path, html, "page", is_private=True)
    return path


def _delete_page() -> None:
    """Delete the page that `explain` wrote, which contains code."""
    with contextlib.suppress(OSError):
        explanation_path().unlink()


ACCEPTED = "tinycopilot.accepted"


def train_workspace(server: TinyCopilotServer, *arguments: Any) -> dict[str, Any]:
    """Train on the open folders for {"minutes": 5}; `tinycopilot/training` reports progress and result."""
    try:
        server.training.start(minutes_of(arguments))
    except UserError as error:
        server.session.warn([str(error)])
        return {"started": False, "message": str(error)}
    return {"started": True, "message": ""}


def cancel_training(server: TinyCopilotServer) -> dict[str, bool]:
    """Stop training; the current model stays in use."""
    return {"cancelled": server.training.cancel()}


async def reload_model(server: TinyCopilotServer) -> dict[str, Any]:
    """Reload the model's files."""
    problem = await server.models.reload_and_warn()
    return {"reloaded": not problem, "message": problem}


COMMANDS: dict[str, Callable[..., Any]] = {
    "tinycopilot.pause": pause,
    "tinycopilot.resume": resume,
    "tinycopilot.status": status,
    ACCEPTED: accepted,
    "tinycopilot.statistics": statistics,
    "tinycopilot.knowledge": knowledge,
    "tinycopilot.forgetStatistics": forget_statistics,
    "tinycopilot.trainWorkspace": train_workspace,
    "tinycopilot.cancelTraining": cancel_training,
    "tinycopilot.reloadModel": reload_model,
    "tinycopilot.forgetFile": forget_file,
    "tinycopilot.forgetWorkspace": forget_workspace,
    "tinycopilot.openLog": open_log,
    "tinycopilot.explain": explain,
}
