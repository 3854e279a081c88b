import pytest
from lsprotocol import types
from lsprotocol.types import PositionEncodingKind as Kind
from tinycopilot_server.cursor import cursor_after


def change(text: str, end: tuple[int, int] = (3, 5)) -> types.TextDocumentContentChangePartial:
    return types.TextDocumentContentChangePartial(types.Range(types.Position(3, 5), types.Position(*end)), text)


@pytest.mark.parametrize(
    ("text", "encoding", "line", "character"),
    [
        ("x", Kind.Utf16, 3, 6),
        ("", Kind.Utf16, 3, 5),  # something was deleted
        ("()", Kind.Utf16, 3, 6),
        ("f()", Kind.Utf16, 3, 8),
        ("\n", Kind.Utf16, 4, 0),
        ("\r\n    ", Kind.Utf16, 4, 4),
        ("a\x0cb\u2028c", Kind.Utf16, 3, 10),  # what ends no line
        ("\U0001f600", Kind.Utf16, 3, 7),
        ("\U0001f600", Kind.Utf8, 3, 9),
        ("\U0001f600", Kind.Utf32, 3, 6),
        ("x\r\U0001f600\u00e9", Kind.Utf8, 4, 6),
    ],
)
def test_it_is_behind_what_was_inserted(text: str, encoding: Kind, line: int, character: int) -> None:
    for end in ((3, 5), (9, 0)):
        assert cursor_after([change(text, end)], encoding.value) == types.Position(line, character)


def test_where_one_cannot_tell() -> None:
    assert cursor_after([], Kind.Utf16) is None
    assert cursor_after([change("a"), change("b")], Kind.Utf16) is None
    assert cursor_after([types.TextDocumentContentChangeWholeDocument("a")], Kind.Utf16) is None
