"""A document's language, and each language's strings and comments, for the lexer (lexical.py).

Python is complete. Other languages have the common forms; text and markup have brackets and quotes on one line. Code
embedded in markup (scripts, styles, code in Markdown) is read as markup.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
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
    """Start -> end of a replacement field."""
    is_python: bool = False
    """Doubled braces are text, and a replacement field may have a format specification."""
    has_names: bool = False
    r"""`\N{...}` is one character."""
    literals: tuple[str, ...] = ()
    """Escapes that start with the closing quotes."""
    nested: Mapping[str, "StringForm"] = field(default_factory=dict, repr=False)
    """Start -> form of a part in which the closing quotes are text."""
    is_heredoc: bool = False
    """`closer` is a word that starts a line."""

    @cached_property
    def _tokens(self) -> tuple[str, ...]:
        braces = ("{{", "}}", "}") if self.fields and self.is_python else ()
        return (self.closer, *braces, *self.fields, *self.literals, *self.nested)

    @cached_property
    def inside(self) -> re.Pattern[str]:
        """Everything except plain text."""
        if self.is_heredoc:
            return re.compile(rf"\n[ \t]*{self.closer}(?!\w)")
        return _any_of(self._tokens, self.escapes, not self.is_multiline)

    @cached_property
    def in_spec(self) -> re.Pattern[str]:
        """Everything except plain text, in a format specification."""
        return _any_of((self.closer, "{", "}"), False, not self.is_multiline)

    @cached_property
    def partial(self) -> frozenset[str]:
        """Tokens that may become other tokens with more characters."""
        return prefixes(self._tokens)


@dataclass(frozen=True, eq=False)
class Syntax:
    """A language, or several similar ones."""

    comments: Mapping[str, str] = field(default_factory=dict)
    """Start -> end of a comment."""
    strings: Mapping[str, StringForm] = field(default_factory=dict)
    """Opening quotes -> form; for Python, `python_form` selects the form."""
    is_python: bool = False
    is_lenient: bool = False
    """A closing bracket may stand alone: `case` in shell, lists in text."""
    escapes_code: bool = False
    """A backslash outside of strings escapes the next character."""
    hash_begins_word: bool = False
    """`#` starts a comment only at the start of a word."""
    has_lifetimes: bool = False
    """A single quote starts a character or a lifetime (Rust)."""
    regex_form: StringForm | None = None
    """Regular expressions between slashes."""
    raw_form: StringForm | None = None
    """Strings with the prefix `r`."""
    heredoc: re.Pattern[str] | None = None
    """Start of a heredoc: `<<`, and the word that ends it as a group."""

    @cached_property
    def openers(self) -> tuple[str, ...]:
        """Openers of strings, comments and heredocs."""
        return (*self.comments, *self.strings, *("<<",) * (self.heredoc is not None))

    @cached_property
    def code(self) -> re.Pattern[str]:
        """Every token that matters in code."""
        special = ("'",) * self.has_lifetimes + ("/",) * (self.regex_form is not None)
        return self._any_of_code(*special)

    @cached_property
    def field_code(self) -> re.Pattern[str]:
        """Every token that matters at the top level of a replacement field, where a format specification may start."""
        return self._any_of_code(*":" * self.is_python)

    def _any_of_code(self, *special: str) -> re.Pattern[str]:
        has_backslash, has_line_end = self.is_python or self.escapes_code, self.is_python or self.heredoc is not None
        return _any_of((*self.openers, *special, *"()[]{}"), has_backslash, has_line_end)

    @cached_property
    def partial(self) -> frozenset[str]:
        """Openers that may become other openers with more characters."""
        return prefixes((*self.openers, *("/>",) * (self.regex_form is not None)))

    @cached_property
    def longest(self) -> int:
        """Maximum length of a token."""
        inside = (token for form in self.strings.values() for token in (form.closer, *form.literals))
        return max(map(len, ("{{", *self.openers, *inside, *self.comments.values())))


def _any_of(tokens: Iterable[str], has_backslash: bool, has_line_end: bool) -> re.Pattern[str]:
    """Find the first token in a text; the longest if several start there."""
    longest_first = sorted(set(tokens), key=len, reverse=True)
    pieces = [re.escape(token) for token in longest_first]
    return re.compile("|".join(pieces + [r"\\"] * has_backslash + [r"[\r\n]"] * has_line_end))


@lru_cache(maxsize=64)
def heredoc_form(word: str) -> StringForm:
    """The form of a heredoc that ends with `word`."""
    return StringForm(word, is_multiline=True, is_heredoc=True)


@lru_cache(maxsize=64)
def prefixes(tokens: tuple[str, ...]) -> frozenset[str]:
    """The texts that become one of `tokens` with more characters."""
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
_raw = partial(StringForm, is_multiline=True, escapes=False)
_ONE_LINE: Final = {quote: StringForm(quote) for quote in "\"'"}
_DOUBLE: Final = {'"': _ONE_LINE['"']}
_LONG_DOUBLE: Final = {'"': StringForm('"', is_multiline=True)}
_NO_ESCAPES: Final = {quote: StringForm(quote, escapes=False) for quote in "\"'"}
_THREE: Final = {quotes: StringForm(quotes, is_multiline=True) for quotes in _QUOTES[:2]}
_SLASHES: Final = {"//": "\n", "/*": "*/"}
_HASH: Final = {"#": "\n"}
_DASHES: Final = {"--": "\n"}
_ML: Final = {"(*": "*)"}
_MARKUP: Final = {"<!--": "-->"}
_DOLLAR: Final = {"${": "}"}
_SHELL: Final = {
    "'": _raw("'"),
    "$'": StringForm("'", is_multiline=True),
    '"': StringForm('"', is_multiline=True, fields={"$(": ")", "${": "}"}),
    "`": StringForm("`", is_multiline=True),
}
_REGEX: Final = StringForm("/", nested={"[": StringForm("]")})


def _bracketed(sign: str, kinds: str) -> dict[str, StringForm]:
    """Strings between brackets, which may be nested, such as `%w[a b]`."""
    forms = dict[str, StringForm]()
    for opener, closer in BRACKETS.items():
        nested = dict[str, StringForm]()
        nested[opener] = form = StringForm(closer, is_multiline=True, nested=nested)
        forms |= {sign + kind + opener: form for kind in kinds.split(" ")}
    return forms


_RUBY: Final = {
    **_bracketed("%", " w W i I q Q r x s"),
    "%r!": StringForm("!"),
    "%r|": StringForm("|"),
    '"': StringForm('"', is_multiline=True, fields={"#{": "}"}),
    "'": StringForm("'", is_multiline=True),
    "`": StringForm("`", is_multiline=True, fields={"#{": "}"}),
}
_POD: Final = {f"\n={word}": "\n=cut" for word in ("pod", "head", "over", "item", "begin", "for", "encoding")}
_MULTILINE: Final = {quote: StringForm(quote, is_multiline=True) for quote in "\"'"}
_LUA: Final = {**_ONE_LINE, "[[": _raw("]]"), "[=[": _raw("]=]"), "[==[": _raw("]==]")}
_SQL: Final = {quote: _raw(quote) for quote in "\"'"}
_NIX: Final = {
    '"': StringForm('"', is_multiline=True, fields=_DOLLAR),
    "''": _raw("''", fields=_DOLLAR, literals=("''$", "''\\", "'''")),
}
_FIELDS: Final = {'"': StringForm('"', fields=_DOLLAR), "'": _ONE_LINE["'"]}
_PROSE: Final = {quote: StringForm(quote) for quote in '"`'}

PYTHON: Final = Syntax(_HASH, dict.fromkeys(_QUOTES, _PYTHON_FORMS['"', False, True]), is_python=True)
TEXT: Final = Syntax(strings=_PROSE, is_lenient=True)
_C: Final = Syntax(_SLASHES, _ONE_LINE)
_HTML: Final = Syntax(_MARKUP, _PROSE, is_lenient=True)
"""Also for embedded scripts and styles. Quotes are read as in prose, since an apostrophe may be part of a sentence."""


def _templates(opener: str, closer: str) -> Syntax:
    """HTML with comments of the template language, too."""
    return Syntax({**_MARKUP, opener: closer}, _PROSE, is_lenient=True)


_BY_LANGUAGES: Final[Mapping[str, Syntax]] = {
    "python cython mojo snakemake starlark bazel bzl": PYTHON,
    "c cpp objective-c objective-cpp objc objcpp cuda cuda-cpp opencl arduino zig d solidity glsl hlsl wgsl shaderlab"
    " gdshader proto proto3 thrift dot bicep prisma actionscript cue": _C,
    "php hack": Syntax(_SLASHES, _ONE_LINE, is_lenient=True),
    "csharp cs": Syntax(
        _SLASHES,
        {**_ONE_LINE, '"""': _raw('"""'), '@"': _raw('"', literals=('""',)), '@$"': _raw('"', literals=('""',))},
    ),
    "java swift apex vala haxe": Syntax(_SLASHES, {**_ONE_LINE, '"""': _THREE['"""']}),
    "kotlin": Syntax(_SLASHES, {**_FIELDS, '"""': _raw('"""', fields=_DOLLAR)}),
    "groovy dart": Syntax(
        _SLASHES, {**_FIELDS, **{quotes: StringForm(quotes, is_multiline=True, fields=_DOLLAR) for quotes in _THREE}}
    ),
    "scala": Syntax(_SLASHES, {**_DOUBLE, '"""': _raw('"""')}, has_lifetimes=True),
    "javascript javascriptreact typescript typescriptreact qml": Syntax(
        _SLASHES, {**_ONE_LINE, "`": StringForm("`", is_multiline=True, fields=_DOLLAR)}, regex_form=_REGEX
    ),
    "go v odin rescript": Syntax(_SLASHES, {**_ONE_LINE, "`": _raw("`")}),
    "rust gleam move": Syntax(
        _SLASHES, {**_LONG_DOUBLE, '#"': _raw('"#'), '##"': _raw('"##')}, has_lifetimes=True, raw_form=_raw('"')
    ),
    "ocaml": Syntax(_ML, {**_LONG_DOUBLE, "{|": _raw("|}")}, has_lifetimes=True),
    "fsharp": Syntax(
        {"//": "\n", **_ML}, {**_LONG_DOUBLE, '@"': _raw('"', literals=('""',)), '"""': _raw('"""')}, has_lifetimes=True
    ),
    "coq rocq": Syntax(_ML, _LONG_DOUBLE, has_lifetimes=True),
    "css": Syntax({"/*": "*/"}, _ONE_LINE),
    "less scss sass stylus": _C,
    "lua luau": Syntax({**_DASHES, "--[[": "]]", "--[=[": "]=]", "--[==[": "]==]"}, _LUA),
    "mysql": Syntax({**_DASHES, **_HASH, "/*": "*/"}, _MULTILINE),
    "sql pgsql plsql": Syntax({**_DASHES, "/*": "*/"}, _SQL),
    "haskell elm purescript idris agda": Syntax({"--": "\n", "{-": "-}"}, _DOUBLE, has_lifetimes=True),
    "lean lean4": Syntax({**_DASHES, "/-": "-/"}, _DOUBLE, has_lifetimes=True),
    "ada vhdl": Syntax(_DASHES, {'"': StringForm('"', escapes=False)}, has_lifetimes=True),
    "applescript": Syntax({**_DASHES, **_ML}, _DOUBLE),
    "verilog systemverilog": Syntax(_SLASHES, _DOUBLE),
    "pascal objectpascal delphi": Syntax({"//": "\n", **_ML}, {"'": _NO_ESCAPES["'"]}),
    "fortran fortran-modern FortranFreeForm": Syntax({"!": "\n"}, _NO_ESCAPES),
    "cobol": Syntax({"*>": "\n"}, _NO_ESCAPES, is_lenient=True),
    "vb basic vbnet": Syntax({"'": "\n"}, {'"': _NO_ESCAPES['"']}),
    "fish": Syntax(_HASH, _MULTILINE, is_lenient=True, escapes_code=True, hash_begins_word=True),
    "bash sh shellscript zsh ksh": Syntax(
        _HASH,
        _SHELL,
        is_lenient=True,
        escapes_code=True,
        hash_begins_word=True,
        heredoc=re.compile(r"<<-?[ \t]*['\"\\]?([A-Z_]\w*)['\"]?"),  # `1 << n` is a shift
    ),
    "powershell ps1": Syntax({"#": "\n", "<#": "#>"}, _ONE_LINE, is_lenient=True),
    "bat dosbatch": Syntax({"::": "\n"}, {'"': _NO_ESCAPES['"']}, is_lenient=True),
    "ruby crystal": Syntax(
        {**_HASH, "\n=begin": "\n=end"},
        _RUBY,
        regex_form=_REGEX,
        heredoc=re.compile(r"<<[-~]?['\"`]?([A-Z_]\w*)['\"`]?"),
    ),
    "perl perl6 raku": Syntax({**_HASH, **_POD}, _ONE_LINE, hash_begins_word=True),
    "julia": Syntax({"#": "\n", "#=": "=#"}, {**_LONG_DOUBLE, '"""': _THREE['"""']}, has_lifetimes=True),
    "elixir": Syntax(
        _HASH,
        {**_ONE_LINE, **_THREE, **_bracketed("~", "s S r R w W c C"), "~s|": StringForm("|"), "~r/": StringForm("/")},
    ),
    "nim toml gdscript coffeescript coffee graphql": Syntax(_HASH, {**_ONE_LINE, **_THREE}),
    "r": Syntax(_HASH, {**_MULTILINE, "`": _PROSE["`"]}),
    "awk rego puppet meson gn": Syntax(_HASH, _ONE_LINE),
    "cmake": Syntax(
        {**_HASH, "#[[": "]]"},
        {**_LONG_DOUBLE, "[[": _raw("]]"), "[=[": _raw("]=]")},
        is_lenient=True,
        escapes_code=True,
    ),
    "tcl": Syntax(_HASH, _DOUBLE, is_lenient=True, escapes_code=True, hash_begins_word=True),
    "dockerfile make makefile just": Syntax(_HASH, _ONE_LINE, is_lenient=True, escapes_code=True),
    "yaml dockercompose github-actions-workflow azure-pipelines ansible helm": Syntax(
        _HASH, _ONE_LINE, is_lenient=True, hash_begins_word=True
    ),
    "terraform hcl jsonnet": Syntax({"#": "\n", **_SLASHES}, {'"': StringForm('"', fields=_DOLLAR)}),
    "nix": Syntax({"#": "\n", "/*": "*/"}, _NIX),
    "clojure lisp commonlisp scheme racket elisp emacs-lisp janet fennel query": Syntax(
        {";": "\n", "#|": "|#"}, _LONG_DOUBLE, escapes_code=True
    ),
    "erlang prolog": Syntax({"%": "\n"}, {**_LONG_DOUBLE, "'": _ONE_LINE["'"]}),
    "matlab octave": Syntax({"%": "\n", "%{": "%}"}, {'"': _NO_ESCAPES['"']}),
    "asm asm-intel-x86-generic nasm arm autohotkey": Syntax({";": "\n"}, _DOUBLE, is_lenient=True),
    "wat": Syntax({";;": "\n", "(;": ";)"}, _DOUBLE),
    "vim viml": Syntax(strings={"'": _NO_ESCAPES["'"]}, is_lenient=True),  # `"` begins strings and comments
    "tex latex plaintex context": Syntax({"%": "\n"}, is_lenient=True, escapes_code=True),
    "html xhtml xml xsl vue svelte astro markdown mdx rmd quarto": _HTML,
    "handlebars html.handlebars mustache glimmer": _templates("{{!--", "--}}"),
    "jinja jinja-html jinja2 htmldjango django-html twig nunjucks liquid": _templates("{#", "#}"),
    "erb eruby html.erb heex eelixir": _templates("<%#", "%>"),
    "blade": _templates("{{--", "--}}"),
    "razor aspnetcorerazor cshtml": _templates("@*", "*@"),
    "gotmpl gohtmltmpl": _templates("{{/*", "*/}}"),
    "restructuredtext rst asciidoc asciidoctor org typst pug jade haml slim mermaid plantuml": TEXT,
}
"""Names of languages, separated by spaces -> syntax. VS Code and Vim name some languages differently."""

_SYNTAXES: Final[Mapping[str, Syntax]] = {
    language: syntax for languages, syntax in _BY_LANGUAGES.items() for language in languages.split()
} | dict.fromkeys(("json", "jsonc", "json5"), _C)
"""Name of a language -> syntax; all other languages use TEXT."""

WRITTEN: Final = frozenset(language for languages in _BY_LANGUAGES for language in languages.split())
"""Programming and markup languages that people write by hand: what `default` means in the `languages` setting.

Excluded are plain text, logs, data, commit messages, and files that may contain secrets (dotenv, INI, properties).
"""

_SUFFIXES: Final[Mapping[str, str]] = {
    suffix: language
    for language, suffixes in {
        "python": ".py .pyi .pyw .ipynb", "cython": ".pyx .pxd", "starlark": ".bzl .star",
        "c": ".c .h", "cpp": ".cc .cpp .cxx .hh .hpp .hxx .ino", "objective-c": ".m .mm", "cuda": ".cu .cuh",
        "zig": ".zig", "d": ".d", "solidity": ".sol", "glsl": ".glsl .vert .frag", "hlsl": ".hlsl", "wgsl": ".wgsl",
        "proto": ".proto", "thrift": ".thrift", "dot": ".dot .gv", "bicep": ".bicep", "prisma": ".prisma",
        "cue": ".cue",
        "php": ".php", "csharp": ".cs", "java": ".java", "swift": ".swift", "vala": ".vala", "haxe": ".hx",
        "kotlin": ".kt .kts", "groovy": ".groovy .gradle", "dart": ".dart", "scala": ".scala .sbt",
        "javascript": ".js .cjs .mjs", "javascriptreact": ".jsx", "typescript": ".ts .mts .cts",
        "typescriptreact": ".tsx", "qml": ".qml", "go": ".go", "v": ".v", "odin": ".odin", "rescript": ".res",
        "rust": ".rs", "gleam": ".gleam", "ocaml": ".ml .mli", "fsharp": ".fs .fsx", "css": ".css", "less": ".less",
        "scss": ".scss", "sass": ".sass", "stylus": ".styl", "lua": ".lua", "luau": ".luau", "sql": ".sql",
        "haskell": ".hs", "elm": ".elm", "purescript": ".purs", "idris": ".idr", "agda": ".agda", "lean": ".lean",
        "ada": ".adb .ads", "vhdl": ".vhd .vhdl", "systemverilog": ".sv .svh", "pascal": ".pas .pp", "delphi": ".dpr",
        "fortran": ".f90 .f95 .f03", "cobol": ".cob .cbl", "vb": ".vb .bas",
        "shellscript": ".sh .bash .zsh .ksh", "fish": ".fish", "powershell": ".ps1 .psm1", "bat": ".bat .cmd",
        "ruby": ".rb .rake",
        "crystal": ".cr", "perl": ".pl .pm", "raku": ".raku", "julia": ".jl", "elixir": ".ex .exs", "nim": ".nim",
        "toml": ".toml", "gdscript": ".gd", "coffeescript": ".coffee", "graphql": ".graphql .gql", "r": ".r",
        "awk": ".awk", "rego": ".rego", "cmake": ".cmake", "make": ".mk", "tcl": ".tcl", "yaml": ".yaml .yml",
        "terraform": ".tf .hcl", "jsonnet": ".jsonnet", "nix": ".nix", "clojure": ".clj .cljs .cljc .edn",
        "lisp": ".lisp .lsp .cl", "scheme": ".scm .ss", "racket": ".rkt", "elisp": ".el", "fennel": ".fnl",
        "erlang": ".erl .hrl", "prolog": ".pro", "asm": ".asm .s", "wat": ".wat", "vim": ".vim", "tex": ".tex .sty",
        "html": ".html .htm .xhtml", "xml": ".xml .xsl .xsd", "vue": ".vue", "svelte": ".svelte",
        "astro": ".astro", "markdown": ".md", "mdx": ".mdx", "rmd": ".rmd .qmd", "handlebars": ".hbs",
        "mustache": ".mustache", "jinja": ".j2 .jinja .jinja2", "twig": ".twig", "liquid": ".liquid", "erb": ".erb",
        "heex": ".heex", "razor": ".cshtml .razor", "gotmpl": ".tmpl .gotmpl", "restructuredtext": ".rst",
        "asciidoc": ".adoc", "org": ".org", "typst": ".typ", "pug": ".pug", "haml": ".haml", "slim": ".slim",
        "json": ".json", "jsonc": ".jsonc", "json5": ".json5", "jsonl": ".jsonl .ndjson", "csv": ".csv", "tsv": ".tsv",
        "plaintext": ".txt .text", "log": ".log .out", "diff": ".diff .patch", "dotenv": ".env",
        "ini": ".ini .cfg .conf",
        "properties": ".properties",
    }.items()
    for suffix in suffixes.split()
} | {"": "python"}  # fmt: skip


def syntax_of(language: str) -> Syntax:
    """The syntax of a language, by LSP's identifier."""
    return _SYNTAXES.get(language, TEXT)


def language_of_suffix(suffix: str) -> str | None:
    """The language of files with this suffix, such as ".py"; None if the suffix is unknown."""
    return _SUFFIXES.get(suffix.lower()) if suffix else None


def suffixes_of_written() -> tuple[str, ...]:
    """The suffixes of files in the languages that people write by hand (WRITTEN)."""
    return tuple(suffix for suffix, language in _SUFFIXES.items() if suffix and language in WRITTEN)


@lru_cache(maxsize=64)
def language_of(document: str | None, said: str = "") -> str:
    """Return the language of a document: `said` by the editor, if listed here; otherwise by the document's suffix.

    A document without a suffix and language counts as Python.
    """
    suffix = PurePath(document or "").suffix.lower()
    return said if said in _SYNTAXES or (said and not suffix) else _SUFFIXES.get(suffix, "plaintext")
