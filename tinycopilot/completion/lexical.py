"""Whether a cursor stands in code, in a comment or in a string, told from the text before it."""

import re
from collections import deque
from typing import Literal

Where = Literal["code", "comment", "string"]

LOOK_BACK_CHARS = 20_000
"""In a longer text no more than this is looked at, from a line on that looks like Python at its top level.

That is wrong where such a line stands in a longer string, or where a string is longer than this.
"""

_TOP_LEVEL = re.compile(r"^(?:def|class|async def|import|from|@\w+|if __name__)\b", re.MULTILINE)


def _string(quotes: str) -> str:
    """A string from its opening quotes on; the group is its closing ones, which it lacks where it goes on."""
    plain = rf"[^\\{quotes[0]}]" if len(quotes) == 3 else rf"[^\\{quotes}\r\n]"
    escaped = r"\\(?:\r\n|.)"
    no_end = rf"|{quotes[0]}(?!{quotes[1:]})" if len(quotes) == 3 else ""
    return rf"{quotes}{plain}*+(?:(?:{escaped}{no_end}){plain}*+)*+\\?({quotes})?"


_TOKEN = re.compile("|".join((r"(#[^\r\n]*+)", *map(_string, ('"""', "'''", '"', "'")))), re.DOTALL)
_COMMENT = 1
"""The first group is a comment's; the others close a string."""

HASH, SLASHES, DASHES = "#", "//", "--"
_COMMENTS = {
    **dict.fromkeys(("c", "cpp", "csharp", "dart", "fsharp", "go", "groovy", "java", "javascript"), SLASHES),
    **dict.fromkeys(("javascriptreact", "jsonc", "kotlin", "less", "objective-c", "php", "rust", "scala"), SLASHES),
    **dict.fromkeys(("scss", "swift", "typescript", "typescriptreact", "zig"), SLASHES),
    **dict.fromkeys(("ada", "elm", "haskell", "lua", "sql", "vhdl"), DASHES),
    **dict.fromkeys(("bash", "cmake", "coffeescript", "dockerfile", "elixir", "julia", "make", "makefile"), HASH),
    **dict.fromkeys(("nim", "perl", "powershell", "r", "ruby", "sh", "shellscript", "toml", "yaml", "zsh"), HASH),
}
"""Of the languages, by the editors' names, what begins a comment that ends with its line."""
_APOSTROPHES = frozenset(("ada", "elm", "fsharp", "haskell", "rust", "scala", "vhdl"))
"""Here a single quote is no string's: it is a lifetime's, or a part of a name."""


def lexical_context(before: str, language: str = "python") -> Where:
    """Where a cursor stands that has `before` before it; a string's prefix, and its first quote's left, are code.

    Python's tokens are known, f-strings being strings like any other. Of other languages it is known what begins a
    comment that ends with the line, and quotes are looked for on the cursor's line alone.
    """
    return _where_in_python(before) if language == "python" else _where_in_line(before, language)


def _where_in_python(before: str) -> Where:
    start = max(0, len(before) - LOOK_BACK_CHARS)
    if start and (line := _TOP_LEVEL.search(before, start)):
        start = line.start()
    last = next(iter(deque(_TOKEN.finditer(before, start), maxlen=1)), None)
    if last is None or last.end() < len(before):
        return "code"
    if last.lastindex is None:
        return "string"
    return "comment" if last.lastindex == _COMMENT else "code"


def _where_in_line(before: str, language: str) -> Where:
    line = re.split(r"[\r\n]", before[-LOOK_BACK_CHARS:])[-1]
    quotes = r'["`]' if language in _APOSTROPHES else r"""["'`]"""
    comment = re.escape(_COMMENTS[language]) if language in _COMMENTS else "(?!)"  # which nothing matches
    beginning = re.compile(rf"({comment})|{quotes}")
    at = 0
    while found := beginning.search(line, at):
        if found[1]:
            return "comment"
        closing = re.compile(rf"(?:\\.|[^\\{found[0]}])*+{found[0]}").match(line, found.end())
        if closing is None:
            return "string"
        at = closing.end()
    return "code"
