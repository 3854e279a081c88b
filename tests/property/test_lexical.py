"""Where a cursor stands in Python: what we say against Python's own tokens, at every place of random programs."""

import io
import re
import tokenize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycopilot.completion.lexical import LOOK_BACK_CHARS, Where, lexical_context

INNER = st.text("ab #'\"\\\n\N{SNOWMAN}", max_size=6)


@st.composite
def strings(draw: st.DrawFn) -> str:
    """A string of any kind but f-strings, whose tokens are another matter since Python 3.12."""
    prefix = draw(st.sampled_from(["", "r", "b", "Rb", "u"]))
    quotes = draw(st.sampled_from(['"', "'", '"""', "'''"]))
    return prefix + quotes + draw(INNER) + quotes


LINES = st.lists(st.one_of(strings(), st.sampled_from(["x = ", "(", ")", "\\\n", "\n", " + y", '# it\'s "so"\n'])))


def plain_wheres(text: str) -> list[Where] | None:
    """The definition, for each place of a program; None if it is none."""
    wheres: list[Where] = ["code"] * (len(text) + 1)
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
            if token.type == tokenize.STRING:
                opening = re.match(r"""\w*("{3}|'{3}|["'])""", token.string)
                assert opening
                start += opening.start(1)
                wheres[start + 1 : end] = ["string"] * (end - start - 1)
                if len(opening[1]) == 3:
                    wheres[start + 2] = "code"  # "" is a whole string, for who cannot see what comes next
    except (tokenize.TokenError, SyntaxError):
        return None
    return wheres


@given(LINES)
def test_at_every_place_of_a_program_it_is_as_python_has_it(pieces: list[str]) -> None:
    text = "".join(pieces)
    wheres = plain_wheres(text)
    if wheres is not None:
        assert [lexical_context(text[:i]) for i in range(len(text) + 1)] == wheres


def test_the_programs_above_are_programs() -> None:
    """Or the test above would say nothing."""
    wheres = plain_wheres('x = r\'a\' + """\n#""" # it\'s\n')
    assert wheres is not None
    assert set(wheres) == {"code", "comment", "string"}


@pytest.mark.parametrize(
    ("before", "where"),
    [
        ("", "code"),
        ("x = f'{a", "string"),
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
def test_python_by_example(before: str, where: Where) -> None:
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
        ("shellscript", "a='b\\'", "string"),
        ("rust", "fn f<'a>(", "code"),
        ("rust", 'let s = "', "string"),
        ("plaintext", "# a", "code"),
        ("plaintext", 'a "b', "string"),
    ],
)
def test_other_languages_by_their_line(language: str, before: str, where: Where) -> None:
    assert lexical_context(before, language) == where


@pytest.mark.parametrize("piece", ["x = 'a'  # b\n", '"""', "'\\", '"', "\\", "#", "'a"])
def test_ten_million_characters_take_no_time_to_speak_of(piece: str) -> None:
    """A pattern that goes back and forth would take longer than a test may."""
    before = piece * (10_000_000 // len(piece))
    assert lexical_context(before) in ("code", "comment", "string")


def test_in_a_long_text_it_begins_at_a_line_of_the_top_level() -> None:
    quarter = "x = 1\n" * (LOOK_BACK_CHARS // 12)
    text = quarter * 3 + '"""It is\n' + quarter[: LOOK_BACK_CHARS // 4] + '"""\n\ndef f():\n    return "'
    assert lexical_context(text) == "string"
    assert lexical_context(text + 'a"') == "code"
