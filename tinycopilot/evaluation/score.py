"""Score: what a replay came to, and the figures that are told of it."""

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

SHOWN_COST_KEYS = 0.1
"""What it costs to read something new, in keys: it is paid for what is rejected, too."""

N_BINS = 10


@dataclass
class Score:
    """Counts over the keystrokes of a replay; scores add up."""

    n_keys: int = 0
    """Keys that were pressed; one for each suggestion that was accepted."""
    n_keys_by_word: int = 0
    """The same if a user accepts, besides whole suggestions, the words at the beginning of others, a key each."""
    n_chars: int = 0
    """Characters that they came to: indentation at the beginning of a line counts in neither."""
    n_shown: int = 0
    """Suggestions that were new; what is left of one that is typed along is not."""
    accepted_chars: list[int] = field(default_factory=list)
    """How long each accepted suggestion was."""
    n_typed_through: int = 0
    """How often something was shown, and the next character agreed with it."""
    n_flickers: int = 0
    """How often something else was shown thereafter."""
    bits: Counter[str] = field(default_factory=Counter)
    """The sum of -log2 p(true character) over all characters, by whose prediction it is."""
    n_bits_chars: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    """From the question to the answer, at the engine's door."""
    cpu_s: float = 0.0

    def count_bits(self, bits: dict[str, float]) -> None:
        """One more character: what it cost in bits, by whose prediction."""
        self.bits.update(bits)
        self.n_bits_chars += 1

    def __add__(self, other: "Score") -> "Score":
        added = {name: value + getattr(other, name) for name, value in vars(self).items()}
        added["bits"] = Counter(self.bits)
        added["bits"].update(other.bits)  # where + would leave out what is 0 in sum
        return Score(**added)

    def figures(self) -> dict[str, Any]:
        """The measures by name, shares from 0 to 1; None where there is nothing to measure."""
        reading_keys = SHOWN_COST_KEYS * self.n_shown
        return {
            "chars": self.n_bits_chars,
            "bits_per_char": {name: _rounded(bits / self.n_bits_chars) for name, bits in self.bits.items()},
            "keystrokes_saved": {
                "net": _ratio(self.n_chars - self.n_keys - reading_keys, self.n_chars),
                "net_by_word": _ratio(self.n_chars - self.n_keys_by_word - reading_keys, self.n_chars),
                "gross": _ratio(self.n_chars - self.n_keys, self.n_chars),
            },
            "shown_per_100": _ratio(100 * self.n_shown, self.n_chars),
            "accepted_share": _ratio(len(self.accepted_chars), self.n_shown),
            "median_accepted": statistics.median(self.accepted_chars) if self.accepted_chars else None,
            "flicker": _ratio(self.n_flickers, self.n_typed_through),
            "latency_ms": {f"p{share}": percentile(self.latencies_ms, share / 100) for share in (50, 95, 99)},
            "cpu_s_per_1000_keys": _ratio(1000 * self.cpu_s, self.n_keys),
        }


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest of `values` that at least `share` of them do not exceed (the nearest rank); None of none."""
    if not values:
        return None
    return _rounded(sorted(values)[max(0, math.ceil(share * len(values)) - 1)])


@dataclass(frozen=True)
class CalibrationBin:
    """Suggestions of about the same confidence: what was said of them, and what came true."""

    n: int
    confidence: float
    """The mean of their confidences."""
    right: float
    """The share of them that were right."""


def calibration(shown: Sequence[tuple[float, bool]]) -> list[CalibrationBin]:
    """(confidence, whether it was right) pairs in N_BINS bins of equal count, as far as that goes, least sure first."""
    ordered = sorted(shown)
    edges = [len(ordered) * i // N_BINS for i in range(N_BINS + 1)]
    parts = [ordered[first:last] for first, last in itertools.pairwise(edges) if first < last]
    return [
        CalibrationBin(
            len(part), statistics.fmean(sure for sure, _ in part), statistics.fmean(right for _, right in part)
        )
        for part in parts
    ]


def calibration_error(bins: Sequence[CalibrationBin]) -> float | None:
    """How far what was said is from what came true, in the mean (Naeini et al. 2015); None of none."""
    return _ratio(sum(b.n * abs(b.confidence - b.right) for b in bins), sum(b.n for b in bins))


def _ratio(count: float, of: float) -> float | None:
    return _rounded(count / of) if of else None


def _rounded(value: float) -> float:
    return round(value, 4)
