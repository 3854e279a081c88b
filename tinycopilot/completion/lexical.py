"""The lexer: whether the cursor is in code, a comment or a string, and which brackets are open.

It is complete for Python; other languages have tables (syntaxes.py). It is incremental:
`advance(advance(state, a), b)` is `advance(state, a + b)`, so the state after a document is cached in chunks, and a
keystroke costs the last chunk only. For Python it handles prefixes, escapes, triple quotes, f-strings and t-strings
nested as in Python 3.12 (PEP 701), comments and line continuations. Not supported: heredocs outside of shell and Ruby,
regular expressions outside of JavaScript and Ruby, and some forms of raw strings.
"""

import re
from collections.abc import Sequence
from enum import Flag
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from tinycopilot.completion.syntaxes import BRACKETS, StringForm, Syntax, heredoc_form, prefixes, python_form, syntax_of

Context = Literal["code", "comment", "string"]
Kind = Literal["bracket", "string", "field", "spec", "comment"]

LOOK_BACK_CHARS: Final = 100_000
"""A longer text is read from a line at Python's top level within this distance of the cursor; failing that, from the
first line there that starts a function or class.

Wrong if that line is part of a longer string, or if a string is longer than this.
"""
CHUNK_CHARS: Final = 1_024
"""The state is cached at each multiple of this offset."""
MAX_DEPTH: Final = 200
"""Maximum number of frames kept from one chunk to the next: the innermost."""
N_RECENT: Final = 8
"""Characters of look-behind: a string's prefix and the character before it, a keyword before a regular expression, or
the neighbors of an equals sign."""

QUOTES: Final = ("'", '"')

_TOP_LEVEL = re.compile(r"^(?:def|class|async def|import|from|@\w+|if __name__)\b", re.MULTILINE)
_BLOCK = re.compile(r"^[ \t]+(?:@\w+|(?:(?:async )?def|class) \w+ ?[(:\[])", re.MULTILINE)
_STATEMENT = re.compile(
    r"[ \t]*(?:assert|async[ ]def|break|class|continue|def|del|elif|except|finally|global|import|nonlocal|pass|raise"
    r"|return|try|while|with)\b"
)
_LINE_BEGUN = re.compile(r"[ \t]{0,100}[a-z]{0,8} ?[a-z]{0,3}")
_ENDS_LINE = "\r\n"
_LIFETIME_OR_CHAR = re.compile(r"'(?:\\[^\r\n][^\r\n']{0,8}|[^\\\r\n'])'")
_MAX_CHAR_LITERAL = 12
_BEFORE_REGEX = re.compile(r"(?:[(,=:\[!&|?{;\n~]|=>|\b(?:return|typeof|case|when|if|unless|and|or|not))[ \t]*\Z")
_HEREDOC_BEGUN = re.compile(r"<<[-~]?[ \t]*['\"\\`]?\w*")
_RAW_PREFIX = re.compile(r"(?:^|\W)[bc]?r\Z")
_PLAIN = StringForm("")
_LINE_END = re.compile(r"[\r\n]")


class Fault(Flag):
    """Errors in a text."""

    NONE = 0
    UNMATCHED_CLOSER = 1
    UNTERMINATED_STRING = 2
    """A single-line string with a line end."""
    STRAY_BACKSLASH = 4
    """A backslash in code that is not at a line end, or at the end of the text."""
    BROKEN_FSTRING = 8
    """A single closing brace, an empty replacement field, or one that is open at the end of its string."""
    UNCLOSED_BRACKET = 16
    """A statement started inside brackets, which count as closed."""


class Frame(NamedTuple):
    """An open string, bracket, comment or replacement field."""

    kind: Kind
    closer: str
    form: StringForm | None = None
    """Form of the string; for a replacement field or format specification, of the string that contains it."""


_TOP: Final = Frame("bracket", "")


def innermost(frames: Sequence[Frame]) -> Frame:
    """The innermost of the open frames; outside of all frames, code is as in a bracket that nothing closes."""
    return frames[-1] if frames else _TOP


class State(NamedTuple):
    """The lexical state at the end of a text."""

    frames: tuple[Frame, ...] = ()
    """Open frames, the innermost last."""
    tail: str = ""
    """The last characters, if their meaning depends on the next one: a backslash, or quotes that may become three."""
    recent: str = "\n"
    """At most N_RECENT characters before `tail`."""
    n_kept: int = 0
    """Minimum number of frames since `marked`: this many, the outermost, were open all the time."""
    faults: Fault = Fault.NONE
    """Faults since `marked`."""
    heredoc: str = ""
    """The word that ends the heredoc that begins with the next line; "" if there is none."""

    def marked(self) -> "State":
        """The same state, counting `n_kept` from here."""
        return self._replace(n_kept=len(self.frames), faults=Fault.NONE)

    @property
    def context(self) -> Context:
        """The kind of the innermost frame; a replacement field is code. For states without a tail."""
        kind = innermost(self.frames).kind
        return "comment" if kind == "comment" else "string" if kind in ("string", "spec") else "code"


def is_within(character: str, following: str) -> bool:
    """Whether the place between two characters is inside a word, or inside a pair of quotes; `following` may be ""."""
    is_in_word = all(one.isalnum() or one == "_" for one in (character, following))
    return is_in_word or (character in QUOTES and character == following)


def lexical_context(before: str, language: str = "python") -> Context:
    """Whether a cursor after `before` is in code, a comment or a string; a string's prefix and first quote are code."""
    syntax = syntax_of(language)
    return resolve(state_after(before, syntax), syntax).context


def state_after(before: str, syntax: Syntax) -> State:
    """The state after `before`, of which at most LOOK_BACK_CHARS and a chunk are read."""
    start = max(0, len(before) - LOOK_BACK_CHARS) // CHUNK_CHARS * CHUNK_CHARS
    if start:
        line = syntax.is_python and (_TOP_LEVEL.search(before, start) or _BLOCK.search(before, start))
        start = line.start() if line else before.find("\n", start) + 1 or start
    state = State()
    while start < len(before):
        end = (start // CHUNK_CHARS + 1) * CHUNK_CHARS
        if end > len(before):
            return advance(state, before[start:], syntax)
        state, start = _after_chunk(state, before[start:end], syntax), end
    return state


@lru_cache(maxsize=1_024)
def _after_chunk(state: State, chunk: str, syntax: Syntax) -> State:
    after = advance(state, chunk, syntax)
    return after._replace(frames=after.frames[-MAX_DEPTH:]).marked()


def advance(state: State, text: str, syntax: Syntax) -> State:
    """The state after `text`, given the state before it. Linear in the text."""
    return _Scanner(state, text, syntax, is_final=False).run()


def resolve(state: State, syntax: Syntax) -> State:
    """The state if the text ends here, with its tail resolved. A pending backslash is a fault."""
    return _Scanner(state, "", syntax, is_final=True).run() if state.tail else state


class _Scanner:
    """Reads a text from one state to the next. Each `_in_...` reads from an offset, and returns the next one.

    If more text is needed to decide, it returns `~at`: the text from `at` on is the tail.
    """

    def __init__(self, state: State, text: str, syntax: Syntax, *, is_final: bool) -> None:
        self.text = state.tail + text
        self.syntax, self.is_final = syntax, is_final
        self.frames = list(state.frames)
        self.recent, self.n_kept, self.faults, self.heredoc = state[2:]

    def run(self) -> State:
        at, n = 0, len(self.text)
        while at < n:
            kind = innermost(self.frames).kind
            if kind in ("string", "spec"):
                after = self._in_string(at)
            elif kind == "comment":
                after = self._in_comment(at)
            else:
                after = self._in_code(at)
            if after < 0:
                at = ~after
                break
            at = after
        return State(tuple(self.frames), self.text[at:], self._before(at), self.n_kept, self.faults, self.heredoc)

    def _pop(self) -> Frame:
        frame = self.frames.pop()
        self.n_kept = min(self.n_kept, len(self.frames))
        return frame

    def _before(self, at: int) -> str:
        """The last characters before an offset."""
        return (self.recent + self.text[max(0, at - N_RECENT) : at])[-N_RECENT:]

    def _nothing_more(self, at: int, partial: frozenset[str]) -> int:
        """The end of the text; its last characters are the tail if they may start a token."""
        if not self.is_final:
            n = len(self.text)
            for first in range(max(at, n - self.syntax.longest + 1), n):
                if self.text[first:] in partial:
                    return ~first
        return len(self.text)

    def _in_code(self, at: int) -> int:
        text, syntax = self.text, self.syntax
        found = (syntax.field_code if innermost(self.frames).kind == "field" else syntax.code).search(text, at)
        if found is None:
            return self._nothing_more(at, syntax.partial)
        start, end, token = found.start(), found.end(), found[0]
        if not self.is_final and len(text) - start < syntax.longest and text[start:] in syntax.partial:
            return ~start
        if token in BRACKETS:
            self.frames.append(Frame("bracket", BRACKETS[token]))
        elif token in ")]}":
            self._close(token, start)
        elif token in _ENDS_LINE:
            return self._end_line(start, end)
        elif token == "\\":
            return self._continue_line(start) if syntax.is_python else self._escape(start, _PLAIN)
        elif token == ":":
            self.frames[-1] = Frame("spec", "}", self.frames[-1].form)
        elif token in syntax.comments:
            if token != "#" or not syntax.hash_begins_word or self._before(start)[-1:] in tuple(" \t\r\n;&|("):
                self.frames.append(Frame("comment", syntax.comments[token]))
        elif token == "/":
            before = self._before(start)
            is_end_of_tag = text.startswith(">", end) and before.rstrip(" \t").endswith("\n")  # of JSX
            if _BEFORE_REGEX.search(before) and not is_end_of_tag:
                self.frames.append(Frame("string", "/", syntax.regex_form))
        elif token == "<<":
            return self._begin_heredoc(start)
        elif token == "'" and syntax.has_lifetimes:
            return self._lifetime_or_char(start)
        else:
            before = self._before(start)
            form = python_form(token, before) if syntax.is_python else syntax.strings[token]
            if syntax.raw_form and token == '"' and _RAW_PREFIX.search(before):
                form = syntax.raw_form
            self.frames.append(Frame("string", form.closer, form))
        return end

    def _close(self, bracket: str, at: int) -> None:
        """Close the frame of `bracket`, or the nearest bracket that it may match."""
        if innermost(self.frames).closer == bracket:
            frame = self._pop()
            is_empty = self._before(at).rstrip().endswith("{")
            if frame.kind == "field" and self.syntax.is_python and is_empty:
                self.faults |= Fault.BROKEN_FSTRING
            return
        i = len(self.frames) - 1
        while i >= 0 and self.frames[i].kind == "bracket" and self.frames[i].closer != bracket:
            i -= 1
        is_open = i >= 0 and self.frames[i].closer == bracket
        if not self.syntax.is_lenient or is_open:
            self.faults |= Fault.UNMATCHED_CLOSER
        if is_open:
            while len(self.frames) > i:
                self._pop()

    def _end_line(self, at: int, end: int) -> int:
        """End a line of code, and start a heredoc or close brackets if the next line starts a statement inside them.

        They were left open by mistake; otherwise all code below would count as inside them.
        """
        if self.heredoc:
            self.frames.append(Frame("string", self.heredoc, heredoc_form(self.heredoc)))
            self.heredoc = ""
            return at
        if not self.frames or not self.syntax.is_python:
            return end
        if not self.is_final and _LINE_BEGUN.fullmatch(self.text, end):
            return ~at
        if _STATEMENT.match(self.text, end):
            while self.frames and not ((form := self.frames[-1].form) and form.is_multiline):
                self._pop()
                self.faults |= Fault.UNCLOSED_BRACKET
        return end

    def _begin_heredoc(self, at: int) -> int:
        assert self.syntax.heredoc is not None
        if not self.is_final and _HEREDOC_BEGUN.fullmatch(self.text, at):
            return ~at
        found = self.syntax.heredoc.match(self.text, at)
        self.heredoc = found[1] if found else self.heredoc
        return found.end() if found else at + len("<<")

    def _continue_line(self, at: int) -> int:
        following = self.text[at + 1 : at + 3]
        if following in ("", "\r") and not self.is_final:
            return ~at
        if following[:1] and following[0] in _ENDS_LINE:
            return at + 1 + len(following if following == "\r\n" else following[0])
        self.faults |= Fault.STRAY_BACKSLASH
        return at + 1

    def _lifetime_or_char(self, at: int) -> int:
        if literal := _LIFETIME_OR_CHAR.match(self.text, at):
            return literal.end()
        rest = self.text[at : at + _MAX_CHAR_LITERAL]
        is_begun = len(rest) < (_MAX_CHAR_LITERAL if rest[1:2] == "\\" else 3) and not set(rest) & set(_ENDS_LINE)
        return ~at if is_begun and not self.is_final else at + 1

    def _in_string(self, at: int) -> int:
        text, (kind, closer, form) = self.text, self.frames[-1]
        assert form is not None
        pattern, partial = form.inside, form.partial
        if kind == "spec":
            pattern, partial = form.in_spec, prefixes((form.closer,))
        found = pattern.search(text, at)
        line = text.rfind("\n", at) if form.is_heredoc and not self.is_final else -1
        if line >= 0 and form.closer.startswith(text[line:].lstrip()) and (found is None or found.start() == line):
            return ~line  # may become the last line of the heredoc
        if found is None:
            return self._nothing_more(at, partial)
        start, end, token = found.start(), found.end(), found[0]
        if not self.is_final and len(text) - start < self.syntax.longest and text[start:] in partial:
            return ~start
        if token == closer or form.is_heredoc:
            self._pop()
        elif kind == "spec" and token != "{":  # the string ends before the field does
            self.faults |= Fault.BROKEN_FSTRING
            self._pop()
            self._pop()
            return end if token == form.closer else start
        elif token == "\\":
            return self._escape(start, form)
        elif token in _ENDS_LINE:
            self.faults |= Fault.UNTERMINATED_STRING
            self._pop()
            return start
        elif token in form.nested:
            self.frames.append(Frame("string", form.nested[token].closer, form.nested[token]))
        elif token in form.fields:
            self.frames.append(Frame("field", form.fields[token], form))
        elif token == "}":
            self.faults |= Fault.BROKEN_FSTRING
        return end  # doubled braces are text

    def _escape(self, at: int, form: StringForm) -> int:
        following = self.text[at + 1 : at + 3]
        needs_more = following in ("", "\r") or (following == "N" and form.has_names)
        if needs_more and not self.is_final:
            return ~at
        if not following:
            self.faults |= Fault.STRAY_BACKSLASH
            return at + 1
        if following == "\r\n":
            return at + 3
        if form.fields and form.is_python and following[0] in "{}":
            return at + 1
        if following == "N{" and form.has_names:
            end = self.text.find("}", at, at + 100)
            if end < 0 and len(self.text) < at + 100 and not self.is_final:
                return ~at
            return end + 1 if end >= 0 else at + 3
        return at + 2

    def _in_comment(self, at: int) -> int:
        closer = self.frames[-1].closer
        if closer == "\n":
            found = _LINE_END.search(self.text, at)
            if found is None:
                return len(self.text)
            self._pop()
            return found.start()
        end = self.text.find(closer, at)
        if end < 0:
            return self._nothing_more(at, prefixes((closer,)))
        self._pop()
        return end + len(closer)
