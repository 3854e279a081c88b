"""What the client's status bar is told: loading, ready, or what is wrong."""

from typing import Literal

from lsprotocol import types
from pygls.lsp.server import LanguageServer

STATUS = "tinycopilot/status"
"""A notification to the client: {"state": "loading" | "ready" | "error", "message": "..."}."""

State = Literal["loading", "ready", "error"]


def tell(server: LanguageServer, state: State, message: str = "") -> None:
    """Send the status; an error is shown to the user as well, once: it is told once."""
    server.protocol.notify(STATUS, {"state": state, "message": message})
    if state == "error":
        server.window_show_message(types.ShowMessageParams(types.MessageType.Error, f"tinycopilot: {message}"))


def warn(server: LanguageServer, problems: list[str]) -> None:
    """Show what is wrong with the settings, all in one message."""
    if problems:
        text = "tinycopilot: " + "; ".join(problems)
        server.window_show_message(types.ShowMessageParams(types.MessageType.Warning, text))
