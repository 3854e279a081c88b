"""Windows: many clients send only the last characters before the cursor, which start at another place with each key.

Such a text would be sorted and read again as a whole. So the text that preceded the window in the request before is
put in front of it again: as long as the user types on, all texts start at the same place, and only what is new costs.
"""

from typing import Final

MAX_CHARS: Final = 24_576
"""The nearest characters are read, at least this many if they are known, and less than twice as many."""
HEAD_CHARS: Final = 256
"""A window is recognised by its first characters."""


class TextBefore:
    """The text before the cursor, as far as it is known from the requests. For one thread."""

    def __init__(self) -> None:
        self._last = self._document = ""

    def of(self, document: str, window: str) -> str:
        """The text of a document that ends with the last MAX_CHARS of `window`."""
        last, self._document = self._last if document == self._document else "", document
        text = stitched(last, window[-MAX_CHARS:])
        self._last = text if len(text) < 2 * MAX_CHARS else text[-MAX_CHARS:]
        return self._last


def stitched(last: str, window: str) -> str:
    """`window`, after what preceded it in `last`; `window` alone if its head is not there, or more than once."""
    head = window[:HEAD_CHARS]
    at = last.find(head) if len(head) == HEAD_CHARS else -1
    return window if at < 0 or last.find(head, at + 1) >= 0 else last[:at] + window
