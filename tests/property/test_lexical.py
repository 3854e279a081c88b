"""The lexer against Python's tokenizer, at each offset of random programs and of the standard library."""

import io
import random
import re
import sys
import sysconfig
import tokenize
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycopilot.completion.lexical import (
    CHUNK_CHARS,
    LOOK_BACK_CHARS,
    Context,
    State,
    advance,
    lexical_context,
    resolve,
    state_after,
)
from tinycopilot.completion.syntaxes import PYTHON, syntax_of

INNER = st.text("ab #'\"\\\n\N{SNOWMAN}", max_size=6)


@st.composite
def strings(draw: st.DrawFn) -> str:
    """Strings of any kind except f-strings, whose tokens differ since Python 3.12."""
    prefix = draw(st.sampled_from(["", "r", "b", "Rb", "u"]))
    quotes = draw(st.sampled_from(['"', "'", '"""', "'''"]))
    return prefix + quotes + draw(INNER) + quotes


FSTRING_START, FSTRING_MIDDLE, FSTRING_END = (
    getattr(tokenize, name, None) for name in ("FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END")
)
"""Programs for Python 3.12 and later; before that an f-string is one token."""

LINES = st.lists(st.one_of(strings(), st.sampled_from(["x = ", "(", ")", "\\\n", "\n", " + y", '# it\'s "so"\n'])))


def plain_wheres(text: str) -> list[Context] | None:
    """The definition: the context at each offset; None if the program is invalid."""
    wheres: list[Context] = ["code"] * (len(text) + 1)
    starts = [0]
    for line in io.StringIO(text, newline=""):
        starts.append(starts[-1] + len(line))
    try:
        for token in tokenize.generate_tokens(io.StringIO(text, newline="").readline):
            start, end = (starts[row - 1] + column for row, column in (token.start, token.end))
            if token.type == tokenize.ERRORTOKEN:
                return None
            if token.type == tokenize.COMMENT:
                wheres[start + 1 : end + 1] = ["comment"] * (end - start)
            if token.type == FSTRING_START:
                opening = re.search(r"""("{3}|'{3}|["'])""", token.string)
                assert opening
                start += opening.start()
                wheres[start + 1 : end + 1] = ["string"] * (end - start)
                if len(opening[1]) == 3:
                    wheres[start + 2] = "code"
            if token.type == FSTRING_MIDDLE:
                wheres[start : end + 1] = ["string"] * (end - start + 1)
            if token.type == FSTRING_END:
                wheres[start:end] = ["string"] * (end - start)
            if token.type == tokenize.STRING:
                opening = re.match(r"""\w*("{3}|'{3}|["'])""", token.string)
                assert opening
                start += opening.start(1)
                wheres[start + 1 : end] = ["string"] * (end - start - 1)
                if len(opening[1]) == 3:
                    wheres[start + 2] = "code"  # "" is a complete string unless a third quote follows
    except (tokenize.TokenError, SyntaxError):
        return None
    return wheres


@given(LINES)
def test_context_equals_pythons_tokenizer(pieces: list[str]) -> None:
    text = "".join(pieces)
    wheres = plain_wheres(text)
    if wheres is not None:
        assert [lexical_context(text[:i]) for i in range(len(text) + 1)] == wheres


def test_example_programs_are_valid() -> None:
    """Enough generated programs are valid; otherwise the test above would test nothing."""
    wheres = plain_wheres('x = r\'a\' + """\n#""" # it\'s\n')
    assert wheres is not None
    assert set(wheres) == {"code", "comment", "string"}


@pytest.mark.parametrize(
    ("before", "where"),
    [
        ("", "code"),
        ("x = f'{a", "code"),
        ("x = f'{a}b", "string"),
        ("x = f'{a}'", "code"),
        ('def f():\n    """It', "string"),
        ("x = 'unfinished\ny = ", "code"),
        ("x = 'it\\'", "string"),
        ("x = r'it\\", "string"),
        ("# it's\nx", "code"),
        ("x = 1  # it", "comment"),
        ('"#"', "code"),
        ("'''a\r\n'b' # c", "string"),
        ('"""a""" + "', "string"),
    ],
)
def test_python_by_example(before: str, where: Context) -> None:
    assert lexical_context(before) == where


@pytest.mark.parametrize(
    ("language", "before", "where"),
    [
        ("javascript", "a = 1 // it", "comment"),
        ("javascript", 'a = "http://', "string"),
        ("javascript", 'a = "http://" + b', "code"),
        ("typescript", "a = `b", "string"),
        ("lua", "-- it's", "comment"),
        ("lua", "-- it\na = ", "code"),
        ("javascript", "  return /`/.test(a); b = ", "code"),
        ("javascript", "f = a => /`/.test(a); b = ", "code"),
        ("javascript", "typeof /`/; b = ", "code"),
        ("javascript", "a.match(/[^/`]+/); b = ", "code"),
        ("csharp", 'f(@"{\n  ""a"": ""b""}", c, ', "code"),
        ("csharp", 'var s = @"C:\\" + ', "code"),
        ("elixir", "f(~s(it's \"), ", "code"),
        ("cmake", 'message("it\\"s\n(")\nset(x [[it"s]] ', "code"),
        ("tcl", "set x {it's}\nset y ", "code"),
        ("r", "`[.a` <- function(x", "code"),
        ("perl", "1;\n=head1 It's\n\nIt's", "comment"),
        ("perl", "1;\n=head1 It's\n\n=cut\nmy $x = ", "code"),
        ("javascript", "x = a / b; s = `", "string"),
        ("shellscript", "a='b\\'", "code"),
        ("shellscript", "echo it\\'s\nx=", "code"),
        ("shellscript", 'echo "$(printf \\"a', "code"),
        ("shellscript", "echo \\\\ 'a", "string"),
        ("shellscript", "cat <<EOF | grep 'a", "string"),
        ("shellscript", "cat <<'EOF' # it's\n don't\nEO", "string"),
        ("shellscript", "cat <<'EOF' # it's\n don't\nEOF", "code"),
        ("shellscript", "cat <<-EOF\r\nit's\r\n\tEOF\r\nx=", "code"),
        ("shellscript", 'git commit -m "$(cat << EOF\nit\'s\nEOF\n)"\nx=', "code"),
        ("shellscript", 'x=$((1 << n))\ngrep a <<<"$FOO"\nx=', "code"),
        ("shellscript", "x=$'it\\'s'\ny=", "code"),
        ("fish", "echo 'it\\'s'\nset x ", "code"),
        ("rust", "fn f<'a>(", "code"),
        ("rust", 'let s = r#"one " only"#;\nlet x = ', "code"),
        ("rust", 'let s = br"C:\\";\nlet x = ', "code"),
        ("rust", 'let s = for"\\"', "string"),
        ("rust", 'let s = "', "string"),
        ("rust", "let q = '\\''; ", "code"),
        ("rust", "let q = '\\''; let s = \"a", "string"),
        ("ruby", "x = 1 # it's", "comment"),
        ("ruby", "a.gsub(/\"/, '')\nx = ", "code"),
        ("ruby", "a =~ /'/\nx = ", "code"),
        ("ruby", "x = a / b\ny = '", "string"),
        ("ruby", "f(<<~SQL, 'a')\n  it's\nSQL\nx = ", "code"),
        ("ruby", "errors << ERROR\nx = ", "code"),
        ("ruby", "f(%w[it's b[']], %r{a{2}'}, %r!'!, 5 % (a)", "code"),
        ("ruby", "x = 1\n=begin\nit's", "comment"),
        ("ruby", "x = 1\n=begin\nit's\n=end\nx = ", "code"),
        ("kotlin", 'val s = """C:\\"""\nval x = ', "code"),
        ("kotlin", 'val a = "${f("', "string"),
        ("kotlin", 'val a = "${f("b")} c', "string"),
        ("dart", "f('''\nit's (\n''', b, ", "code"),
        ("dart", "f('''\nit's", "string"),
        ("scala", "def f('a) = g(", "code"),
        ("ocaml", "let f (x : 'a) = (* it", "comment"),
        ("ocaml", 'let s = {|a "b|} in ', "code"),
        ("fsharp", "// it", "comment"),
        ("fsharp", 'let s = @"C:\\" + ', "code"),
        ("haskell", "foldl' f -- it", "comment"),
        ("julia", "b = a' * c", "code"),
        ("julia", "#= it's", "comment"),
        ("verilog", "x = 4'b0101; y = ", "code"),
        ("clojure", "(map '(a b) ; it", "comment"),
        ("elisp", "(setq x 'y) (", "code"),
        ("elisp", '(insert ?\\") (setq x ', "code"),
        ("scheme", '(char=? c #\\") (define x ', "code"),
        ("erlang", "% it's", "comment"),
        ("fortran", "x = 'it''s ' ! a", "comment"),
        ("matlab", "b = a' * 2; % it", "comment"),
        ("vb", "x = 1 ' it", "comment"),
        ("pascal", "(* it's", "comment"),
        ("powershell", "<# it's", "comment"),
        ("nix", "x = ''it's ${f", "code"),
        ("nix", "x = ''\n  ''${a} it's\n''; y = ", "code"),
        ("terraform", 'x = "${var.', "code"),
        ("sql", "SELECT 1 /* it's", "comment"),
        ("mysql", "SELECT 'it\\'s' # it's\nFROM ", "code"),
        ("html", "<!-- it's", "comment"),
        ("html", "<p>it's (so", "code"),
        ("vue", '<a href="', "string"),
        ("erb", "<%# it", "comment"),
        ("jinja", "{# it's", "comment"),
        ("razor", "@* it", "comment"),
        ("handlebars", "{{!-- it", "comment"),
        ("latex", "it's 5 % it", "comment"),
        ("latex", "it's 5\\% it", "code"),
        ("latex", "a & b \\\\% it", "comment"),
        ("make", "COLOR = \\#fff ", "code"),
        ("vim", "let x = 1 \" it's", "string"),
        ("markdown", "# it's", "code"),
        ("plaintext", "# a", "code"),
        ("plaintext", 'a "b', "string"),
    ],
)
def test_other_languages_by_line(language: str, before: str, where: Context) -> None:
    assert lexical_context(before, language) == where


@pytest.mark.parametrize("piece", ["x = 'a'  # b\n", '"""', "'\\", '"', "\\", "#", "'a"])
def test_ten_million_characters_are_fast(piece: str) -> None:
    """A pattern with backtracking would exceed the test's time limit."""
    before = piece * (10_000_000 // len(piece))
    assert lexical_context(before) in ("code", "comment", "string")


def test_long_text_starts_at_a_top_level_line() -> None:
    quarter = "x = 1\n" * (LOOK_BACK_CHARS // 12)
    text = quarter * 3 + '"""It is\n' + quarter[: LOOK_BACK_CHARS // 4] + '"""\n\ndef f():\n    return "'
    assert lexical_context(text) == "string"
    assert lexical_context(text + 'a"') == "code"


@pytest.mark.parametrize("prose", ["    class of its own", "    def like this", "import it"])
def test_prose_that_looks_like_a_header_is_not_a_start(prose: str) -> None:
    """Docstrings contain such text, as in flask/app.py; a file of usual length is read from its first line."""
    docstring = f'def f():\n    """Say.\n\n{prose}\n    """\n'
    text = "x = 1\n" * 3_000 + docstring + "y = 1\n" * 3_000
    assert lexical_context(text) == "code"


STDLIB = Path(sysconfig.get_paths()["stdlib"])
CODE = st.text("ab rf'\"\\\n#{}()[]:!`$/*-<E=%~@", max_size=40)
LANGUAGES = (
    "python",
    "javascript",
    "rust",
    "lua",
    "shellscript",
    "ruby",
    "go",
    "haskell",
    "latex",
    "nix",
    "elixir",
    "csharp",
    "plaintext",
)


@given(st.lists(CODE, max_size=4), st.sampled_from(LANGUAGES))
def test_text_in_chunks_equals_the_text(pieces: list[str], language: str) -> None:
    syntax, state = syntax_of(language), State()
    for piece in pieces:
        state = advance(state, piece, syntax)
    assert state == advance(State(), "".join(pieces), syntax)


@pytest.mark.parametrize("seed", range(6))
def test_files_of_the_standard_library(seed: int) -> None:
    """Check the context at each of 4,000 offsets, and that nothing is open at the end."""
    paths = sorted(path for path in STDLIB.glob("*.py") if 2_000 < path.stat().st_size < 60_000)
    text = random.Random(seed).choice(paths).read_text("utf-8")
    wheres = plain_wheres(text)
    assert wheres is not None
    end = advance(State(), text, PYTHON)
    assert (end.frames, bool(end.faults)) == ((), False)
    if sys.version_info < (3, 12) and re.search(r"""\b[rR]?[fF][rR]?["']""", text):
        return  # Python 3.11 does not report replacement fields, which are code
    state = State()
    for offset, character in enumerate(text[:4_000]):
        assert resolve(state, PYTHON).context == wheres[offset], text[max(0, offset - 50) : offset]
        state = advance(state, character, PYTHON)


@pytest.mark.parametrize(
    ("text", "closers", "context"),
    [
        ("f'{a", "'}", "code"),
        ("f'{a[", "'}]", "code"),
        ("f'{a:", "'}", "string"),
        ("f'{a:>{w", "'}}", "code"),
        ("f'{{a}}", "'", "string"),
        ("f'{a!r}", "'", "string"),
        ("f'{d[\"k", "'}]\"", "string"),
        ("f'{f\"{b", "'}\"}", "code"),
        ("f'{f'{b", "'}'}", "code"),  # since 3.12
        ("rf'\\{a", "'}", "code"),
        ("f'\\N{DASH} {a", "'}", "code"),
        ('t"{a', '"}', "code"),
        ("'{a", "'", "string"),
        ("b'''a''", "'''", "string"),
        ("f(a, [b, {", ")]}", "code"),
        ("f(\ndef g(", ")", "code"),  # the first one was evicted
        ("f(a  # it's (\n", ")", "code"),
    ],
)
def test_open_brackets(text: str, closers: str, context: Context) -> None:
    state = resolve(advance(State(), text, PYTHON), PYTHON)
    assert "".join(frame.closer for frame in state.frames) == closers
    assert state.context == context


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("typescriptreact", "f(<A b={c} />)"),
        ("typescriptreact", "f(<A\n  b={c}\n/>)"),
        ("typescriptreact", 'f(a.replace(/>/g, "(").split(/[/(]/))'),
        ("ruby", "f(%r!(a! => %w[(a], b: %q(a(')))"),
        ("elixir", "f(~r/[(]/, ~s|(a|)"),
        ("lua", "s = [=[ a ]] ( ]=]"),
        ("cmake", 'message("a\n("\n  "b")'),
        ("r", "`[.a` <- 1"),
    ],
)
def test_all_brackets_are_closed(language: str, text: str) -> None:
    syntax = syntax_of(language)
    assert not resolve(advance(State(), text, syntax), syntax).frames


@given(st.text("x(\"'\n", max_size=30))
def test_chunk_size_changes_nothing(text: str) -> None:
    text = "y\n" * CHUNK_CHARS + text
    whole, chunked = advance(State(), text, PYTHON), state_after(text, PYTHON)
    assert (whole.frames, whole.tail) == (chunked.frames, chunked.tail)
