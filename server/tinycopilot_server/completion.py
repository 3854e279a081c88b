"""Completion: whether to suggest at a cursor; the request to the engine, and the answer to the editor.

The latest request wins. Equal requests share one computation. After an edit, the next request is predicted, and
computed before the client sends it.
"""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lsprotocol import types

from tinycopilot.completion.lexical import lexical_context
from tinycopilot.completion.request import Request, Result, Silence, Suggestion, Why, typed_through
from tinycopilot.completion.scheduler import Job, Scheduler
from tinycopilot_server.documents import WINDOW_CHARS, Document, split_lines, to_units
from tinycopilot_server.index import Index
from tinycopilot_server.session import Session

PAIRS = ("()", "[]", "{}", '""', "''", "``")
"""Editors insert the closing character with the opening one, and leave the cursor between them."""

FIRST_LINE = re.compile(r"\s*[^\r\n]*")
"""Up to the end of the first line that is not blank."""

Split = Callable[[types.Position], tuple[str, str]]
"""Returns the texts before and after a position."""


@dataclass(frozen=True)
class Answer:
    """Suggestions, and their position."""

    document: Document
    cursor: types.Position
    before: str
    """The text of the document before the suggestion; including the selected menu entry, if there is one."""
    texts: list[str]
    """The texts of the suggestions, with the document's line ends; the best one first."""
    latency_ms: float


class Debounce:
    """Lets the latest request through when nothing has changed for a while. For the event loop."""

    def __init__(self) -> None:
        self._changed_s = -float("inf")
        self._superseded = asyncio.Event()  # set when the latest request need not wait any more

    def changed(self) -> None:
        """Note a change of a text: a request for the earlier text returns at once."""
        self._changed_s = time.monotonic()
        self._supersede()

    def _supersede(self) -> None:
        self._superseded.set()
        self._superseded = asyncio.Event()

    async def is_quiet(self, quiet_ms: int) -> bool:
        """Return True when nothing has changed for `quiet_ms`; False, at once, on a change or a later request."""
        self._supersede()
        wait_s = self._changed_s + quiet_ms / 1000 - time.monotonic()
        if wait_s <= 0:
            return True
        try:
            await asyncio.wait_for(self._superseded.wait(), wait_s)
        except TimeoutError:
            return True
        return False


class Completer:
    """Answers requests. For the event loop; the engine computes in its own thread."""

    def __init__(self, session: Session, scheduler: Scheduler, index: Index) -> None:
        self._session, self._scheduler, self._index = session, scheduler, index
        self._latest: Job | None = None
        self._answered: Job | None = None  # the last job whose result was used
        self.debounce = Debounce()
        self.is_used = False
        """Whether the client has ever requested a completion."""
        self.ahead: asyncio.Future[Answer | None] | None = None
        """The computation of the request that is expected next."""
        self.last_ms: float | None = None
        """Latency of the last suggestion; None before the first one."""
        self.invoked: Answer | None = None
        """The last answer to an explicit request."""

    def is_typed_along(self, uri: str, cursor: types.Position) -> bool:
        """Whether the text up to `cursor` is that of the last invoked request and the beginning of its answer."""
        invoked = self.invoked
        if invoked is None or self._session.documents.get(uri) is not invoked.document:
            return False
        (start, _), (end, _) = map(invoked.document.split, (invoked.cursor, cursor))
        typed = end[len(start) :]
        is_along = cursor >= invoked.cursor and any(text.startswith(typed) and text != typed for text in invoked.texts)
        if not is_along:
            self.invoked = None
        return is_along

    async def complete(
        self,
        uri: str,
        cursor: types.Position,
        *,
        with_alternatives: bool = False,
        selected: types.SelectedCompletionInfo | None = None,
    ) -> Answer | None:
        """The suggestion at the cursor. None without one, if settings prevent it, or if the text changes meanwhile."""
        since_s, session = time.perf_counter(), self._session
        document, unit = session.documents.get(uri), session.documents.unit_of(uri)
        if document is None or unit is None or session.is_silent:
            return None
        name = self._index.admit(unit)
        if name is None and session.why_silent(unit):
            return None
        split, above = self._split(uri, document, is_indexed=name is not None)
        before, after = split(cursor)
        if not self._is_wanted_after(before, document.language):
            return None
        self._index.hold_others(unit)
        then, version = None, unit.version
        if selected is not None:  # the texts on both sides of the cursor if the selected menu entry is accepted
            then = split(selected.range.start)[0] + selected.text, split(selected.range.end)[1]
        request = Request(before, after, name, selected=then, language=document.language)
        suggestion = await self.suggest(request)
        latency_ms = 1000 * (time.perf_counter() - since_s)
        self.last_ms = latency_ms if suggestion is not None else self.last_ms
        wants_alternatives = suggestion is not None and with_alternatives and then is None
        alternatives = await self.alternatives(request) if wants_alternatives else []
        if suggestion is None or session.documents.get(uri) is not document or unit.version != version:
            return None
        text_before = (then[0] if then else before)[len(above) :]
        texts = [some.text.replace("\n", document.line_end) for some in (suggestion, *alternatives)]
        return Answer(document, document.clamp(cursor), text_before, texts, latency_ms)

    def _split(self, uri: str, document: Document, *, is_indexed: bool) -> tuple[Split, str]:
        """The function that splits the text at a position, and the text before it that is not of the document itself.

        A notebook cell is surrounded by the other cells' text. Without indexing, only text near the cursor is used.
        """
        above, below = document.notebook.around(uri) if document.notebook else ("", "")
        if not is_indexed:
            n_chars = WINDOW_CHARS if document.n_chars <= WINDOW_CHARS else 0
            above, below = above[max(0, len(above) - n_chars) :], below[:n_chars]
        split_alone = document.split if is_indexed else document.split_near

        def split(position: types.Position) -> tuple[str, str]:
            before, after = split_alone(position)
            return above + before, after + below

        return split, above

    def _is_wanted_after(self, before: str, language: str) -> bool:
        """Whether the settings allow suggestions in this lexical context."""
        settings = self._session.settings
        if settings.in_comments and settings.in_strings:
            return True
        allowed = {"code": True, "comment": settings.in_comments, "string": settings.in_strings}
        return allowed[lexical_context(before, language)]

    async def suggest(self, request: Request) -> Suggestion | None:
        """The suggestion for a request; None without a model.

        Equal requests share one computation until something changes for the engine. Another request cancels it.
        """
        if not self._scheduler.is_ready:
            return None
        await self._index.prepared(request.document)
        if (job := self._shared(request)) is None:
            job = self._latest = self._scheduler.complete(request, self._index.after_answer)
        result = await job.wait()
        if result.silence is not Silence.CANCELLED and job is self._latest:  # not forgotten
            self._answered = job
        return result.suggestion

    def forget(self) -> None:
        """Forget the texts of the last requests."""
        self._latest = self._answered = self.invoked = None

    def last_answered(self) -> tuple[Request, Result] | None:
        """The last request that was answered, by a suggestion or by silence, and its result; None if there is none."""
        if (job := self._answered) is None:
            return None
        request = job.request
        if request.selected is not None:
            before, after = request.selected
            request = replace(request, before=before, after=after, selected=None)
        return request, job.result.result()

    async def alternatives(self, request: Request) -> list[Suggestion]:
        """Further suggestions for a request, if it is the latest one."""
        if (job := self._shared(request)) is None:
            return []
        invoked, is_cancelled = replace(request, why=Why.INVOKED), job.cancelled.is_set
        result = await asyncio.wrap_future(self._scheduler.ask(lambda engine: engine.complete(invoked, is_cancelled)))
        return list(result.suggestions[1:])

    def _shared(self, request: Request) -> Job | None:
        """The latest job, if it has this request, is not cancelled, and the engine has not changed since."""
        job, generation = self._latest, self._scheduler.generation
        if job is None or job.cancelled.is_set() or (job.request, job.generation) != (request, generation):
            return None
        return job

    def changed(self, uri: str, document: Document, changes: Sequence[types.TextDocumentContentChangeEvent]) -> None:
        """After an edit, compute ahead the suggestion that most clients request some milliseconds later."""
        self.debounce.changed()
        settings, lists = self._session.settings, self._session.lists_suggestions
        if self.is_used and (settings.inline or lists) and not settings.debounce_ms:
            cursor = cursor_after(changes, document.encoding)
            if cursor is not None:
                self.ahead = asyncio.ensure_future(self.complete(uri, cursor))
                # Ignore an error, which the request itself will raise again and report.
                self.ahead.add_done_callback(lambda ahead: ahead.cancelled() or ahead.exception())


class Folding:
    """Shows only the first line of a suggestion; accepting it shows the others. One instance per client.

    The client inserts exactly what it shows, so nothing is inserted that the user has not seen.
    """

    def __init__(self) -> None:
        self._uri = self._before = self._hidden = ""

    def fold(self, uri: str, before: str, texts: list[str]) -> list[tuple[str, int]]:
        """Return, for each suggestion after `before`, the text to show and the number of hidden lines.

        The text ends with the first line that is not blank. After that line was accepted, all hidden lines are shown,
        also while the user types through them. If several texts are equal, only the first is returned.
        """
        if uri == self._uri and typed_through(self._hidden, self._before, before) == texts[0]:
            return [(texts[0], 0)]
        shown = [FIRST_LINE.findall(text)[0] for text in texts]
        self._uri, self._before, self._hidden = uri, before + shown[0], texts[0][len(shown[0]) :]
        pairs = reversed(list(zip(shown, texts, strict=True)))
        folded = {first: sum(line.strip() != "" for line in text[len(first) :].splitlines()) for first, text in pairs}
        return [(first, folded[first]) for first in dict.fromkeys(shown)]


def cursor_after(changes: Sequence[types.TextDocumentContentChangeEvent], encoding: str) -> types.Position | None:
    """The most likely position of the cursor after an edit: after the inserted text, in the client's units.

    None if there are several edits, or the whole text was replaced.
    """
    if len(changes) != 1 or not isinstance(changes[0], types.TextDocumentContentChangePartial):
        return None
    start, text = changes[0].range.start, changes[0].text
    if text in PAIRS:
        text = text[0]
    *lines, last = split_lines(text)
    n_units = to_units(last, len(last), encoding)
    return types.Position(start.line + len(lines), n_units if lines else start.character + n_units)
