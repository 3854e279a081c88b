"""Infilling: where a suggestion in the middle of a line ends, and whether it is likely enough to be shown.

The network reads only from left to right, so its continuation is cut where the text after the cursor is likely to
follow. By Bayes' rule, the probability that exactly its first n characters, c, are missing at the cursor is

    p(c) · p(suffix | before + c)  /  (the sum of these products over all n, n = 0 included  +  OTHER)

where `suffix` is the first SUFFIX_CHARS characters after the cursor, and OTHER stands for everything that is not a
beginning of the continuation.
"""

import math
from collections.abc import Callable, Iterable
from typing import Final

from tinycopilot.completion.insertion import BROKEN, Insertion, rest_of_line
from tinycopilot.completion.lexical import State, advance, resolve, state_after
from tinycopilot.completion.request import CompleterSettings, Suggestion
from tinycopilot.completion.syntaxes import Syntax, syntax_of
from tinycopilot.completion.truncation import Obstacle, Prefix, is_worth_showing

SUFFIX_CHARS: Final = 8
OTHER: Final = 0.001
MIN_FIRST_LOG_P: Final = math.log(0.02)
"""If the first character of the suffix is less likely than this, the rest isn't read."""
MIN_CONFIDENCE: Final = 0.4
"""Minimum probability of an insertion."""
MAX_INFILL_CHARS: Final = 40
MIN_P: Final = 0.003
"""Decoding stops when the continuation is less likely than this."""


def insertions(
    decoded: Iterable[tuple[str, float]], suffix_log_p: Callable[[str], float], settings: CompleterSettings
) -> list[Prefix]:
    """The prefixes of the first line of `decoded`, (character, log-probability) pairs; the empty one first.

    The confidence of each is the probability that exactly it is missing. `suffix_log_p(text)` is
    log p(suffix | before + text).
    """
    prefixes, text, log_p = [("", 0.0)], "", 0.0
    for character, log_prob in decoded:
        text, log_p = text + character, log_p + log_prob
        if character == "\n" or log_p < math.log(MIN_P):
            break
        prefixes.append((text, log_p))
        if len(text) == min(MAX_INFILL_CHARS, settings.max_chars):
            break
    joint = [math.exp(log_p + suffix_log_p(text)) for text, log_p in prefixes]
    total = sum(joint) + OTHER
    return [
        Prefix(text, p / total, p / total * (len(text) - 1), settings.reading_keys, 0.0)
        for (text, _), p in zip(prefixes, joint, strict=True)
    ]


def infill(
    prefixes: list[Prefix], settings: CompleterSettings, before: str, after: str, language: str = "python"
) -> Suggestion | None:
    """The most likely of `insertions`; None if it isn't likely enough, isn't worth reading, or breaks the code."""
    best = max(prefixes, key=lambda prefix: prefix.confidence)
    if best.gain <= 0 or obstacle(best, settings, before, after, language) is not None:
        return None
    return Suggestion(best.text, best.confidence, best.gain)


def obstacle(
    prefix: Prefix, settings: CompleterSettings, before: str, after: str, language: str = "python"
) -> Obstacle | None:
    """Return why a prefix may not be inserted; None if it may."""
    if not is_worth_showing(prefix.text):
        return Obstacle.TOO_SHORT
    if prefix.confidence < max(settings.least_likely(1), MIN_CONFIDENCE):
        return Obstacle.NOT_MISSING
    insertion = Insertion(before, after, language)
    for character in prefix.text:
        insertion.push(character)
    is_safe = insertion.may_end and keeps_line(prefix.text, before, after, syntax_of(language))
    return None if is_safe else Obstacle.UNSAFE


def keeps_line(text: str, before: str, after: str, syntax: Syntax) -> bool:
    """Whether inserting `text` leaves the same strings and brackets open at the end of the line, without new faults.

    A bracket that the line closes without having opened it may be opened by `text`.
    """
    line = rest_of_line(after)
    at_cursor = state_after(before, syntax).marked()
    without = resolve(advance(at_cursor, line, syntax), syntax)
    with_text = resolve(advance(at_cursor, text + line, syntax), syntax)
    return _open(with_text) == _open(without) and not with_text.faults & BROKEN & ~without.faults


def _open(state: State) -> list[tuple[str, str]]:
    return [(frame.kind, frame.closer) for frame in state.frames]
