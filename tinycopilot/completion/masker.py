"""Masker: apply `masking.mask` to one document incrementally, so that a keystroke costs only the changed lines."""

from typing import Final

from tinycopilot.completion.request import common_prefix_len, common_suffix_len
from tinycopilot.files.masking import MASK, REACH_CHARS, mask, mask_lines, with_pem_masked

N_MASKERS: Final = 4
"""Number of recent documents whose masked text is kept."""
BEFORE_CHARS, AFTER_CHARS = 8_000, 1_000
"""In a document that is not indexed, only this much text around the cursor is masked: more than the network reads."""


class Masker:
    """Masks successive versions of one document. Not thread-safe."""

    def __init__(self) -> None:
        self._text = self._lines = ""  # `_lines` is `mask_lines(_text)`

    def mask(self, text: str) -> str:
        """Same as `masking.mask(text)`."""
        if text != self._text:
            self._text, self._lines = text, self._after_edit(text)
        return with_pem_masked(text, self._lines)

    def _after_edit(self, text: str) -> str:
        """Same as `mask_lines(text)`: the changed lines and the one after them are masked again."""
        head = common_prefix_len(self._text, text)
        tail = common_suffix_len(self._text[head:], text[head:])
        start = _start_of_line(text, head)
        end = _end_of_line(text, _end_of_line(text, len(text) - tail))
        before, after = _start_of_line(text, max(0, start - 1)), _end_of_line(text, end)
        again = mask_lines(text[before:after])[start - before : end - before]
        return self._lines[:start] + again + self._lines[len(self._lines) - (len(text) - end) :]


def _start_of_line(text: str, at: int) -> int:
    """The start of the line that contains `at`, or of a part of it that is longer than any secret."""
    start = text.rfind("\n", max(0, at - REACH_CHARS), at)
    return start + 1 if start >= 0 else max(0, at - REACH_CHARS)


def _end_of_line(text: str, at: int) -> int:
    end = text.find("\n", at, at + REACH_CHARS)
    return end + 1 if end >= 0 else min(len(text), at + REACH_CHARS)


class Maskers:
    """A Masker for each recent document."""

    def __init__(self) -> None:
        self._maskers: dict[str, Masker] = {}  # least recently used first

    def mask(self, document: str | None, before: str, after: str) -> tuple[str, str]:
        """Mask the texts on both sides of the cursor as one text; lengths stay the same."""
        if document is None:
            head, tail = before[-BEFORE_CHARS:], after[:AFTER_CHARS]
            masked = mask(head + tail)
            return before[: len(before) - len(head)] + masked[: len(head)], masked[len(head) :] + after[len(tail) :]
        masker = self._maskers.pop(document, None) or Masker()
        self._maskers[document] = masker
        if len(self._maskers) > N_MASKERS:
            del self._maskers[next(iter(self._maskers))]
        masked = masker.mask(before + after)
        return masked[: len(before)], masked[len(before) :]


def adds_secret(suggestion: str, before: str, after: str) -> bool:
    """Whether a part of `suggestion` would be masked between the (masked) texts `before` and `after`."""
    head, tail = before[-REACH_CHARS:].split("\n")[-2:], after[:REACH_CHARS].partition("\n")[0]
    start = len("\n".join(head))
    masked = mask("\n".join(head) + suggestion + tail)
    return MASK in masked[start : start + len(suggestion)]
