"""Strings and comments by language: the tables of the lexer (lexical.py).

Python is complete. Other languages have the common forms; text and markup have brackets and quotes on one line.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import PurePath
from typing import Final

BRACKETS: Final[Mapping[str, str]] = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, eq=False)
class StringForm:
    """One kind of string."""

    closer: str
    is_multiline: bool = False
    escapes: bool = True
    """A backslash escapes the next character, also the closing quote."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """The start and the end of a replacement field."""
    is_python: bool = False
    """Doubled braces are text, and a replacement field may have a format specification."""
    has_names: bool = False
    r"""`\N{...}` is one character."""

    @cached_property
    def inside(self) -> re.Pattern[str]:
        """Everything except plain text."""
        braces = ("{{", "}}", "}") if self.fields and self.is_python else ()
        return _any_of((self.closer, *braces, *self.fields), self.escapes, not self.is_multiline)

    @cached_property
    def in_spec(self) -> re.Pattern[str]:
        """The same in a format specification."""
        return _any_of((self.closer, "{", "}"), False, not self.is_multiline)

    @cached_property
    def partial(self) -> frozenset[str]:
        """Tokens that may become other tokens with more characters."""
        braces = ("{{", "}}") if self.fields and self.is_python else ()
        return _prefixes((self.closer, *braces, *self.fields))

    @cached_property
    def partial_closers(self) -> frozenset[str]:
        """The same in a format specification."""
        return _prefixes((self.closer,))


@dataclass(frozen=True, eq=False)
class Syntax:
    """A language, or several similar ones."""

    comments: Mapping[str, str] = field(default_factory=dict)
    """The start and the end of comments."""
    strings: Mapping[str, StringForm] = field(default_factory=dict)
    """By opening quotes; for Python, `python_form` selects the form."""
    is_python: bool = False
    is_lenient: bool = False
    """A closing bracket may stand alone: `case` in shell, lists in text."""
    hash_begins_word: bool = False
    """`#` starts a comment only at the start of a word."""
    has_lifetimes: bool = False
    """A single quote starts a character or a lifetime (Rust)."""
    regex_form: StringForm | None = None
    """Regular expressions between slashes."""

    @cached_property
    def openers(self) -> tuple[str, ...]:
        """Openers of strings and comments."""
        return (*self.comments, *self.strings)

    @cached_property
    def code(self) -> re.Pattern[str]:
        """Every token that matters in code."""
        special = ("'",) * self.has_lifetimes + ("/",) * (self.regex_form is not None)
        return _any_of((*self.openers, *special, *"()[]{}"), self.is_python, self.is_python)

    @cached_property
    def field_code(self) -> re.Pattern[str]:
        """The same at the top level of a replacement field, where Python has a format specification."""
        return _any_of((*self.openers, *"()[]{}", *":" * self.is_python), self.is_python, self.is_python)

    @cached_property
    def partial(self) -> frozenset[str]:
        """Openers that may become other openers with more characters."""
        return _prefixes(self.openers)

    @cached_property
    def longest(self) -> int:
        """Maximum length of a token."""
        closers = (form.closer for form in self.strings.values())
        return max(map(len, ("{{", *self.openers, *closers, *self.comments.values())))


def _any_of(tokens: Iterable[str], has_backslash: bool, has_line_end: bool) -> re.Pattern[str]:
    """Find the first token in a text; the longest if several start there."""
    longest_first = sorted(set(tokens), key=len, reverse=True)
    pieces = [re.escape(token) for token in longest_first]
    return re.compile("|".join(pieces + [r"\\"] * has_backslash + [r"[\r\n]"] * has_line_end))


def _prefixes(tokens: Iterable[str]) -> frozenset[str]:
    return frozenset(token[:n] for token in tokens for n in range(1, len(token)))


_QUOTES: Final = ('"""', "'''", '"', "'")
_PREFIX = re.compile(r"(?:^|\W)(br|rb|b|u|r|fr|rf|f|tr|rt|t)$", re.IGNORECASE)


def python_form(quotes: str, before: str) -> StringForm:
    """The string that starts with `quotes`; `before` ends with its prefix, if it has one."""
    prefix = _PREFIX.search(before)
    letters = prefix[1].lower() if prefix else ""
    return _PYTHON_FORMS[quotes, "f" in letters or "t" in letters, "r" not in letters]


_PYTHON_FORMS: Final = {
    (quotes, has_fields, is_cooked): StringForm(
        quotes,
        is_multiline=len(quotes) == 3,
        fields={"{": "}"} if has_fields else {},
        is_python=True,
        has_names=has_fields and is_cooked,
    )
    for quotes in _QUOTES
    for has_fields in (False, True)
    for is_cooked in (False, True)
}
_ONE_LINE: Final = {quote: StringForm(quote) for quote in "\"'"}
_THREE: Final = {quotes: StringForm(quotes, is_multiline=True) for quotes in _QUOTES[:2]}
_SLASHES: Final = {"//": "\n", "/*": "*/"}
_HASH: Final = {"#": "\n"}
_TEMPLATE: Final = StringForm("`", is_multiline=True, fields={"${": "}"})
_RAW: Final = StringForm("`", is_multiline=True, escapes=False)
_SHELL: Final = {
    "'": StringForm("'", is_multiline=True, escapes=False),
    '"': StringForm('"', is_multiline=True, fields={"$(": ")", "${": "}"}),
    "`": StringForm("`", is_multiline=True),
}
_RUBY: Final = {
    '"': StringForm('"', is_multiline=True, fields={"#{": "}"}),
    "'": StringForm("'", is_multiline=True),
    "`": StringForm("`", is_multiline=True, fields={"#{": "}"}),
}
_LUA: Final = {**_ONE_LINE, "[[": StringForm("]]", is_multiline=True, escapes=False)}

PYTHON: Final = Syntax(_HASH, dict.fromkeys(_QUOTES, _PYTHON_FORMS['"', False, True]), is_python=True)
TEXT: Final = Syntax(strings={quote: StringForm(quote) for quote in '"`'}, is_lenient=True)
_C: Final = Syntax(_SLASHES, _ONE_LINE)
_JAVA: Final = Syntax(_SLASHES, {**_ONE_LINE, '"""': _THREE['"""']})
_JAVASCRIPT: Final = Syntax(_SLASHES, {**_ONE_LINE, "`": _TEMPLATE}, regex_form=StringForm("/"))
_HASHES: Final = Syntax(_HASH, {**_ONE_LINE, **_THREE})
_CSS: Final = Syntax({"/*": "*/"}, _ONE_LINE)

_SYNTAXES: Final[Mapping[str, Syntax]] = {
    "python": PYTHON,
    **dict.fromkeys(("c", "cpp", "objective-c", "php", "zig", "jsonc", "json"), _C),
    **dict.fromkeys(("csharp", "dart", "groovy", "java", "kotlin", "scala", "swift"), _JAVA),
    **dict.fromkeys(("javascript", "javascriptreact", "typescript", "typescriptreact"), _JAVASCRIPT),
    "go": Syntax(_SLASHES, {**_ONE_LINE, "`": _RAW}),
    "rust": Syntax(_SLASHES, {'"': StringForm('"', is_multiline=True)}, has_lifetimes=True),
    "fsharp": Syntax({"//": "\n", "(*": "*)"}, {'"': StringForm('"', is_multiline=True)}, has_lifetimes=True),
    "css": _CSS,
    **dict.fromkeys(("less", "scss"), _C),
    "lua": Syntax({"--": "\n", "--[[": "]]"}, _LUA),
    "sql": Syntax({"--": "\n", "/*": "*/"}, {quote: StringForm(quote, True, escapes=False) for quote in "\"'"}),
    **dict.fromkeys(("haskell", "elm"), Syntax({"--": "\n", "{-": "-}"}, {'"': _ONE_LINE['"']}, has_lifetimes=True)),
    **dict.fromkeys(("ada", "vhdl"), Syntax({"--": "\n"}, {'"': StringForm('"', escapes=False)}, has_lifetimes=True)),
    **dict.fromkeys(
        ("bash", "sh", "shellscript", "zsh"), Syntax(_HASH, _SHELL, is_lenient=True, hash_begins_word=True)
    ),
    "ruby": Syntax(_HASH, _RUBY),
    **dict.fromkeys(("coffeescript", "elixir", "julia", "nim", "toml"), _HASHES),
    **dict.fromkeys(
        ("cmake", "dockerfile", "make", "makefile", "powershell"), Syntax(_HASH, _ONE_LINE, is_lenient=True)
    ),
    **dict.fromkeys(("perl", "r"), Syntax(_HASH, _ONE_LINE)),
    "yaml": Syntax(_HASH, _ONE_LINE, is_lenient=True, hash_begins_word=True),
}
"""By LSP's language identifiers; any other language is TEXT."""

_SUFFIXES: Final[Mapping[str, str]] = {
    "": "python", ".py": "python", ".pyi": "python", ".pyw": "python",
    ".c": "c", ".h": "c", ".cc": "cpp", ".cpp": "cpp", ".hpp": "cpp", ".m": "objective-c", ".zig": "zig",
    ".cs": "csharp", ".dart": "dart", ".groovy": "groovy", ".java": "java", ".kt": "kotlin", ".scala": "scala",
    ".swift": "swift", ".js": "javascript", ".cjs": "javascript", ".mjs": "javascript", ".jsx": "javascriptreact",
    ".ts": "typescript", ".mts": "typescript", ".tsx": "typescriptreact", ".go": "go", ".rs": "rust", ".fs": "fsharp",
    ".css": "css", ".less": "less", ".scss": "scss", ".lua": "lua", ".sql": "sql", ".hs": "haskell", ".elm": "elm",
    ".adb": "ada", ".vhd": "vhdl", ".sh": "shellscript", ".bash": "shellscript", ".zsh": "shellscript", ".rb": "ruby",
    ".coffee": "coffeescript", ".ex": "elixir", ".exs": "elixir", ".jl": "julia", ".nim": "nim", ".toml": "toml",
    ".cmake": "cmake", ".mk": "make", ".ps1": "powershell", ".pl": "perl", ".r": "r", ".yaml": "yaml", ".yml": "yaml",
    ".json": "json", ".php": "php",
}  # fmt: skip


def syntax_of(language: str) -> Syntax:
    """The syntax of a language, by LSP's identifier."""
    return _SYNTAXES.get(language, TEXT)


@lru_cache(maxsize=64)
def language_of(document: str | None, said: str = "") -> str:
    """The language of a document: `said`, the editor's, if it is known here; otherwise by the document's name.

    A document without a suffix and language counts as Python.
    """
    suffix = PurePath(document or "").suffix.lower()
    return said if said in _SYNTAXES or (said and not suffix) else _SUFFIXES.get(suffix, "plaintext")
