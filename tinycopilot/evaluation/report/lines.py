"""Line numbers and line boundaries of a text."""

import itertools
from bisect import bisect_left, bisect_right


class Lines:
    """The boundaries of lines; a line break belongs to its line."""

    def __init__(self, text: str) -> None:
        ends = (i + 1 for i, character in enumerate(text) if character == "\n")
        self._borders = list(dict.fromkeys([0, *ends, len(text)]))

    def number(self, at: int) -> int:
        """Return the number of the line that contains offset `at`, from 1."""
        return bisect_right(self._borders, at)

    def around(self, first: int, last: int, n_more: int = 0) -> tuple[int, int]:
        """Return the range of whole lines that contain first ... last, and up to `n_more` lines on either side."""
        begin = max(bisect_right(self._borders, first) - 1 - n_more, 0)
        end = min(bisect_left(self._borders, last) + n_more, len(self._borders) - 1)
        return self._borders[begin], self._borders[end]

    def between(self, first: int, last: int) -> list[tuple[int, int]]:
        """Return the (start, end) of each line, or part of a line, from `first` to `last`."""
        inner = self._borders[bisect_right(self._borders, first) : bisect_left(self._borders, last)]
        return list(itertools.pairwise([first, *inner, last]))
