"""Score: counts of a replay, and metrics: keystrokes saved, suggestions accepted, bits, calibration."""

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tinycopilot.completion.request import Suggestion

DISPLAY_PENALTY_KEYS = 0.1
"""Subtracted from the keystrokes saved for each new suggestion shown, accepted or not.

Fixed, unlike the cost of reading that decides whether a suggestion is shown (CompleterSettings.reading_keys).
"""

MAX_BINS = 10
MIN_BIN_SIZE = 50
"""Accuracy over fewer suggestions would be mostly noise, which a calibration error counts as error."""


@dataclass(frozen=True)
class ShownSuggestion:
    """A new suggestion, and the number of its correct characters."""

    name: str
    at: int
    """Offset of the cursor."""
    line: int
    """Line number, from 1."""
    before: str
    """The line up to the cursor."""
    context: str
    """`line start`, before the first word of a line; otherwise `code`, `comment` or `string`."""
    suggestion: Suggestion
    n_correct: int
    """Number of correct characters."""

    @property
    def accepted(self) -> bool:
        """Whether all of it was correct."""
        return self.n_correct == len(self.suggestion.text)


@dataclass
class Score:
    """Counts over the keystrokes of a replay. Scores can be added."""

    n_keys: int = 0
    """Keystrokes, one for each accepted suggestion."""
    n_keys_by_word: int = 0
    """Keystrokes if the correct leading words of other suggestions are accepted, too, one key each."""
    n_chars: int = 0
    """Characters produced by these keystrokes. Indentation counts neither as keystrokes nor as characters."""
    shown: list[ShownSuggestion] = field(default_factory=list)
    """New suggestions, in order; the rest of one that is typed through is not new."""
    n_typed_through: int = 0
    """Keystrokes that matched the suggestion shown."""
    n_flickers: int = 0
    """Flickers: the suggestion changed although the keystroke matched it."""
    bits: list[dict[str, float]] = field(default_factory=list)
    """-log2 p of each correct character, by predictor (`network`, `memory`, `mixed`)."""
    latencies_ms: list[float] = field(default_factory=list)
    """Latencies in the engine, from request to result."""
    cpu_s: float = 0.0

    def __add__(self, other: "Score") -> "Score":
        return Score(**{name: value + getattr(other, name) for name, value in vars(self).items()})

    def figures(self) -> dict[str, Any]:
        """Return the metrics by name, shares from 0 to 1; None if there is nothing to measure."""
        penalty_keys = DISPLAY_PENALTY_KEYS * len(self.shown)
        accepted_chars = [len(one.suggestion.text) for one in self.shown if one.accepted]
        contexts = sorted({one.context for one in self.shown})
        sums = Counter[str]()
        for bits in self.bits:
            sums.update(bits)
        return {
            "chars": len(self.bits),
            "bits_per_char": {source: _rounded(bits / len(self.bits)) for source, bits in sums.items()},
            "keystrokes_saved": {
                "net": _ratio(self.n_chars - self.n_keys - penalty_keys, self.n_chars),
                "net_by_word": _ratio(self.n_chars - self.n_keys_by_word - penalty_keys, self.n_chars),
                "gross": _ratio(self.n_chars - self.n_keys, self.n_chars),
            },
            "shown_per_100": _ratio(100 * len(self.shown), self.n_chars),
            "accepted_share": _ratio(len(accepted_chars), len(self.shown)),
            "median_accepted": statistics.median(accepted_chars) if accepted_chars else None,
            "flicker": _ratio(self.n_flickers, self.n_typed_through),
            "latency_ms": percentiles(self.latencies_ms),
            "cpu_s_per_1000_keys": _ratio(1000 * self.cpu_s, self.n_keys),
            "calibration_error": calibration_error(self.shown),
            "calibration_error_by_context": {
                context: calibration_error([one for one in self.shown if one.context == context])
                for context in contexts
            },
        }


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the nearest-rank percentile; `share` is 0 to 1. None if `values` is empty."""
    if not values:
        return None
    return _rounded(sorted(values)[max(0, math.ceil(share * len(values)) - 1)])


def percentiles(values: Sequence[float], shares: Sequence[int] = (50, 95, 99)) -> dict[str, float | None]:
    """Return the percentiles p50, p95 and p99, or those given by `shares` in percent."""
    return {f"p{share}": percentile(values, share / 100) for share in shares}


@dataclass(frozen=True)
class CalibrationBin:
    """Suggestions of similar confidence."""

    n: int
    confidence: float
    """Mean confidence."""
    right: float
    """Share that was correct."""


def calibration(shown: Sequence[ShownSuggestion]) -> list[CalibrationBin]:
    """Return at most MAX_BINS bins of nearly equal count, by confidence."""
    ordered = sorted((one.suggestion.confidence, one.accepted) for one in shown)
    n_bins = max(1, min(MAX_BINS, len(ordered) // MIN_BIN_SIZE))
    edges = [len(ordered) * i // n_bins for i in range(n_bins + 1)]
    parts = [ordered[first:last] for first, last in itertools.pairwise(edges) if first < last]
    return [
        CalibrationBin(
            len(part), statistics.fmean(sure for sure, _ in part), statistics.fmean(right for _, right in part)
        )
        for part in parts
    ]


def calibration_error(shown: Sequence[ShownSuggestion]) -> float | None:
    """Return the expected calibration error (Naeini et al. 2015); None without suggestions."""
    bins = calibration(shown)
    return _ratio(sum(b.n * abs(b.confidence - b.right) for b in bins), sum(b.n for b in bins))


def _ratio(count: float, of: float) -> float | None:
    return _rounded(count / of) if of else None


def _rounded(value: float) -> float:
    return round(value, 4)
