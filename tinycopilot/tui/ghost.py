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
class Question:
    """What to insert between `before` and `after`? Two are never the same, even about one place."""

    before: str
    after: str
    wants_others: bool = False
    """And what else might be inserted there?"""


class Ghost:
    """Follows the text on both sides of the cursor. What it shows always continues the text that is there now.

    A suggestion stays while it is typed along, and no answer is waited for. One that was dismissed stays away as long.
    """

    def __init__(self) -> None:
        self.n_taken = 0
        """How often a suggestion was taken, or a part of one: a key each."""
        self.n_taken_chars = 0
        """How many keys it would have been to type that; the indentation of its lines, which editors write, is none."""
        self._before = self._after = ""
        self._standing: Suggestion | None = None  # what is left of it
        self._others: list[Suggestion] = []  # what may be shown in its place, the next one first
        self._is_dismissed = False
        self._asked: Question | None = None  # and is waited for

    @property
    def shown(self) -> Suggestion | None:
        """What is to be seen at the cursor now."""
        return None if self._is_dismissed else self._standing

    @property
    def text(self) -> str:
        """The text of that; empty if there is none."""
        return self.shown.text if self.shown else ""

    @property
    def n_keys_saved(self) -> int:
        """Characters taken, less the keys that took them."""
        return self.n_taken_chars - self.n_taken

    def text_changed(self, before: str, after: str) -> Question:
        """The text, and the cursor in it, are now these. Returns what to ask."""
        rest = self._rest(before, after)
        self._before, self._after = before, after
        self._standing, self._others = rest, []
        self._is_dismissed = self._is_dismissed and rest is not None
        question = Question(before, after)
        self._asked = None if rest else question
        return question

    def cursor_moved(self, before: str, after: str) -> None:
        """The cursor stands elsewhere in the same text: nothing is shown until something is typed."""
        if (before, after) != (self._before, self._after):
            self._before, self._after = before, after
            self._forget()

    def answered(self, question: Question, suggestion: Suggestion | None, others: Sequence[Suggestion] = ()) -> bool:
        """Show it, unless the text or the cursor has changed since, or something stood there. False: nobody waits."""
        if question is not self._asked:
            return False
        self._asked = None
        if question.wants_others:
            found = (suggestion, *others)
            self._others = [other for other in found if other and self._standing and other.text != self._standing.text]
            self._show_next()
        else:
            self._standing = suggestion
        return True

    def next(self) -> Question | None:
        """Show another suggestion in the place of this one, in turn; if none is known yet, returns what to ask."""
        if self.shown is None:
            return None
        if not self._others:
            self._asked = Question(self._before, self._after, wants_others=True)
            return self._asked
        self._show_next()
        return None

    def _show_next(self) -> None:
        if self._others and self._standing:
            self._others.append(self._standing)
            self._standing = self._others.pop(0)

    def dismiss(self) -> None:
        """Show nothing here, nor while what was shown is typed all the same."""
        self._is_dismissed = self._standing is not None
        self._asked = None

    def take(self) -> str:
        """All that is shown, to be inserted now."""
        return self._take(self.text)

    def take_word(self) -> str:
        """The same of its next word, or of the signs before that."""
        found = WORD.match(self.text)
        return self._take(found[0] if found else self.text)

    def take_line(self) -> str:
        """The same of its next line."""
        found = LINE.match(self.text)
        return self._take(found[0] if found else self.text)

    def _take(self, text: str) -> str:
        if text:
            self.n_taken += 1
            self.n_taken_chars += len(INDENTATION.sub("", text))
        return text

    def _rest(self, before: str, after: str) -> Suggestion | None:
        """What is left of the suggestion, if no more than its beginning was inserted since."""
        if self._standing is None or after != self._after:
            return None
        rest = typed_through(self._standing.text, self._before, before)
        return Suggestion(rest, self._standing.confidence) if rest is not None else None

    def _forget(self) -> None:
        self._standing = self._asked = None
        self._others = []
        self._is_dismissed = False
