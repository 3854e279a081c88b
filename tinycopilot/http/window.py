"""Restore the start of a text if the client sends only the last characters before the cursor.

The text of such a client starts later at each key, and would have to be indexed and read again as a whole. So it is
extended by the text that preceded it in the last request. While the user types, all texts then start at the same
position, and only new characters are processed.
"""

from typing import Final

MAX_CHARS: Final = 24_576
"""At least this many characters before the cursor are used, if known, and less than twice as many."""
HEAD_CHARS: Final = 256
"""Length of the beginning of a window by which it is found in the last text."""


class TextBefore:
    """Reconstructs the text before the cursor from several requests. Not thread-safe."""

    def __init__(self) -> None:
        self._last = self._document = ""

    def of(self, document: str, window: str) -> str:
        """Return the known text of a document that ends with `window`, of which only the last MAX_CHARS are used."""
        last, self._document = self._last if document == self._document else "", document
        text = stitched(last, window[-MAX_CHARS:])
        self._last = text if len(text) < 2 * MAX_CHARS else text[-MAX_CHARS:]
        return self._last


def stitched(last: str, window: str) -> str:
    """Return `window` with the text that precedes it in `last`; unchanged if `last` lacks or repeats its beginning."""
    head = window[:HEAD_CHARS]
    at = last.find(head) if len(head) == HEAD_CHARS else -1
    return window if at < 0 or last.find(head, at + 1) >= 0 else last[:at] + window
