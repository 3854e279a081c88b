"""Where a suggestion ends, and when to stay silent: it must be worth more than it costs to read."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Final

from tinycopilot.completion.lexical import lexical_context

MIN_VISIBLE_CHARS = 2
"""A suggestion with fewer characters that are not blank saves nothing: it is not shown."""
READING_KEYS: Final = 0.4
"""What it costs to read a suggestion, in keys, at the usual eagerness."""
READING_SPAN: Final = 4.0
"""By so much is that divided at the highest eagerness, and multiplied at the lowest."""
CONFIDENCE_SPAN: Final = 2.5
"""The same for how likely a suggestion must be."""
SURE: Final = 0.5
"""A suggestion of several lines must be at least so likely, for there is more to read, and it pushes the text down."""
QUOTES: Final = ("'", '"')
N_LINES_ABOVE: Final = 3
"""A line that stands among so many above it is decoded again by mistake: nine times in ten it is not meant."""
LOOK_BACK_CHARS: Final = 2_000
"""They are looked for in so many characters."""
WAITING_KEYS: Final = 0.3
"""Keys saved by what would have been shown instead, for each character that is typed while a suggestion stands."""


@dataclass(frozen=True)
class CompleterSettings:
    """What a user may set of how it completes."""

    eagerness: float = 0.5
    """From 0, quiet, to 1, talkative: how little a suggestion may be worth, and how unsure it may be, to be shown."""
    min_confidence: float = 0.2
    """A suggestion that is less likely than this to be right is not shown, however long it is (0 to 1); at the usual
    eagerness, and at another, more or less."""
    max_chars: int = 120
    """A suggestion is at most this many characters long."""
    max_lines: int = 3
    """A suggestion has at most this many lines; more than one only where it is sure."""
    threads: int = 1
    """Processor threads for the network; a second one suffers as soon as the editor is busy."""

    @property
    def reading_keys(self) -> float:
        """What it costs to read a suggestion, in keys."""
        return READING_KEYS * READING_SPAN ** (1 - 2 * self.eagerness)

    def least_likely(self, n_lines: int) -> float:
        """So likely a suggestion of `n_lines` must be at least."""
        least = self.min_confidence * CONFIDENCE_SPAN ** (1 - 2 * self.eagerness)
        return max(least, SURE) if n_lines > 1 else least


@dataclass(frozen=True)
class Suggestion:
    """Text to insert at the cursor."""

    text: str
    confidence: float
    """The product of its characters' probabilities as decoded; what was cut off or typed since only adds to it."""
    gain: float = 0.0
    """Expected number of keystrokes saved when it was decoded, minus the cost of reading it."""


def truncate(decoded: Iterable[tuple[str, float]], settings: CompleterSettings, before: str = "") -> Suggestion | None:
    """Of `decoded`, (character, log-probability) pairs, the beginning that is worth most; None to stay silent.

    With probability p all n characters are what comes next: then one key stands for n. Else the suggestion is in the
    way for as long as it is typed along. So its worth in keys is

        p · (n - 1)  -  reading_keys  -  WAITING_KEYS · (how many characters are passed, on average, beyond the first)

    which makes few long suggestions of many scraps, and is silent where nothing is worth more than nothing. It ends
    well after `before`, as Ending has it. Indentation, which editors write, is worth nothing.
    """
    ending = Ending(before)
    best, most_keys = None, 0.0
    text, log_p, p, n_keys, n_lines = "", 0.0, 1.0, 0, 1
    n_passed = 0.0  # the sum of p over all beginnings: how many characters are passed until it is wrong or accepted
    for character, log_prob in decoded:
        keys = p * (n_keys - 1) - settings.reading_keys - WAITING_KEYS * (n_passed - 1)
        if keys > most_keys and is_worth_showing(text) and ending.is_good(text, character):
            best, most_keys = Suggestion(text, p, keys), keys
        n_lines += character == "\n"
        if n_lines > settings.max_lines or len(text) == settings.max_chars:
            break
        text += character
        n_passed += p
        n_keys += not _is_indentation(text)
        log_p += log_prob
        p = math.exp(log_p)
        if p < settings.least_likely(n_lines):
            break
    return best


def is_worth_showing(text: str) -> bool:
    """Whether accepting it would save anything."""
    return sum(not character.isspace() for character in text) >= MIN_VISIBLE_CHARS


class Ending:
    """Where a suggestion that follows upon `before` may end."""

    def __init__(self, before: str) -> None:
        self._before = before
        *lines, self._begun = before[-LOOK_BACK_CHARS:].split("\n")
        self._above = set(islice(filter(None, map(_words, reversed(lines))), N_LINES_ABOVE))

    def is_good(self, text: str, following: str) -> bool:
        """Not in a blank, nor in the middle of a word or of quotes that `following` goes on with.

        Nor where the line is one of those right above it again, nor in a string that it has opened in code.
        """
        last = text[-1:]
        goes_on = (_in_word(last) and _in_word(following)) or (last in QUOTES and last == following)
        says_again = _words(self._begun + text) in self._above
        return not (last.isspace() or goes_on or says_again or (lexical_context(text) == "string" and self._in_code))

    @cached_property
    def _in_code(self) -> bool:
        return lexical_context(self._before) == "code"


def _words(line: str) -> str:
    """A line without indentation, and without the signs at its end."""
    return re.sub(r"\W+$", "", line.strip())


def _is_indentation(text: str) -> bool:
    """Whether the last character is blank, and so is all before it in a line that began with this suggestion."""
    return "\n" in text and text[-1] in " \t" and not text[text.rfind("\n") :].strip()


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_"
