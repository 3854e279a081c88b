"""SessionState: what the engine keeps between requests: masked texts, keystrokes, predictions, what is shown."""

from dataclasses import dataclass, field, replace
from typing import Final

from tinycopilot.completion.decoding import Reader
from tinycopilot.completion.predictor import Place, PredictionCache
from tinycopilot.completion.request import Suggestion, common_prefix_len, common_suffix_len, typed_through
from tinycopilot.files.masking import REACH_CHARS, mask, mask_lines, with_pem_masked

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


class KeystrokeTracker:
    """Finds the character that was typed from one request to the next.

    Each position counts once, and only if it was typed: text that is pasted, accepted, redone, or typed again after a
    backspace does not count. Moving the cursor or switching documents starts over.
    """

    def __init__(self) -> None:
        self._last = Place(None, "", "")
        self._furthest_chars = 0  # everything up to here was counted or existed

    def typed(self, place: Place) -> str:
        """The character typed since the last call, if it counts; otherwise ""."""
        last, self._last = self._last, place
        if (place.document, place.after) != (last.document, last.after):
            self._furthest_chars = len(place.before)
            return ""
        is_one_more = len(place.before) == len(last.before) + 1 and place.before.startswith(last.before)
        is_new = len(place.before) > self._furthest_chars
        self._furthest_chars = max(self._furthest_chars, len(place.before))
        return place.before[-1] if is_one_more and is_new else ""


@dataclass(frozen=True)
class Shown:
    """A suggestion and its place. It may quote any document, so it is valid until one is dropped."""

    place: Place
    suggestion: Suggestion
    n_dropped: int

    def rest_at(self, place: Place, n_dropped: int) -> Suggestion | None:
        """The rest of the suggestion at `place`, if only its first characters were typed since."""
        if (place.document, place.after, n_dropped) != (self.place.document, self.place.after, self.n_dropped):
            return None
        rest = typed_through(self.suggestion.text, self.place.before, place.before)
        return replace(self.suggestion, text=rest) if rest is not None else None


@dataclass
class SessionState:
    """The state of completion between requests. Changed by Engine only."""

    reader: Reader
    """The network's cache, of the last document."""
    maskers: Maskers = field(default_factory=Maskers)
    """Masked text of recent documents, so that only changes are masked again."""
    keystrokes: KeystrokeTracker = field(default_factory=KeystrokeTracker)
    predictions: PredictionCache | None = None
    """The predictions of the last request, for learning from the next keystroke."""
    shown: Shown | None = None
    """The last suggestion, except rests of earlier ones."""
