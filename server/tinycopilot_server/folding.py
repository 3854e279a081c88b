"""Folding: show only the first line of a suggestion; accepting it shows the others.

The client inserts exactly what it shows, so nothing is inserted that the user has not seen.
"""

import re

from tinycopilot.completion.request import typed_through

_FIRST_LINE = re.compile(r"\s*[^\r\n]*")


class Folding:
    """Shortens suggestions, and stores the hidden lines of the last one. One instance per client."""

    def __init__(self) -> None:
        self._uri = self._before = self._hidden = ""

    def fold(self, uri: str, before: str, texts: list[str]) -> list[tuple[str, int]]:
        """Return, for each suggestion after `before`, the text to show and the number of hidden lines.

        The text ends with the first line that is not blank. After that line was accepted, all hidden lines are shown,
        also while the user types through them. If several texts are equal, only the first is returned.
        """
        if uri == self._uri and typed_through(self._hidden, self._before, before) == texts[0]:
            return [(texts[0], 0)]
        shown = [_first_line(text) for text in texts]
        self._uri, self._before, self._hidden = uri, before + shown[0], texts[0][len(shown[0]) :]
        pairs = reversed(list(zip(shown, texts, strict=True)))
        folded = {first: sum(line.strip() != "" for line in text[len(first) :].splitlines()) for first, text in pairs}
        return [(first, folded[first]) for first in dict.fromkeys(shown)]


def _first_line(text: str) -> str:
    found = _FIRST_LINE.match(text)
    assert found is not None
    return found[0]
