"""The lines of a text, by their offsets."""

import itertools
from bisect import bisect_left, bisect_right


class Lines:
    """Where lines begin and end; a line end belongs to the line before it."""

    def __init__(self, text: str) -> None:
        ends = (i + 1 for i, character in enumerate(text) if character == "\n")
        self._borders = list(dict.fromkeys([0, *ends, len(text)]))

    def number(self, at: int) -> int:
        """Of the line that the character at `at` is in, from 1."""
        return bisect_right(self._borders, at)

    def around(self, first: int, last: int, n_more: int = 0) -> tuple[int, int]:
        """The whole lines that the characters from `first` to `last` lie in, and up to `n_more` on either side."""
        begin = max(bisect_right(self._borders, first) - 1 - n_more, 0)
        end = min(bisect_left(self._borders, last) + n_more, len(self._borders) - 1)
        return self._borders[begin], self._borders[end]

    def between(self, first: int, last: int) -> list[tuple[int, int]]:
        """Each line from `first` to `last`, or the part of it that lies there: (begin, end)."""
        inner = self._borders[bisect_right(self._borders, first) : bisect_left(self._borders, last)]
        return list(itertools.pairwise([first, *inner, last]))
