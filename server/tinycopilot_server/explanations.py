"""Explanations: the page that explains the last request's result."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tinycopilot import UserError
from tinycopilot.completion.request import Request, Result
from tinycopilot.completion.scheduler import Scheduler
from tinycopilot.page_file import write_page
from tinycopilot.paths import explanation_path

if TYPE_CHECKING:
    from tinycopilot.completion.engine import Engine

NOTHING_YET = "no suggestion has been requested yet: type something first"
CHANGED = "tinycopilot was updated or removed while its server runs; restart the editor"

log = logging.getLogger(__name__)


class Explanations:
    """Writes the page, with a copy of the engine in another thread. Use it on the event loop."""

    def __init__(
        self, scheduler: Scheduler, last_answered: Callable[[], tuple[Request, Result] | None], model: Callable[[], str]
    ) -> None:
        """`last_answered` returns the last request with its result; `model` names the model in use."""
        self._scheduler, self._last_answered, self._model = scheduler, last_answered, model

    async def write(self) -> Path:
        """Write the page about the last request; return its path. It replaces the previous page. Raises UserError."""
        last = self._last_answered()
        if last is None or not self._scheduler.is_ready:
            raise UserError(NOTHING_YET)
        engine = await asyncio.wrap_future(self._scheduler.ask(lambda engine: engine.copy()))
        return await asyncio.to_thread(_write, engine, *last, self._model())

    def forget(self) -> None:
        """Delete the page, which contains code."""
        with contextlib.suppress(OSError):
            explanation_path().unlink()


def _write(engine: "Engine", request: Request, result: Result, model: str) -> Path:
    """Write the page; return its path. Raises UserError. Runs in another thread."""
    from tinycopilot.explain.page import render  # noqa: PLC0415 (Jinja2: not needed to start)
    from tinycopilot.explain.subject import MAX_CHARS, subject  # noqa: PLC0415
    from tinycopilot.page.words import visible  # noqa: PLC0415

    path = explanation_path()
    explained = subject(engine, request, MAX_CHARS)
    found, shown = explained.trace.suggestion, result.suggestion
    notes = list[str]()
    if len(request.before) > MAX_CHARS:
        notes.append(f"explained: the last {MAX_CHARS} of {len(request.before):,} characters before the cursor")
    if (found and found.text) != (shown and shown.text):
        earlier = f"“{visible(shown.text)}”" if shown else "nothing"
        notes.append(f"the editor showed {earlier}: that was computed earlier, when less had been typed or indexed")
    try:
        html = render(explained, path, model=model, notes=notes)
    except OSError:  # it reads templates, and sources
        raise UserError(CHANGED) from None
    write_page(path, html, "page", is_private=True)
    return path
