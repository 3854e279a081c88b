"""What the client's status bar is told: loading, ready, busy, off, or what is wrong."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from lsprotocol import types

if TYPE_CHECKING:
    from tinycopilot_server.app import TinyCopilotServer

STATUS = "tinycopilot/status"
"""A notification to the client: {"state": "loading" | "ready" | "busy" | "off" | "error", "message": "..."}."""

State = Literal["loading", "ready", "busy", "off", "error"]


@dataclass(frozen=True)
class Status:
    """How the server is, and why, in words for its user."""

    state: State
    message: str = ""

    def as_json(self) -> dict[str, str]:
        """As it is sent."""
        return asdict(self)


PAUSED = Status("off", "paused")
DISABLED = Status("off", "not enabled in the settings")


def tell(server: "TinyCopilotServer", state: State, message: str = "") -> None:
    """Say how the model is; an error is shown to the user as well, once: it is told once."""
    server.model.status = Status(state, message)
    show(server)
    if state == "error":
        server.window_show_message(types.ShowMessageParams(types.MessageType.Error, f"tinycopilot: {message}"))


def show(server: "TinyCopilotServer") -> None:
    """Send how the server is."""
    server.protocol.notify(STATUS, server.status.as_json())


def warn(server: "TinyCopilotServer", problems: list[str]) -> None:
    """Show what is wrong with the settings, all in one message."""
    if problems:
        text = "tinycopilot: " + "; ".join(problems)
        server.window_show_message(types.ShowMessageParams(types.MessageType.Warning, text))
