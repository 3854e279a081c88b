"""GhostText: the suggestion at the cursor, partial accepts, and keystrokes saved. Independent of the terminal."""

import re

from tinycopilot.completion.request import Request, Suggestion, Why, typed_through

ALL = re.compile(r".*", re.DOTALL)
WORD = re.compile(r"\s*(\w+|[^\w\s]*)")
"""The next word, or the punctuation before it."""
LINE = re.compile(r"\n?[^\n]*")
"""The rest of a line, or if that is empty, the next line."""
INDENTATION = re.compile(r"(?<=\n)[ \t]+")


class GhostText:
    """Tracks the text before and after the cursor; the suggestion shown always continues that text.

    A suggestion stays visible while the user types through it, without a new request; a dismissed one stays hidden.
    """

    def __init__(self) -> None:
        self.n_accepted = 0
        """Number of accepts and partial accepts, one key each."""
        self.n_accepted_chars = 0
        """Number of keystrokes to type the accepted text. Indentation is not counted, since editors insert it."""
        self._before = self._after = ""
        self._current: Suggestion | None = None  # the rest of the suggestion
        self._alternatives: list[Suggestion] = []  # next one first
        self._is_dismissed = False
        self._pending: Request | None = None  # the request in progress

    @property
    def shown(self) -> Suggestion | None:
        """The visible suggestion, if any."""
        return None if self._is_dismissed else self._current

    @property
    def text(self) -> str:
        """Its text; empty if there is none."""
        return self.shown.text if self.shown else ""

    @property
    def n_keys_saved(self) -> int:
        """Accepted characters minus the keys that accepted them."""
        return self.n_accepted_chars - self.n_accepted

    def text_changed(self, before: str, after: str) -> Request:
        """Update the text and the cursor; return the next request."""
        rest = None
        if self._current is not None and after == self._after:
            text = typed_through(self._current.text, self._before, before)
            rest = Suggestion(text, self._current.confidence) if text is not None else None
        self._before, self._after = before, after
        self._current, self._alternatives = rest, []
        self._is_dismissed = self._is_dismissed and rest is not None
        request = Request(before, after)
        self._pending = None if rest else request
        return request

    def cursor_moved(self, before: str, after: str) -> None:
        """Update the cursor in the same text; nothing is shown until the next keystroke."""
        if (before, after) != (self._before, self._after):
            self._before, self._after = before, after
            self._current = self._pending = None
            self._alternatives, self._is_dismissed = [], False

    def on_response(self, request: Request, *suggestions: Suggestion) -> bool:
        """Show the result of the request in progress; return False if `request` is outdated."""
        if request is not self._pending:
            return False
        self._pending = None
        if request.why is Why.INVOKED:
            self._alternatives = [other for other in suggestions if self._current and other.text != self._current.text]
            self._show_next()
        else:
            self._current = next(iter(suggestions), None)
        return True

    def next(self) -> Request | None:
        """Show the next alternative. If none has been computed, return a request for alternatives."""
        if self.shown is None:
            return None
        if not self._alternatives:
            self._pending = Request(self._before, self._after, why=Why.INVOKED)
            return self._pending
        self._show_next()
        return None

    def _show_next(self) -> None:
        if self._alternatives and self._current:
            self._alternatives.append(self._current)
            self._current = self._alternatives.pop(0)

    def dismiss(self) -> None:
        """Hide the suggestion, also while the user types through it."""
        self._is_dismissed = self._current is not None
        self._pending = None

    def accept(self, part: re.Pattern[str] = ALL) -> str:
        """Return the whole suggestion, or its next WORD or LINE, to be inserted."""
        found = part.match(self.text)
        text = found[0] if found else ""
        if text:
            self.n_accepted += 1
            self.n_accepted_chars += len(INDENTATION.sub("", text))
        return text
