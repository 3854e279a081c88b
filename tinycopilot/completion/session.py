"""SessionState: everything that completion keeps from one request to the next, as one value."""

from dataclasses import dataclass, field, replace

from tinycopilot.completion.common_prefix import typed_through
from tinycopilot.completion.decoding import Readers
from tinycopilot.completion.masker import Maskers
from tinycopilot.completion.predictor import Place, PredictionCache
from tinycopilot.completion.truncation import Suggestion


class KeystrokeTracker:
    """Finds the character that was typed from one request to the next.

    Each position counts once, and only if it was typed: not what is pasted, accepted, undone and redone, or typed again
    after a backspace. Moving to another place or document starts over there.
    """

    def __init__(self) -> None:
        self._last = Place(None, "", "")
        self._furthest_chars = 0  # everything up to here was counted, or was there

    def typed(self, place: Place) -> str:
        """The character that was typed since the last call and counts; "" if there is none."""
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
    """A suggestion and where it was made, valid until a document is removed (it may come from that)."""

    place: Place
    suggestion: Suggestion
    n_dropped: int

    def rest_at(self, place: Place, n_dropped: int) -> Suggestion | None:
        """What is left of it at `place`, if what was typed since is its beginning."""
        if (place.document, place.after, n_dropped) != (self.place.document, self.place.after, self.n_dropped):
            return None
        rest = typed_through(self.suggestion.text, self.place.before, place.before)
        return replace(self.suggestion, text=rest) if rest is not None else None


@dataclass(frozen=True)
class FoundAhead:
    """The answer to a request that may come, valid as long as the n-gram model is of this edition."""

    suggestion: Suggestion | None
    predictions: PredictionCache
    edition: int

    def is_for(self, place: Place, edition: int) -> bool:
        """Whether it answers a request at `place`."""
        return (self.predictions.place, self.edition) == (place, edition)


@dataclass
class SessionState:
    """Changed by Engine alone."""

    readers: Readers
    """What the network has read."""
    maskers: Maskers = field(default_factory=Maskers)
    """What was masked in each document, so that only what changes is masked again."""
    keystrokes: KeystrokeTracker = field(default_factory=KeystrokeTracker)
    predictions: PredictionCache | None = None
    """Made for the last request: what can be learned from the next keystroke."""
    shown: Shown | None = None
    """The last suggestion that was not the rest of another one."""
    ahead: FoundAhead | None = None
