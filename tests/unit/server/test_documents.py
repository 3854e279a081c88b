import pytest
from lsprotocol import types
from lsprotocol.types import PositionEncodingKind as Kind
from tinycopilot_server.documents import MAX_HELD_CHARS, Document
from tinycopilot_server.positions import to_offset


def test_positions_outside_of_the_text_are_its_end_or_the_lines() -> None:
    document = Document("ab\ncd", 0, Kind.Utf16)
    assert document.split(types.Position(0, 99)) == ("ab", "\ncd")
    assert document.split(types.Position(9, 0)) == ("ab\ncd", "")
    smile = "\N{GRINNING FACE}"
    assert to_offset(smile + "x", 1, Kind.Utf16) == 0  # inside of a pair: before it


def test_a_reversed_range_is_the_range() -> None:
    document = Document("a\nb\nc\n", 0, Kind.Utf16)
    where = types.Range(types.Position(2, 1), types.Position(0, 0))
    document.apply([types.TextDocumentContentChangePartial(range=where, text="Z")], 1)
    assert document.text == "Z\n"


def test_full_sync_and_several_changes_in_one() -> None:
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


def test_what_is_a_secret_and_what_is_not_held() -> None:
    key = "-----BEGIN " + "PRIVATE KEY-----\n"
    assert Document("x", 0, Kind.Utf16, "/project/.env").is_secret("x")
    document = Document("x", 0, Kind.Utf16, "/project/a.py")
    assert not document.is_secret("x")
    assert document.is_secret("x" + key)
    passwords = Document("x", 0, Kind.Utf16, "/project/passwords.py")
    assert passwords.is_secret('db = "x"')
    assert not passwords.is_secret("def check(password):\n    return password")
    assert document.why_not_held("x" * MAX_HELD_CHARS) == ""
    assert "2,000,000 characters" in document.why_not_held("x" * (MAX_HELD_CHARS + 1))
    assert "lines" in Document("x" * 3_000, 0, Kind.Utf16, "/project/a.py").why_not_held("x")
    assert Document("x" * 3_000, 0, Kind.Utf16, "/project/a.md").why_not_held("x") == ""
    assert Document("# @generated\n", 0, Kind.Utf16, "/project/a.py").why_not_held("x") == ""  # somebody works on it
