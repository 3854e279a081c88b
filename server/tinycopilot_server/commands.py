"""What a user can tell the server besides typing: the commands that stand in an editor's menu."""

from collections.abc import Callable
from typing import Any

from filelock import Timeout
from lsprotocol import types
from pygls.capabilities import get_capability

from tinycopilot import UserError, places
from tinycopilot.extras import has_torch
from tinycopilot_server import status
from tinycopilot_server.app import TinyCopilotServer
from tinycopilot_server.folders import document_name
from tinycopilot_server.model_files import forget_own
from tinycopilot_server.statistics import in_words
from tinycopilot_server.training_words import minutes_of


def register(server: TinyCopilotServer) -> None:
    """Tell pygls of them, each under its name; clients ask with `workspace/executeCommand`.

    VS Code makes commands of its own of them, with the same names: none may be one of the extension's.
    """
    for name, command in COMMANDS.items():
        server.command(name)(command)


def pause(server: TinyCopilotServer) -> dict[str, str | bool]:
    """Suggest nothing, until `resume`; what is typed meanwhile is followed."""
    return _set_paused(server, is_paused=True)


def resume(server: TinyCopilotServer) -> dict[str, str | bool]:
    """Suggest again."""
    return _set_paused(server, is_paused=False)


def _set_paused(server: TinyCopilotServer, *, is_paused: bool) -> dict[str, str | bool]:
    server.is_paused = is_paused
    status.show(server)
    return tell_status(server)


def tell_status(server: TinyCopilotServer) -> dict[str, str | bool]:
    """What was sent last as `tinycopilot/status`, and whether PyTorch is installed, which training needs."""
    return {**server.status.as_json(), "canTrain": has_torch()}


def accepted(server: TinyCopilotServer, *arguments: Any) -> None:
    """A suggestion was accepted whole: the client says so by itself. (`arguments`: its name.)"""
    if arguments:
        server.statistics.accepted(str(arguments[0]))
    server.count_what_is_due()


def tell_statistics(server: TinyCopilotServer) -> dict[str, Any]:
    """What has been counted, by day, and what it comes to in words."""
    server.statistics.judge(server.documents.text_of)
    days = server.statistics.days()
    return {"days": days, "text": in_words(days)}


def forget_statistics(server: TinyCopilotServer) -> dict[str, Any]:
    """Delete them."""
    try:
        server.statistics.forget()
    except (OSError, Timeout) as error:
        status.warn(server, [f"the statistics could not be deleted: {error}"])
    return tell_statistics(server)


def forget_file(server: TinyCopilotServer, *arguments: Any) -> dict[str, str]:
    """Know nothing of a file, which is named by its URI, and leave it alone until the server is started again."""
    if not arguments or not isinstance(arguments[0], str):
        status.warn(server, ["forgetFile needs the URI of a file"])
        return {"forgotten": ""}
    name = document_name(arguments[0])
    server.memory.forget_file(name)
    return {"forgotten": name}


def forget_workspace(server: TinyCopilotServer) -> dict[str, list[str]]:
    """Delete what was indexed, learned and trained here, and remember nothing until the server is started again."""
    folders = server.folders
    server.training.cancel()
    server.memory.forget_workspace()
    if folders.main is not None:
        forget_own(folders.main)
    server.model.follow()
    return {"forgotten": list(folders.roots)}


def open_log(server: TinyCopilotServer) -> dict[str, str]:
    """Show the log's file, where the client can show a document; its path, anyway."""
    path = places.user_log()
    if get_capability(server.client_capabilities, "window.show_document.support"):
        server.window_show_document(types.ShowDocumentParams(path.as_uri(), take_focus=True))
    return {"path": str(path)}


ACCEPTED = "tinycopilot.accepted"


def train_workspace(server: TinyCopilotServer, *arguments: Any) -> dict[str, Any]:
    """Train on the open folders, {"minutes": 5} long; `tinycopilot/training` says how it goes, and what it came to."""
    try:
        server.training.start(minutes_of(arguments))
    except UserError as error:
        status.warn(server, [str(error)])
        return {"started": False, "message": str(error)}
    return {"started": True, "message": ""}


def cancel_training(server: TinyCopilotServer) -> dict[str, bool]:
    """Stop that, if it goes on: the model before stays."""
    return {"cancelled": server.training.cancel()}


async def reload_model(server: TinyCopilotServer) -> dict[str, Any]:
    """Load the model as its files are now."""
    problem = await server.model.reload_and_warn()
    return {"reloaded": not problem, "message": problem}


COMMANDS: dict[str, Callable[..., Any]] = {
    "tinycopilot.pause": pause,
    "tinycopilot.resume": resume,
    "tinycopilot.status": tell_status,
    ACCEPTED: accepted,
    "tinycopilot.statistics": tell_statistics,
    "tinycopilot.forgetStatistics": forget_statistics,
    "tinycopilot.trainWorkspace": train_workspace,
    "tinycopilot.cancelTraining": cancel_training,
    "tinycopilot.reloadModel": reload_model,
    "tinycopilot.forgetFile": forget_file,
    "tinycopilot.forgetWorkspace": forget_workspace,
    "tinycopilot.openLog": open_log,
}
