"""SessionState: what the engine keeps between requests: keystrokes, predictions, what is shown."""

from dataclasses import dataclass, field, replace

from tinycopilot.completion.decoding import Reader
from tinycopilot.completion.masker import Maskers
from tinycopilot.completion.predictor import Place, PredictionCache
from tinycopilot.completion.request import Suggestion, typed_through


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
