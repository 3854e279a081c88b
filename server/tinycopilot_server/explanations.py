"""Explanations: the page that explains the last request's result."""

import asyncio
import contextlib
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


async def explain_last(scheduler: Scheduler, last: tuple[Request, Result] | None, model: str) -> Path:
    """Write the page about the last request, in another thread; return its path. It replaces the previous page.

    `last`: the request with its result, if there was one. `model` names the model in use. Raises UserError.
    """
    if last is None or not scheduler.is_ready:
        raise UserError(NOTHING_YET)
    engine = await asyncio.wrap_future(scheduler.ask(lambda engine: engine.copy()))
    return await asyncio.to_thread(_write, engine, *last, model)


def delete_page() -> None:
    """Delete the page, which contains code."""
    with contextlib.suppress(OSError):
        explanation_path().unlink()


def _write(engine: "Engine", request: Request, result: Result, model: str) -> Path:
    """Write the page; return its path. Raises UserError. Runs in another thread."""
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
        raise UserError(CHANGED) from None
    write_page(path, html, "page", is_private=True)
    return path
