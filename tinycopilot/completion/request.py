"""Request and Result: the engine's input, settings and output; what is left of a suggestion after typing.

Imports nothing heavy.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

READING_KEYS: Final = 0.4
"""Cost of reading a suggestion, in keystrokes, at eagerness 0.5."""
READING_SPAN: Final = 4.0
"""The cost of reading is divided by this at eagerness 1, and multiplied by it at eagerness 0."""
CONFIDENCE_SPAN: Final = 3.5
"""The same factor for the minimum probability of a suggestion, which is at most MAX_LEAST."""
MAX_LEAST: Final = 0.95
SURE: Final = 0.5
"""Minimum probability of a suggestion of several lines: it takes longer to read, and moves the text below."""


def plain_line_ends(text: str) -> str:
    """`text` with \\n for every line end."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


class Why(Enum):
    """Why a completion is requested."""

    TYPED = "typed"
    """After a possible keystroke, from which the mixture learns."""
    INVOKED = "invoked"
    """Explicit request, which includes alternatives. Nothing is learned."""
    REPLAYED = "replayed"
    """Like TYPED, without learning, which `Engine.observe` does."""


@dataclass(frozen=True)
class Request:
    """A request for text to insert between `before` and `after`. Line ends may be of any kind."""

    before: str
    after: str = ""
    document: str | None = ""
    """Name under which the text is indexed; None: not indexed."""
    why: Why = Why.TYPED
    selected: tuple[str, str] | None = None
    """Text before and after the cursor as they would be after accepting the selected menu entry. They are completed
    instead; since the user may not accept the entry, they are not indexed, learned from or kept."""
    language: str = ""
    """LSP's language identifier, such as "javascript"; "": given by the document's name."""


@dataclass(frozen=True)
class CompleterSettings:
    """The user's settings of completion."""

    eagerness: float = 0.25
    """From 0 (few suggestions) to 1 (many): lowers the required gain and probability."""
    min_confidence: float = 0.2
    """Minimum probability (0 to 1) that a suggestion is correct, whatever its length, at eagerness 0.5."""
    max_chars: int = 120
    """Maximum number of characters in a suggestion."""
    max_lines: int = 3
    """Maximum number of lines in a suggestion; several only at high confidence."""
    threads: int = 1
    """No effect: the network runs on one thread. Accepted so that existing settings stay valid."""

    @property
    def reading_keys(self) -> float:
        """Cost of reading a suggestion, in keystrokes."""
        return READING_KEYS * READING_SPAN ** (1 - 2 * self.eagerness)

    def least_likely(self, n_lines: int) -> float:
        """Minimum probability of a suggestion of `n_lines` lines."""
        least = min(self.min_confidence * CONFIDENCE_SPAN ** (1 - 2 * self.eagerness), MAX_LEAST)
        return max(least, SURE) if n_lines > 1 else least


@dataclass(frozen=True)
class Suggestion:
    """Text to insert at the cursor."""

    text: str
    confidence: float
    """Product of the characters' probabilities as decoded; a lower bound after cutting or typing through."""
    gain: float = 0.0
    """Expected gain in keystrokes, as decoded: keystrokes saved, minus the costs of reading and of waiting."""


class Silence(Enum):
    """Why there is no suggestion."""

    UNSURE = "no suggestion is worth reading"
    CANCELLED = "the request was cancelled"


@dataclass(frozen=True)
class Result:
    """Suggestions, the best first; or the reason for silence."""

    suggestions: tuple[Suggestion, ...] = ()
    silence: Silence | None = None
    has_learned: bool = False
    """Whether the keystroke that led to the request changed the weights of the mixture."""

    @property
    def suggestion(self) -> Suggestion | None:
        """The best suggestion; None if there is none."""
        return self.suggestions[0] if self.suggestions else None


@dataclass(frozen=True)
class ScoredCharacter:
    """A character of a continuation, and its probability."""

    character: str
    log_p: float
    """Natural logarithm of its probability, given what precedes it."""
    likeliest: tuple[tuple[str, float], ...] = ()
    """The most probable characters in its place, with their log p, the most probable first."""


def common_prefix_len(some: str, other: str) -> int:
    """Length of the longest common prefix, in characters. Bisection, with comparisons at C speed."""
    low, high = 0, min(len(some), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if some[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def common_suffix_len(some: str, other: str) -> int:
    """Length of the longest common suffix, in characters."""
    low, high = 0, min(len(some), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if some[len(some) - middle : len(some) - low] == other[len(other) - middle : len(other) - low]:
            low = middle
        else:
            high = middle - 1
    return low


def typed_through(suggestion: str, before_then: str, before_now: str) -> str | None:
    """The rest of a suggestion made after `before_then`, if only its first characters were typed since; otherwise None.

    `before_now` is the text before the cursor now. None, too, if the whole suggestion was typed.
    """
    n_typed = len(before_now) - len(before_then)
    if not 0 <= n_typed < len(suggestion) or before_now != before_then + suggestion[:n_typed]:
        return None
    return suggestion[n_typed:]
