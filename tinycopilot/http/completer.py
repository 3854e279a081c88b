"""Completer: answer requests in order, in the engine's thread."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tinycopilot.completion.engine import Engine
from tinycopilot.completion.request import Request, ScoredCharacter, Why
from tinycopilot.completion.scheduler import Scheduler
from tinycopilot.http.parameters import Parameters, RequestError
from tinycopilot.http.workspace import Workspace

MAX_WAITING = 16
"""Maximum number of requests in the queue."""
MAX_AFTER_CHARS = 8_192
"""Only the nearest characters after the cursor are read."""
MIN_BEFORE_CHARS: Final = 24_576
"""At least this many characters before the cursor are used, if known, and less than twice as many."""
HEAD_CHARS: Final = 256
"""Length of the beginning of a window by which it is found in the last text."""


@dataclass(frozen=True)
class Completion:
    """The text to insert; empty if no suggestion is worth reading."""

    text: str = ""
    finish_reason: str = "stop"
    """`length` if the text has the maximum length; else `stop`."""
    scored: tuple[ScoredCharacter, ...] = ()
    """The probability of each character, if requested."""


class Completer:
    """Answers in order of arrival: a client may send several requests for one position, and expects all answers."""

    def __init__(self, load: Callable[[], Engine], folder: Path | None = None, language: str = "") -> None:
        """Load the model, with `load`, in the engine's thread, and wait for it.

        `folder`: a folder to index (see `Workspace`). `language`: language of documents without a name, as LSP's
        identifier. Raises UserError.
        """
        self._language = language
        self._before = ""  # the text before the cursor in the last request
        self._scheduler, self._n_waiting = Scheduler(), 0
        try:
            self.workspace = Workspace(folder, self._scheduler)
            self._scheduler.submit(lambda: self._scheduler.use(load())).result()
        except BaseException:
            self._scheduler.close()
            raise

    async def complete(self, parameters: Parameters) -> Completion:
        """Complete. Cancelling the coroutine cancels the computation. Raises RequestError if the queue is full."""
        if self._n_waiting >= MAX_WAITING:
            raise RequestError(503, f"{MAX_WAITING} requests are waiting already; try again")
        has_left = threading.Event()
        self._n_waiting += 1
        try:
            answer = self._scheduler.ask(lambda engine: self._answer(engine, parameters, has_left.is_set))
            return await asyncio.wrap_future(answer)
        finally:
            self._n_waiting -= 1
            has_left.set()

    def _answer(self, engine: Engine, parameters: Parameters, cancelled: Callable[[], bool]) -> Completion:
        """Answer a request. Runs in the engine's thread."""
        is_secret = self.workspace.is_secret(parameters.document, parameters.before + parameters.after)
        if cancelled() or parameters.max_chars == 0 or is_secret:
            return Completion(finish_reason="stop" if parameters.max_chars else "length")
        with self._scheduler.answering:
            if self.workspace.open(engine, parameters.document):
                self._before = ""
            return self._complete(engine, parameters, cancelled)

    def _complete(self, engine: Engine, parameters: Parameters, cancelled: Callable[[], bool]) -> Completion:
        self._before = extended(parameters.before, self._before)
        after = parameters.after[:MAX_AFTER_CHARS]
        language = "" if parameters.document else self._language
        engine.configure(replace(engine.settings, max_chars=parameters.max_chars))
        # Nothing is learned, because a request does not tell what was typed.
        request = Request(self._before, after, self.workspace.document, Why.REPLAYED, language=language)
        suggestion = engine.complete(request, cancelled).suggestion
        if suggestion is None:
            return Completion()
        text = until_stop(suggestion.text, parameters.stop)
        is_cut_off = len(text) == parameters.max_chars and text == suggestion.text
        n = parameters.n_logprobs
        scored = () if n is None else tuple(engine.log_probs(request, text, n))
        return Completion(text, "length" if is_cut_off else "stop", scored)

    def close(self) -> None:
        """Stop computing."""
        self.workspace.close()
        self._scheduler.close()


def until_stop(text: str, stops: Sequence[str]) -> str:
    """Return the text up to the first occurrence of any of `stops`."""
    return text[: min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))]


def extended(window: str, last: str) -> str:
    """Return the text before the cursor if a client sends only its last characters: `last` has what precedes them.

    The text of such a client starts later at each key, and would have to be indexed and read again as a whole. So it is
    extended by the text that preceded it in the last request. While the user types, all texts then start at the same
    position, and only new characters are processed. Text whose beginning `last` lacks or repeats is not extended.
    """
    window = window[-MIN_BEFORE_CHARS:]
    head = window[:HEAD_CHARS]
    at = last.find(head) if len(head) == HEAD_CHARS else -1
    text = window if at < 0 or last.find(head, at + 1) >= 0 else last[:at] + window
    return text if len(text) < 2 * MIN_BEFORE_CHARS else text[-MIN_BEFORE_CHARS:]
