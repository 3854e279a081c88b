"""Truncation: where a suggestion ends, and when to stay silent, by its confidence and expected gain."""

import math
import re
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import islice
from typing import Final, NamedTuple

from tinycopilot.completion.insertion import Insertion
from tinycopilot.completion.lexical import is_within
from tinycopilot.completion.plausibility import Plausibility
from tinycopilot.completion.request import CompleterSettings, Suggestion

MIN_VISIBLE_CHARS = 2
"""Minimum number of non-blank characters: a shorter suggestion saves nothing."""
N_LINES_ABOVE: Final = 3
"""A line that repeats one of this many lines above is a decoding error: about 90 % of them are wrong."""
LOOK_BACK_CHARS: Final = 2_000
"""Distance, in characters, within which repeated lines are searched."""
WAITING_KEYS: Final = 0.3
"""Keystrokes that another suggestion would have saved, per character typed through this one."""
_UP_TO_LAST_WORD: Final = re.compile(r".*\w", re.DOTALL)


class Obstacle(Enum):
    """Why a suggestion may not end after a prefix."""

    TOO_SHORT = "too short"
    BLANK = "ends with whitespace"
    IN_WORD = "inside a word"
    INDENTS = "indents a line that is already indented"
    REPEATS = "repeats a line above"
    UNSAFE = "unbalanced code"
    IMPLAUSIBLE = "implausible in this context"
    NOT_MISSING = "not missing"


class Stop(Enum):
    """Why decoding stopped, so that a suggestion cannot be longer."""

    UNLIKELY = "the next character would have brought the confidence below the minimum"
    MAX_LINES = "the maximum number of lines was reached"
    MAX_CHARS = "the maximum number of characters was reached"
    UNSAFE = "the next character would have broken a string or bracket"
    DECODED = "there was nothing more to decode"


class Prefix(NamedTuple):
    """A prefix of the decoded text, and the terms of its expected gain, in keystrokes; `truncate` has the formula."""

    text: str
    confidence: float
    """p: the product of its characters' probabilities."""
    saved_keys: float
    reading_keys: float
    waiting_keys: float

    @property
    def gain(self) -> float:
        """Expected number of keystrokes saved, minus the costs."""
        return self.saved_keys - self.reading_keys - self.waiting_keys


class Prefixes:
    """The prefixes of `decoded`, in order, up to the longest possible suggestion."""

    def __init__(
        self,
        decoded: Iterable[tuple[str, float]],
        settings: CompleterSettings,
        before: str = "",
        after: str = "",
        language: str = "python",
    ) -> None:
        self._decoded, self._settings = decoded, settings
        self._insertion, self._plausibility = Insertion(before, after, language), Plausibility(before, after, language)
        *lines, self._begun = before[-LOOK_BACK_CHARS:].split("\n")
        self._above = set(islice(filter(None, map(_words, reversed(lines))), N_LINES_ABOVE))
        self._text = self._following = ""
        self.stop = Stop.DECODED
        """Why the last prefix is the last one."""

    def __iter__(self) -> Iterator[Prefix]:
        """Can be iterated once."""
        settings, insertion = self._settings, self._insertion
        text, log_p, p, n_keys, n_lines = "", 0.0, 1.0, 0, 1
        n_passed = 0.0  # sum of p over all prefixes: expected number of characters typed until it is wrong or accepted
        for character, log_prob in self._decoded:
            self._text, self._following = text, character
            yield Prefix(text, p, p * (n_keys - 1), settings.reading_keys, WAITING_KEYS * (n_passed - 1))
            n_lines += character == "\n"
            if n_lines > settings.max_lines or len(text) == settings.max_chars:
                self.stop = Stop.MAX_LINES if n_lines > settings.max_lines else Stop.MAX_CHARS
                break
            text += character
            insertion.push(character)
            n_passed += p
            n_keys += not _is_indentation(text)
            log_p += log_prob
            p = math.exp(log_p)
            if p < settings.least_likely(n_lines) or insertion.is_broken:
                self.stop = Stop.UNSAFE if insertion.is_broken else Stop.UNLIKELY
                break

    def obstacle(self) -> Obstacle | None:
        """Why a suggestion may not end after the last prefix yielded; None if it may."""
        text, last = self._text, self._text[-1:]
        if not is_worth_showing(text):
            return Obstacle.TOO_SHORT
        if last.isspace():
            return Obstacle.BLANK
        if is_within(last, self._following):
            return Obstacle.IN_WORD
        if self._begun.isspace() and text[0].isspace() and not text.startswith("\n"):
            return Obstacle.INDENTS
        lines = [_words(line) for line in (self._begun + text).split("\n")]
        repeats_own = any(line and earlier.startswith(line) for i, line in enumerate(lines) for earlier in lines[:i])
        if repeats_own or (len(lines) == 1 and lines[0] in self._above):
            return Obstacle.REPEATS
        if not self._insertion.may_end:
            return Obstacle.UNSAFE
        return None if self._plausibility.is_plausible(text, self._following) else Obstacle.IMPLAUSIBLE


def truncate(
    decoded: Iterable[tuple[str, float]],
    settings: CompleterSettings,
    before: str = "",
    after: str = "",
    language: str = "python",
) -> Suggestion | None:
    """The prefix of `decoded`, (character, log-probability) pairs, with the highest expected gain; None to stay silent.

    With probability p all n characters are correct: then one key replaces n. Otherwise the suggestion is in the way
    while its first characters are typed. So its expected gain in keystrokes is

        p · (n - 1)  -  reading_keys  -  WAITING_KEYS · (expected number of characters typed through, beyond the first)

    which favors few long suggestions over many short ones; if no prefix has a positive gain, nothing is shown. It ends
    at the end of a word that repeats no line, where accepting it keeps the code between `before` and `after` valid
    (`Insertion`), and where it is plausible (`Plausibility`). Indentation, which editors insert, is worth nothing.
    """
    prefixes = Prefixes(decoded, settings, before, after, language)
    best, most_keys = None, 0.0
    for prefix in prefixes:
        if (gain := prefix.gain) > most_keys and prefixes.obstacle() is None:
            best, most_keys = Suggestion(prefix.text, prefix.confidence, gain), gain
    return best


def is_worth_showing(text: str) -> bool:
    """Whether accepting the text saves anything."""
    return sum(not character.isspace() for character in text) >= MIN_VISIBLE_CHARS


def _words(line: str) -> str:
    """A line without indentation and trailing symbols."""
    found = _UP_TO_LAST_WORD.match(line.strip())
    return found[0] if found else ""


def _is_indentation(text: str) -> bool:
    """Whether the text ends in the indentation of a line that the suggestion itself starts."""
    return "\n" in text and text[-1] in " \t" and not text[text.rfind("\n") :].strip()
