import tracemalloc

import pytest
from lsprotocol import types
from lsprotocol.types import PositionEncodingKind as Kind
from tinycopilot_server import documents
from tinycopilot_server.documents import MAX_HELD_CHARS, MAX_HELD_LINE_CHARS, Document, split_lines, to_offset, to_units


def test_positions_outside_of_the_text_are_clamped() -> None:
    document = Document("ab\ncd", 0, Kind.Utf16)
    assert document.split(types.Position(0, 99)) == ("ab", "\ncd")
    assert document.split(types.Position(9, 0)) == ("ab\ncd", "")
    smile = "\N{GRINNING FACE}"
    assert to_offset(smile + "x", 1, Kind.Utf16) == 0  # inside a pair: before it


def test_reversed_range_is_normalized() -> None:
    document = Document("a\nb\nc\n", 0, Kind.Utf16)
    where = types.Range(types.Position(2, 1), types.Position(0, 0))
    document.apply([types.TextDocumentContentChangePartial(range=where, text="Z")], 1)
    assert document.text == "Z\n"


def test_full_sync_and_several_changes_in_one_message() -> None:
    document = Document("old", 0, Kind.Utf16)
    here = types.Range(types.Position(0, 1), types.Position(0, 1))
    changes = [
        types.TextDocumentContentChangeWholeDocument("xy"),
        types.TextDocumentContentChangePartial(range=here, text="-"),
    ]
    document.apply(changes, 5)
    assert (document.text, document.version) == ("x-y", 5)


@pytest.mark.parametrize(
    ("text", "end"), [("a\r\nb", "\r\n"), ("a\rb", "\r"), ("a\nb\r\n", "\n"), ("a", "\n"), ("", "\n")]
)
def test_line_end(text: str, end: str) -> None:
    assert Document(text, 0, Kind.Utf16).line_end == end


def opened(text: str, name: str = "/project/a.py") -> Document:
    return Document(text, 0, Kind.Utf16, name)


def test_secret_and_unindexed_documents() -> None:
    assert opened("x", "/project/.env").is_secret
    assert not opened("x").is_secret
    assert opened('db = "x"', "/project/passwords.py").is_secret
    assert not opened("def check(password):\n    return password", "/project/passwords.py").is_secret
    assert opened("x\n" * (MAX_HELD_CHARS // 2)).why_not_indexed == ""
    assert "2,000,000 characters" in opened("x\n" * (MAX_HELD_CHARS // 2 + 1)).why_not_indexed
    assert "lines" in opened("x" * 3_000).why_not_indexed
    assert opened("x" * 3_000, "/project/a.md").why_not_indexed == ""
    assert "a line" in opened("x" * (MAX_HELD_LINE_CHARS + 1), "/project/a.md").why_not_indexed
    assert opened("# @generated\n").why_not_indexed == ""  # the user works on it


@pytest.mark.parametrize("encoding", [Kind.Utf8, Kind.Utf16])
@pytest.mark.parametrize("place", [0, 100_000, 200_000])
def test_edit_in_a_line_of_a_megabyte_counts_it_a_few_times(
    encoding: Kind, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    smile, counted = "\N{GRINNING FACE}", list[int]()
    text = smile + "abc, " * 200_000
    document, column = Document(text, 0, encoding, "/a.js"), to_units(text, place * 5, encoding)

    def counting(line: str, offset: int, encoding: str) -> int:
        counted.append(offset)
        return to_units(line, offset, encoding)

    monkeypatch.setattr(documents, "to_units", counting)
    for version in range(20):
        here = types.Position(0, column)
        document.apply([types.TextDocumentContentChangePartial(range=types.Range(here, here), text=smile)], version)
        column += to_units(smile, 1, encoding)
        before, after = document.split_near(types.Position(0, column))
        assert before.endswith(smile)
        assert max(len(before), len(after)) <= 2 * documents.WINDOW_CHARS
        assert document.clamp(types.Position(0, column)).character == column
    assert sum(counted) < 20 * 6 * len(text)
    assert document.text == text[: place * 5] + smile * 20 + text[place * 5 :]


def test_splitting_a_long_line_copies_no_wide_characters() -> None:
    text = "x" * 1_000_000
    tracemalloc.start()
    try:
        assert split_lines(text) == [text]
        assert tracemalloc.get_traced_memory()[1] < 3 * len(text)
    finally:
        tracemalloc.stop()
