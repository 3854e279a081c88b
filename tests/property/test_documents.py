"""The server's documents equal plain strings under random edits, in each position encoding."""

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types
from lsprotocol.types import PositionEncodingKind as Kind
from tinycopilot_server import documents
from tinycopilot_server.documents import Document, split_lines, to_offset, to_units


@pytest.fixture(autouse=True, scope="module")
def tiny_windows() -> Iterator[None]:
    """Make windows 5 characters: small texts then reach every edge case."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "WINDOW_CHARS", 5)
        patch.setattr(documents, "BLOCK_LINES", 5)
        yield


ENCODINGS = [Kind.Utf8, Kind.Utf16, Kind.Utf32]
CODECS = {Kind.Utf8: ("utf-8", 1), Kind.Utf16: ("utf-16-le", 2), Kind.Utf32: ("utf-32-le", 4)}
# line ends, characters that only str.splitlines splits at, and one character of each width
CHARACTERS = "ab\n\r\x0c\u2028\x85\N{LATIN SMALL LETTER E WITH ACUTE}\N{SNOWMAN}\N{GRINNING FACE}"
WIDE = "ab\N{LATIN SMALL LETTER E WITH ACUTE}\N{SNOWMAN}\N{GRINNING FACE}\ud800"


def units(text: str, encoding: str) -> int:
    codec, size = CODECS[Kind(encoding)]
    return len(text.encode(codec, "surrogatepass")) // size


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
    """The client's position of `offset`, which is not between \\r and \\n."""
    lines = plain_lines(text[:offset])
    return types.Position(len(lines) - 1, units(lines[-1], encoding))


@given(st.text(CHARACTERS))
def test_lines_end_as_in_lsp(text: str) -> None:
    assert split_lines(text) == plain_lines(text)


@given(st.text(CHARACTERS), st.data(), st.sampled_from(ENCODINGS))
def test_random_edits_equal_a_plain_string(text: str, data: st.DataObject, encoding: Kind) -> None:
    document = Document(text, 0, encoding)
    for version in range(1, data.draw(st.integers(1, 6))):
        offsets = [i for i in range(len(text) + 1) if not (text[i - 1 : i] == "\r" and text[i : i + 1] == "\n")]
        start, end = sorted((data.draw(st.sampled_from(offsets)), data.draw(st.sampled_from(offsets))))
        new = data.draw(st.text(CHARACTERS, max_size=5))
        where = types.Range(position(text, start, encoding), position(text, end, encoding))
        document.apply([types.TextDocumentContentChangePartial(range=where, text=new)], version)
        text = text[:start] + new + text[end:]
        assert document.text == text
        assert document.n_chars == len(text)
        starts = [0, *itertools.accumulate(map(len, plain_lines(text)))]
        for line, n_before in enumerate(starts[:-1]):
            assert document.split(types.Position(line, 0)) == (text[:n_before], text[n_before:])
        here = data.draw(st.sampled_from([i for i in range(len(text) + 1) if text[i - 1 : i + 1] != "\r\n"]))
        at = position(text, here, encoding)
        assert document.split(at) == (text[:here], text[here:])
        assert document.clamp(at) == at
        assert document.version == version


@given(st.text(CHARACTERS), st.data(), st.sampled_from(ENCODINGS))
def test_split_is_at_the_cursor(text: str, data: st.DataObject, encoding: Kind) -> None:
    offsets = [i for i in range(len(text) + 1) if not (text[i - 1 : i] == "\r" and text[i : i + 1] == "\n")]
    offset = data.draw(st.sampled_from(offsets))
    assert Document(text, 0, encoding).split(position(text, offset, encoding)) == (text[:offset], text[offset:])


@given(st.text(CHARACTERS), st.data(), st.sampled_from(ENCODINGS))
def test_window_is_the_text_near_the_cursor(text: str, data: st.DataObject, encoding: Kind) -> None:
    offset = data.draw(st.sampled_from([i for i in range(len(text) + 1) if text[i - 1 : i + 1] != "\r\n"]))
    before, after = Document(text, 0, encoding).split_near(position(text, offset, encoding))
    assert text[:offset].endswith(before)
    assert text[offset:].startswith(after)
    assert len(before) >= min(offset, 5)
    assert len(after) >= min(len(text) - offset, 5)


@given(st.text("ab\N{SNOWMAN}\N{GRINNING FACE}", min_size=20), st.integers(0, 9), st.sampled_from(ENCODINGS))
def test_window_start_is_stable_while_typing(text: str, n: int, encoding: Kind) -> None:
    document, offset = Document(text, 0, encoding), n
    windows = []
    for _ in range(5):
        at = position(text, offset, encoding)
        document.apply([types.TextDocumentContentChangePartial(range=types.Range(at, at), text="x")], 1)
        text, offset = text[:offset] + "x" + text[offset:], offset + 1
        windows.append(document.split_near(position(text, offset, encoding)))
    assert len({after for _, after in windows}) == 1
    grown = [new == old + "x" for (old, _), (new, _) in itertools.pairwise(windows)]
    assert grown.count(False) <= 1


def plain_offset(line: str, n_units: int, encoding: Kind) -> int:
    """The definition, character by character."""
    for offset, character in enumerate(line):
        n_units -= units(character, encoding)
        if n_units < 0:
            return offset
    return len(line)


@given(st.text(WIDE), st.integers(0, 99), st.sampled_from(ENCODINGS))
def test_offset_equals_the_plain_count(line: str, n_units: int, encoding: Kind) -> None:
    assert to_offset(line, n_units, encoding) == plain_offset(line, n_units, encoding)


@given(st.text("a\N{SNOWMAN}\N{GRINNING FACE}"), st.sampled_from(ENCODINGS))
def test_units_and_offsets_are_inverse(line: str, encoding: Kind) -> None:
    for offset in range(len(line) + 1):
        n_units = to_units(line, offset, encoding)
        assert n_units == units(line[:offset], encoding)
        assert to_offset(line, n_units, encoding) == offset
