"""The commands in an editor's menu (`workspace/executeCommand`)."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from filelock import Timeout
from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcInternalError

from tinycopilot import UserError
from tinycopilot.extras import has_torch
from tinycopilot.paths import log_path
from tinycopilot_server.explanations import delete_page, explain_last
from tinycopilot_server.knowledge import knowledge
from tinycopilot_server.models import delete_own
from tinycopilot_server.server import TinyCopilotServer
from tinycopilot_server.statistics import in_words
from tinycopilot_server.training import minutes_of


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


def forget_file(server: TinyCopilotServer, *arguments: Any) -> dict[str, str]:
    """Forget a file, given by its URI, and ignore it until the server restarts."""
    if not arguments or not isinstance(arguments[0], str):
        server.session.warn(["forgetFile needs the URI of a file"])
        return {"forgotten": ""}
    name = server.session.documents.name_of(arguments[0])
    server.index.forget_file(name)
    server.completer.forget()
    delete_page()
    return {"forgotten": _encodable(name)}


def forget_workspace(server: TinyCopilotServer) -> dict[str, list[str]]:
    """Delete all that was indexed, learned and trained here; index and learn nothing until the server restarts."""
    folders = server.session.folders
    server.training.cancel()
    server.completer.forget()
    delete_page()
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
    """Write the page that explains the last suggestion, or why there was none; return its path and URI."""
    try:
        path = await explain_last(server.scheduler, server.completer.last_answered(), server.models.name)
    except UserError as error:
        server.session.warn([str(error)])
        return {"path": "", "uri": "", "message": str(error)}
    return {"path": str(path), "uri": path.as_uri(), "message": ""}


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
