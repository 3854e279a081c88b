"""Insertion: check, character by character, whether inserting a text keeps strings and brackets balanced.

The rule, for a text T inserted between `before` and `after`, where `after` may start with characters that the editor
has inserted automatically:

1. Whole: T ends every string, replacement field and comment that it opens (a line comment ends with the line). T closes
   no bracket that is not open, has no line end in a single-line string, and no backslash in code except before a line
   end. Everything that `after` closes is still open after T, with nothing else on top: closing quotes and brackets
   close what they closed before. If `after` closes nothing, T may leave brackets open, and close open ones.
2. By line: T could end at each of its line ends, except for open brackets. So no line ends in a string or field that
   T opens, or in a line continuation.
3. By word: the rest of T stays visible after a partial accept, and completes what the part has started. So no prefix
   of T may close, escape or comment out text after the cursor. Editors split between words and symbols: in a string
   that `after` closes, there is no backslash before a letter, digit or blank, no quote before three of the same
   quotes at the cursor, and no `!` in a replacement field.

If `before` and `after` are unbalanced by themselves, they may stay so.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from tinycopilot.completion.lexical import Fault, Frame, State, advance, innermost, resolve, state_after
from tinycopilot.completion.syntaxes import BRACKETS, Syntax, syntax_of

LOOK_AHEAD_CHARS: Final = 10_000
"""Length of the text after the cursor that is searched for closing brackets."""
LINE_CHARS: Final = 1_000
"""Of a longer rest of the cursor's line, only this much is read: it is read again for each possible end."""
MAX_UNFINISHED: Final = 10
"""Maximum number of frames at the cursor that count as unfinished (see `claim`)."""
BROKEN: Final = Fault.UNMATCHED_CLOSER | Fault.UNTERMINATED_STRING | Fault.STRAY_BACKSLASH | Fault.BROKEN_FSTRING
"""Faults that an insertion must not introduce."""


_ASSIGNS: Final = re.compile(r"(?<![=!<>])= ?[^\s=!:}]\Z")


class Claim(NamedTuple):
    """Describes which of the frames open at the cursor are closed by the text after it."""

    n_base: int
    """Number of frames open where the text after the cursor starts; the others must be closed before it."""
    n_closed: int
    """Number of those frames, the innermost, that the text after the cursor closes."""
    n_spare: int
    """Number of frames just below them that nothing after the cursor closes; a suggestion may close these."""


class Insertion:
    """A text to insert, which grows by a character at a time. `before` and `after` have plain line ends."""

    def __init__(self, before: str, after: str, language: str = "python") -> None:
        self._syntax = syntax_of(language)
        state = state_after(before, self._syntax)
        self._frames = resolve(state, self._syntax).frames
        self._state = state._replace(n_kept=len(self._frames), faults=Fault.NONE)
        self._line = rest_of_line(after)
        self._has_rest = bool(after.partition("\n")[0].strip())
        self._claim = claim(self._frames, after[:LOOK_AHEAD_CHARS], len(after) > LOOK_AHEAD_CHARS, self._syntax)
        self._is_escape = state.tail.endswith("\\")  # of `before`: T completes it
        self._n_opened_in_text = 0
        self.is_broken = False
        """Whether no text that starts with this one may be inserted."""

    def push(self, character: str) -> None:
        """Append a character."""
        was, is_escaped = self._state, self._state.tail.endswith("\\")
        self._state = advance(was, character, self._syntax)
        self.is_broken = (
            self.is_broken
            or bool(self._state.faults & BROKEN)
            or (is_escaped and not self._is_escape and self._parts_escape(character))
            or (character == "\n" and (self._has_rest or self._is_in_own_string(was) or self._is_in_short_field()))
            or self._closes_too_much()
            or self._lengthens_quotes(character)
            or self._begins_conversion(character)
            or self._assigns_in_field()
            or self._nests_quotes()
            or self._closes_in_text(character)
        )
        self._is_escape = False

    @property
    def may_end(self) -> bool:
        """Whether the text so far may be inserted."""
        end, claimed = resolve(self._state, self._syntax), self._claim
        if self.is_broken or end.faults & BROKEN or self._is_half_a_token():
            return False
        own = {"line comment" if frame.closer == "\n" else frame.kind for frame in self._own(end)}
        if own & {"string", "field", "spec", "comment"} or ("line comment" in own and self._has_rest):
            return False
        depth = len(end.frames)
        if not claimed.n_closed and not self._has_rest:
            return True
        if depth == end.n_kept == len(self._frames) > claimed.n_base:  # an unfinished frame stays open
            return True
        if claimed.n_closed and (own or not self._may_be_open(depth)):
            return False
        return self._fits()

    @property
    def is_in_token(self) -> bool:
        """Whether the last characters may become another token with the next one: a comment, or triple quotes."""
        return self._state.tail[:1] not in ("", "\n", "\r")

    def _is_half_a_token(self) -> bool:
        """Whether the last character is part of an unfinished token: quotes, `!r`, `==`."""
        last, top = self._state.tail[-1:], innermost(self._state.frames)
        if top.kind == "field" and self._state.recent.endswith(("!", "=")):
            return True  # of `{x!r}`, `{x == y}`
        is_begun = top.kind == "string" and top.closer.startswith(last)
        return last in ("'", '"', "`") and (is_begun or self._line.startswith(last))

    def _may_be_open(self, depth: int) -> bool:
        claimed = self._claim
        if claimed.n_base - claimed.n_spare <= depth < claimed.n_base:  # do the remaining frames have the same closers?
            first, last = claimed.n_base - claimed.n_closed, claimed.n_base
            shift = claimed.n_base - depth
            wanted, left = self._frames[first:last], self._frames[first - shift : last - shift]
            return [frame.closer for frame in wanted] == [frame.closer for frame in left]
        return depth == claimed.n_base

    def _fits(self) -> bool:
        """Whether the rest of the line keeps its structure: quotes and braces may join those before them."""
        base = State(self._frames[: self._claim.n_base]).marked()
        wanted, found = (advance(state, self._line, self._syntax) for state in (base, self._state.marked()))
        if found.faults & BROKEN & ~wanted.faults:
            return False
        if not self._claim.n_closed:
            return True
        n_before = len(resolve(self._state, self._syntax).frames)
        return len(base.frames) - len(wanted.frames) == n_before - len(found.frames)

    def _is_in_own_string(self, state: State) -> bool:
        is_in_string = any(frame.kind in ("string", "field", "spec") for frame in self._own(state))
        return is_in_string or (state.tail.endswith("\\") and not self._is_escape)

    def _own(self, state: State) -> list[Frame]:
        """Frames that the insertion has opened. A quote at the end of `before` may now be part of triple quotes."""
        known = self._frames[: state.n_kept]
        pairs = enumerate(zip(known, state.frames, strict=False))
        n_same = next((i for i, (own, other) in pairs if own.closer != other.closer), len(known))
        return list(state.frames[n_same:])

    def _closes_too_much(self) -> bool:
        claimed = self._claim
        spare = 0 if self._has_rest else claimed.n_spare
        return claimed.n_closed > 0 and self._state.n_kept < claimed.n_base - spare

    def _base(self) -> Frame:
        """The innermost frame, if it was open at the cursor and may be open after T."""
        frames = self._state.frames
        return innermost(frames if len(frames) <= self._claim.n_base else ())

    def _parts_escape(self, character: str) -> bool:
        """Whether a partial accept may end at a backslash that would escape the closing quote."""
        return self._claim.n_closed > 0 and character not in "\\\"'{}" and self._base().kind == "string"

    def _lengthens_quotes(self, character: str) -> bool:
        """Whether a partial accept may end at a quote directly before the three that close the string."""
        quotes = 3 * character
        return self._line.startswith(quotes) and self._base().closer == quotes and self._base().kind == "string"

    def _begins_conversion(self, character: str) -> bool:
        """Whether a partial accept may end before the letter of `{x!r}`, in a replacement field that `after` closes."""
        return character == "!" and self._claim.n_closed > 0 and self._base().kind == "field"

    def _assigns_in_field(self) -> bool:
        """Whether a replacement field continues after `{x=`, where only `}`, `!r` or `:spec` are allowed."""
        return innermost(self._state.frames).kind == "field" and _ASSIGNS.search(self._state.recent) is not None

    def _is_in_short_field(self) -> bool:
        """Whether a replacement field of a single-line string is open: no line end there before Python 3.12."""
        kinds = ("field", "spec")
        return any(one.kind in kinds and one.form and not one.form.is_multiline for one in self._state.frames)

    def _nests_quotes(self) -> bool:
        """Whether the text is invalid in an f-string.

        Either a nested string has the quotes of the f-string, which end it before Python 3.12; or a replacement field
        contains a comment, which would comment out its end.
        """
        own = self._own(self._state)
        quotes = {one.form.closer for one in self._state.frames if one.kind in ("field", "spec") and one.form}
        return self._syntax.is_python and any(
            one.kind == "comment" or (one.kind == "string" and one.closer in quotes) for one in own if quotes
        )

    def _closes_in_text(self, character: str) -> bool:
        """Whether the character closes a bracket in a string or comment, where editors auto-close, too."""
        closer = self._line[:1]
        if closer in BRACKETS.values() and self._base().kind in ("string", "comment"):
            self._n_opened_in_text += (BRACKETS.get(character) == closer) - (character == closer)
        return self._n_opened_in_text < 0


def rest_of_line(after: str) -> str:
    """The rest of the cursor's line with a line end; or its first LINE_CHARS characters, if it is longer."""
    line = after[:LINE_CHARS].partition("\n")[0]
    return line if len(line) == LINE_CHARS else line + "\n"


@lru_cache(maxsize=64)
def claim(frames: tuple[Frame, ...], after: str, is_cut: bool, syntax: Syntax) -> Claim:
    """Return which of `frames`, open at the cursor, are closed by `after`; `is_cut`: the file continues after it.

    The innermost frames may be unfinished: in `f("x|)`, the string is, and the `)` closes the bracket. So the fewest
    innermost frames are removed that make the rest of the line valid.
    """
    line, first = rest_of_line(after), None
    for n_base in range(len(frames), max(-1, len(frames) - MAX_UNFINISHED), -1):
        if _is_right(frames[:n_base], line, after, syntax):
            n_left, is_right = _n_left(frames[:n_base], after, is_cut, syntax)
            found = Claim(n_base, n_base - n_left, n_left)
            if is_right:
                return found
            first = first or found
    return first or Claim(len(frames), 0, len(frames))


def _n_left(frames: tuple[Frame, ...], after: str, is_cut: bool, syntax: Syntax) -> tuple[int, bool]:
    """Number of `frames` that the text after the cursor leaves open, and whether that text can follow them."""
    state, n_left = State(frames).marked(), len(frames)
    lines = after.split("\n")
    for n, one in enumerate(lines, 1):
        ended = advance(state, one, syntax)
        n_left = min(n_left, _n_open(ended, syntax))
        if is_cut and n == len(lines):  # the line continues
            break
        state = advance(ended, "\n", syntax)
        if not n_left or state.faults:
            return n_left, not state.faults & BROKEN
    return 0 if is_cut else n_left, True  # text further away may close them all


def _n_open(state: State, syntax: Syntax) -> int:
    """Number of the initial frames that are still open, including frames ended only by a new statement."""
    end = resolve(state, syntax)
    return end.n_kept + len(state.frames) if end.faults & Fault.UNCLOSED_BRACKET else end.n_kept


def _is_right(frames: tuple[Frame, ...], line: str, after: str, syntax: Syntax) -> bool:
    """Whether the text after the cursor can follow `frames`, judging by the line and its strings."""
    top = innermost(frames)
    if top.kind == "string" and top.form and top.form.is_multiline:
        return after.count(top.closer) % 2 == 1  # an even number: the quotes of other strings
    if top.kind == "comment":
        return True
    ended = advance(State(frames).marked(), line, syntax)
    is_whole = line.endswith("\n")
    is_closed = top.kind == "bracket" or len(ended.frames) < len(frames) or not (is_whole and line.strip())
    return not ended.faults & BROKEN and is_closed
