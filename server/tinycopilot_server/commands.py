"""What a user can tell the server besides typing: the commands that stand in an editor's menu."""

from collections.abc import Callable
from typing import Any

from tinycopilot_server import status
from tinycopilot_server.app import TinyCopilotServer


def register(server: TinyCopilotServer) -> None:
    """Tell pygls of them, each under its name; clients ask with `workspace/executeCommand`."""
    for name, command in COMMANDS.items():
        server.command(name)(command)


def pause(server: TinyCopilotServer) -> dict[str, str]:
    """Suggest nothing, until `resume`; what is typed meanwhile is followed."""
    return _set_paused(server, is_paused=True)


def resume(server: TinyCopilotServer) -> dict[str, str]:
    """Suggest again."""
    return _set_paused(server, is_paused=False)


def _set_paused(server: TinyCopilotServer, *, is_paused: bool) -> dict[str, str]:
    server.is_paused = is_paused
    status.show(server)
    return tell_status(server)


def tell_status(server: TinyCopilotServer) -> dict[str, str]:
    """How it is: what was sent last as `tinycopilot/status`."""
    return server.status.as_json()


COMMANDS: dict[str, Callable[..., Any]] = {
    "tinycopilot.pause": pause,
    "tinycopilot.resume": resume,
    "tinycopilot.status": tell_status,
}
