"""From a cursor to a question, and back to an answer there; what will be asked next is asked before anybody does."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsprotocol import types

from tinycopilot.completion.lexical import lexical_context
from tinycopilot.completion.truncation import Suggestion
from tinycopilot_server.documents import Document, split_lines, to_units
from tinycopilot_server.settings import Settings

if TYPE_CHECKING:
    from tinycopilot_server.app import TinyCopilotServer

PAIRS = ("()", "[]", "{}", '""', "''", "``")
"""Editors write the closing one with the opening one, and leave the cursor between them."""


@dataclass(frozen=True)
class Answer:
    """A suggestion, and where it belongs."""

    uri: str
    document: Document
    cursor: types.Position
    before: str
    """What stands before the suggestion, or would."""
    suggestion: Suggestion
    others: list[Suggestion]
    latency_ms: float

    @property
    def texts(self) -> list[str]:
        """All of them, with the document's line ends."""
        return [some.text.replace("\n", self.document.line_end) for some in (self.suggestion, *self.others)]


async def ask(
    server: "TinyCopilotServer",
    uri: str,
    cursor: types.Position,
    *,
    with_others: bool = False,
    selected: types.SelectedCompletionInfo | None = None,
) -> Answer | None:
    """The suggestion at the cursor; None if there is none, or none is wanted, or the text has changed meanwhile."""
    since, document = time.perf_counter(), server.documents.get(uri)
    if document is None or server.is_silent or not server.documents.wants(document):
        return None
    version = document.version
    name = server.documents.name_to_hold(document)
    if name is None and document.is_secret:
        return None
    split = document.split if name is not None else document.split_near
    before, after = split(cursor)
    if not _is_wanted_here(server.settings, document, before):
        return None
    server.documents.show_others(document)
    as_if = _with_selected(split, selected)
    key = (document, version, cursor.line, cursor.character, as_if)
    suggestion = await server.questions.suggest(key, name, before, after, as_if)
    latency_ms = 1000 * (time.perf_counter() - since)
    others = await server.questions.others(key) if suggestion is not None and with_others and as_if is None else []
    if suggestion is None or server.documents.get(uri) is not document or document.version != version:
        return None
    stands_before = as_if[0] if as_if else before
    return Answer(uri, document, document.clamp(cursor), stands_before, suggestion, others, latency_ms)


def _is_wanted_here(settings: Settings, document: Document, before: str) -> bool:
    """Whether the settings let it be suggested after `before`."""
    if settings.in_comments and settings.in_strings:
        return True
    where = lexical_context(before, document.language)
    return {"code": True, "comment": settings.in_comments, "string": settings.in_strings}[where]


def _with_selected(
    split: Callable[[types.Position], tuple[str, str]], selected: types.SelectedCompletionInfo | None
) -> tuple[str, str] | None:
    """The texts on both sides of the cursor as they would be if the menu's selected entry were accepted."""
    if selected is None:
        return None
    before, _ = split(selected.range.start)
    _, after = split(selected.range.end)
    return before + selected.text, after


def ask_ahead(server: "TinyCopilotServer", uri: str, changes: Sequence[types.TextDocumentContentChangeEvent]) -> None:
    """Look for what will be asked next: most clients ask some milliseconds after the change, and then it is there."""
    cursor, wanted = cursor_after(changes, server.encoding), server.settings
    is_wanted = server.is_asked and (wanted.inline or wanted.popup) and not wanted.debounce_ms
    if cursor is not None and is_wanted:
        server.ahead = asyncio.ensure_future(ask(server, uri, cursor))
        server.ahead.add_done_callback(_is_of_no_account)


def _is_of_no_account(asked: "asyncio.Future[Answer | None]") -> None:
    """What went wrong will go wrong again for who asks."""
    if not asked.cancelled():
        asked.exception()


def cursor_after(changes: Sequence[types.TextDocumentContentChangeEvent], encoding: str) -> types.Position | None:
    """Where the cursor most likely is after an edit: behind what was inserted, in the client's units.

    None where one cannot tell: several edits, or a whole text.
    """
    if len(changes) != 1 or not isinstance(changes[0], types.TextDocumentContentChangePartial):
        return None
    start, text = changes[0].range.start, changes[0].text
    if text in PAIRS:
        text = text[0]
    *lines, last = split_lines(text)
    n_units = to_units(last, len(last), encoding)
    return types.Position(start.line + len(lines), n_units if lines else start.character + n_units)
