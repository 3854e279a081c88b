"""The server's documents against plain strings, in every position encoding."""

from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types
from lsprotocol.types import PositionEncodingKind as Kind
from tinycopilot_server.documents import Document, split_lines
from tinycopilot_server.positions import to_offset, to_units

ENCODINGS = [Kind.Utf8, Kind.Utf16, Kind.Utf32]
CODECS = {Kind.Utf8: ("utf-8", 1), Kind.Utf16: ("utf-16-le", 2), Kind.Utf32: ("utf-32-le", 4)}
# what splits a line, what only Python's splitlines thinks does, and one character of each width
CHARACTERS = "ab\n\r\x0c\u2028\x85\N{LATIN SMALL LETTER E WITH ACUTE}\N{SNOWMAN}\N{GRINNING FACE}"


def units(text: str, encoding: str) -> int:
    codec, size = CODECS[Kind(encoding)]
    return len(text.encode(codec)) // size


def plain_lines(text: str) -> list[str]:
    """The definition, character by character."""
    lines, line = [], ""
    for i, character in enumerate(text):
        line += character
        if character == "\n" or (character == "\r" and text[i + 1 : i + 2] != "\n"):
            lines.append(line)
            line = ""
    return [*lines, line]


def position(text: str, offset: int, encoding: str) -> types.Position:
    """Where an editor says that `offset` is; not between \\r and \\n, where no editor's cursor stands."""
    lines = plain_lines(text[:offset])
    return types.Position(len(lines) - 1, units(lines[-1], encoding))


@given(st.text(CHARACTERS))
def test_lines_end_where_lsp_says(text: str) -> None:
    assert split_lines(text) == plain_lines(text)


@given(st.text(CHARACTERS), st.data(), st.sampled_from(ENCODINGS))
def test_random_edits_against_a_plain_string(text: str, data: st.DataObject, encoding: Kind) -> None:
    document = Document(text, 0, encoding)
    for version in range(1, data.draw(st.integers(1, 6))):
        offsets = [i for i in range(len(text) + 1) if not (text[i - 1 : i] == "\r" and text[i : i + 1] == "\n")]
        start, end = sorted((data.draw(st.sampled_from(offsets)), data.draw(st.sampled_from(offsets))))
        new = data.draw(st.text(CHARACTERS, max_size=5))
        where = types.Range(position(text, start, encoding), position(text, end, encoding))
        document.apply([types.TextDocumentContentChangePartial(range=where, text=new)], version)
        text = text[:start] + new + text[end:]
        assert document.text == text
        assert document._lines == plain_lines(text)
        assert document.version == version


@given(st.text(CHARACTERS), st.data(), st.sampled_from(ENCODINGS))
def test_split_is_at_the_cursor(text: str, data: st.DataObject, encoding: Kind) -> None:
    offsets = [i for i in range(len(text) + 1) if not (text[i - 1 : i] == "\r" and text[i : i + 1] == "\n")]
    offset = data.draw(st.sampled_from(offsets))
    assert Document(text, 0, encoding).split(position(text, offset, encoding)) == (text[:offset], text[offset:])


@given(st.text("a\N{SNOWMAN}\N{GRINNING FACE}"), st.sampled_from(ENCODINGS))
def test_units_and_offsets_are_inverse(line: str, encoding: Kind) -> None:
    for offset in range(len(line) + 1):
        n_units = to_units(line, offset, encoding)
        assert n_units == units(line[:offset], encoding)
        assert to_offset(line, n_units, encoding) == offset
