"""Where a suggestion ends, and when to stay silent."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

MIN_VISIBLE_CHARS = 2
"""A suggestion with fewer characters that are not blank saves nothing: it is not shown."""


@dataclass(frozen=True)
class CompleterSettings:
    """What a user may set of how it completes."""

    min_confidence: float = 0.3
    """A suggestion ends before the product of its characters' probabilities falls below this (0 to 1)."""
    max_chars: int = 120
    """A suggestion is at most this many characters long."""
    max_lines: int = 1
    """A suggestion has at most this many lines."""
    threads: int = 1
    """Processor threads for the network; a second one suffers as soon as the editor is busy."""


@dataclass(frozen=True)
class Suggestion:
    """Text to insert at the cursor."""

    text: str
    confidence: float
    """The product of its characters' probabilities as decoded; what was cut off or typed since only adds to it."""


def take(decoded: Iterable[tuple[str, float]], settings: CompleterSettings) -> Suggestion | None:
    """As much of `decoded`, (character, log-probability) pairs, as is likely enough; None to stay silent.

    It ends at the end of the last line allowed, or where confidence or length run out; then it goes back to the end
    of the last whole word, since half a name helps nobody.
    """
    text, log_confidence = "", 0.0
    log_confidences = [0.0]
    least = math.log(settings.min_confidence) if settings.min_confidence > 0 else -math.inf
    for character, log_prob in decoded:
        if character == "\n" and text.count("\n") + 1 >= settings.max_lines:
            break
        log_confidence += log_prob
        if log_confidence < least or len(text) >= settings.max_chars:
            text = _whole_words(text, character)
            break
        text += character
        log_confidences.append(log_confidence)
    text = text.rstrip()
    if not is_worth_showing(text):
        return None
    return Suggestion(text, math.exp(log_confidences[len(text)]))


def is_worth_showing(text: str) -> bool:
    """Whether accepting it would save anything."""
    return sum(not character.isspace() for character in text) >= MIN_VISIBLE_CHARS


def _whole_words(text: str, following: str) -> str:
    """`text` without the beginning of a word that `following` would go on with."""
    if not _in_word(following):
        return text
    end = len(text)
    while end and _in_word(text[end - 1]):
        end -= 1
    return text[:end]


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_"
