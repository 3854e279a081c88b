"""Ghost: which suggestion is shown at the cursor, what is taken of it, and what that saved. Knows no terminal."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tinycopilot.completion.common_prefix import typed_through
from tinycopilot.completion.truncation import Suggestion

WORD = re.compile(r"\s*(\w+|[^\w\s]+)")
LINE = re.compile(r"\n?[^\n]*")
"""A line's rest, or where that is empty, the next line."""
INDENTATION = re.compile(r"(?<=\n)[ \t]+")


@dataclass(frozen=True, eq=False)
class SuggestionRequest:
    """What to insert between `before` and `after`? Two are never the same, even about one place."""

    before: str
    after: str
    wants_alternatives: bool = False
    """And what else might be inserted there?"""


class GhostText:
    """Follows the text on both sides of the cursor. What it shows always continues the text that is there now.

    A suggestion stays while it is typed along, and no answer is waited for. One that was dismissed stays away as long.
    """

    def __init__(self) -> None:
        self.n_accepted = 0
        """How often a suggestion was taken, or a part of one: a key each."""
        self.n_accepted_chars = 0
        """How many keys it would have been to type that; the indentation of its lines, which editors write, is none."""
        self._before = self._after = ""
        self._current: Suggestion | None = None  # what is left of it
        self._alternatives: list[Suggestion] = []  # what may be shown in its place, the next one first
        self._is_dismissed = False
        self._pending: SuggestionRequest | None = None  # and is waited for

    @property
    def shown(self) -> Suggestion | None:
        """What is to be seen at the cursor now."""
        return None if self._is_dismissed else self._current

    @property
    def text(self) -> str:
        """The text of that; empty if there is none."""
        return self.shown.text if self.shown else ""

    @property
    def n_keys_saved(self) -> int:
        """Characters taken, less the keys that took them."""
        return self.n_accepted_chars - self.n_accepted

    def text_changed(self, before: str, after: str) -> SuggestionRequest:
        """The text, and the cursor in it, are now these. Returns what to ask."""
        rest = self._rest(before, after)
        self._before, self._after = before, after
        self._current, self._alternatives = rest, []
        self._is_dismissed = self._is_dismissed and rest is not None
        request = SuggestionRequest(before, after)
        self._pending = None if rest else request
        return request

    def cursor_moved(self, before: str, after: str) -> None:
        """The cursor stands elsewhere in the same text: nothing is shown until something is typed."""
        if (before, after) != (self._before, self._after):
            self._before, self._after = before, after
            self._forget()

    def on_response(
        self, request: SuggestionRequest, suggestion: Suggestion | None, alternatives: Sequence[Suggestion] = ()
    ) -> bool:
        """Show it, unless the text or the cursor has changed since, or something stood there. False: nobody waits."""
        if request is not self._pending:
            return False
        self._pending = None
        if request.wants_alternatives:
            found = (suggestion, *alternatives)
            self._alternatives = [
                other for other in found if other and self._current and other.text != self._current.text
            ]
            self._show_next()
        else:
            self._current = suggestion
        return True

    def next(self) -> SuggestionRequest | None:
        """Show another suggestion in the place of this one, in turn; if none is known yet, returns what to ask."""
        if self.shown is None:
            return None
        if not self._alternatives:
            self._pending = SuggestionRequest(self._before, self._after, wants_alternatives=True)
            return self._pending
        self._show_next()
        return None

    def _show_next(self) -> None:
        if self._alternatives and self._current:
            self._alternatives.append(self._current)
            self._current = self._alternatives.pop(0)

    def dismiss(self) -> None:
        """Show nothing here, nor while what was shown is typed all the same."""
        self._is_dismissed = self._current is not None
        self._pending = None

    def accept(self) -> str:
        """All that is shown, to be inserted now."""
        return self._accept(self.text)

    def accept_word(self) -> str:
        """The same of its next word, or of the signs before that."""
        found = WORD.match(self.text)
        return self._accept(found[0] if found else self.text)

    def accept_line(self) -> str:
        """The same of its next line."""
        found = LINE.match(self.text)
        return self._accept(found[0] if found else self.text)

    def _accept(self, text: str) -> str:
        if text:
            self.n_accepted += 1
            self.n_accepted_chars += len(INDENTATION.sub("", text))
        return text

    def _rest(self, before: str, after: str) -> Suggestion | None:
        """What is left of the suggestion, if no more than its beginning was inserted since."""
        if self._current is None or after != self._after:
            return None
        rest = typed_through(self._current.text, self._before, before)
        return Suggestion(rest, self._current.confidence) if rest is not None else None

    def _forget(self) -> None:
        self._current = self._pending = None
        self._alternatives = []
        self._is_dismissed = False
