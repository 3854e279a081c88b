"""Where the cursor most likely is after an edit: what is asked about next, before it is asked."""

from collections.abc import Sequence

from lsprotocol import types

from tinycopilot_server.documents import split_lines
from tinycopilot_server.positions import to_units

PAIRS = ("()", "[]", "{}", '""', "''", "``")
"""Editors write the closing one with the opening one, and leave the cursor between them."""


def cursor_after(changes: Sequence[types.TextDocumentContentChangeEvent], encoding: str) -> types.Position | None:
    """Behind what was inserted, in the client's units; None where one cannot tell: several edits, or a whole text."""
    if len(changes) != 1 or not isinstance(changes[0], types.TextDocumentContentChangePartial):
        return None
    start, text = changes[0].range.start, changes[0].text
    if text in PAIRS:
        text = text[0]
    *lines, last = split_lines(text)
    n_units = to_units(last, len(last), encoding)
    return types.Position(start.line + len(lines), n_units if lines else start.character + n_units)
