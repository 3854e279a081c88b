"""What the user has set, however the client says it: when it begins, when it is asked, or when something changes.

What it sent when it began holds, name by name, until it says otherwise.
"""

import asyncio
import logging
from collections.abc import Mapping

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException

from tinycopilot.files import Patterns
from tinycopilot_server import status
from tinycopilot_server.app import TinyCopilotServer
from tinycopilot_server.settings import NAMES, Settings, merged, parse_settings

SECTION = "tinycopilot"
ANSWER_S = 1.0
"""The model is loaded with what is known by then; a later answer counts as a change."""

log = logging.getLogger(__name__)


def begin(server: TinyCopilotServer, options: object) -> None:
    """The client has sent these with its first message."""
    server.initial_settings = options
    _take(server, None)


async def first_pull(server: TinyCopilotServer) -> None:
    """Ask the client for what is set, if it can be asked, and wait a little."""
    await asyncio.wait({asyncio.ensure_future(_pull(server))}, timeout=ANSWER_S)


async def changed(server: TinyCopilotServer, said: object) -> None:
    """The client says that something is set differently: what, or, if it does not say, it is asked."""
    pushed = pushed_settings(said)
    if pushed is not None:
        _take(server, pushed)
    else:
        await _pull(server)


def pushed_settings(said: object) -> Mapping[str, object] | None:
    """Our settings in what a client says of all its settings: under our name, or bare; None: none of them is ours."""
    if not isinstance(said, Mapping):
        return None
    section = said.get(SECTION)
    if isinstance(section, Mapping):
        return section
    return said if said.keys() & NAMES.keys() else None


async def _pull(server: TinyCopilotServer) -> None:
    if not get_capability(server.client_capabilities, "workspace.configuration"):
        return
    try:
        asked = types.ConfigurationParams([types.ConfigurationItem(section=SECTION)])
        answer = await server.workspace_configuration_async(asked)
    except JsonRpcException as error:
        log.warning("the client does not say what is set: %s", error)
        return
    if answer:
        _take(server, answer[0])


def _take(server: TinyCopilotServer, said: object) -> None:
    """Say what cannot be used of it, once, and use the rest."""
    settings, problems = parse_settings(merged(server.initial_settings, said))
    news = [problem for problem in problems if problem not in server.told_problems]
    server.told_problems = problems
    status.warn(server, news)
    _use(server, settings)


def _use(server: TinyCopilotServer, new: Settings) -> None:
    """What changes, changes now."""
    old, server.settings = server.settings, new
    if new == old:
        return
    if (new.languages, new.exclude) != (old.languages, old.exclude):
        server.documents.choose(Patterns(new.exclude))
    server.memory.configure(new)
    server.statistics.is_on = new.statistics
    if new.max_workspace_chars > old.max_workspace_chars:
        server.documents.show_all_again()
    if server.model.has_started and (new.model_path, new.tokenizer_path) != (old.model_path, old.tokenizer_path):
        server.model.soon(server.model.reload_and_warn())
    if server.is_initialized and new.enabled != old.enabled:
        status.show(server)
        if new.enabled:
            server.model.soon(server.model.start())
