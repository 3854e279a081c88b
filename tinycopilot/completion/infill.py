"""Infilling: what to insert where text follows the cursor on its line.

The network reads from left to right. So the continuation is cut where the text after the cursor is likely to come next.
By Bayes' rule, the probability that exactly its first n characters, c, are missing at the cursor is

    p(c) · p(suffix | before + c)  /  (the sum of these products over all n, n = 0 included  +  OTHER)

where `suffix` is the first SUFFIX_CHARS characters after the cursor, and OTHER stands for everything that is not a
beginning of the continuation.
"""

import math
from collections.abc import Callable, Iterable
from typing import Final

from tinycopilot.completion.insertion import Insertion
from tinycopilot.completion.truncation import CompleterSettings, Suggestion, is_worth_showing

SUFFIX_CHARS: Final = 8
OTHER: Final = 0.001
MIN_FIRST_LOG_P: Final = math.log(0.02)
"""Where the first character of the suffix is less likely than this, the rest of the suffix is not read."""
MIN_CONFIDENCE: Final = 0.4
"""An insertion must be at least this likely: the user may not miss anything there."""
MAX_INFILL_CHARS: Final = 40
MIN_P: Final = 0.003
"""A continuation ends before it is less likely than this, so that few are decoded in vain."""


def infill(
    decoded: Iterable[tuple[str, float]],
    suffix_log_p: Callable[[str], float],
    settings: CompleterSettings,
    before: str,
    after: str,
    language: str = "python",
) -> Suggestion | None:
    """The beginning of `decoded`, (character, log-probability) pairs, that is most likely missing between two texts.

    None if none is likely enough, or worth reading. `suffix_log_p(text)` is log p(suffix | before + text).
    """
    beginnings = _beginnings(decoded, settings)
    joint = [math.exp(log_p + suffix_log_p(text)) for text, log_p in beginnings]
    n = max(range(len(joint)), key=joint.__getitem__)
    text, p = beginnings[n][0], joint[n] / (sum(joint) + OTHER)
    gain = p * (len(text) - 1) - settings.reading_keys
    is_shown = p >= max(settings.least_likely(1), MIN_CONFIDENCE) and gain > 0 and is_worth_showing(text)
    return Suggestion(text, p, gain) if is_shown and _fits(text, before, after, language) else None


def _beginnings(decoded: Iterable[tuple[str, float]], settings: CompleterSettings) -> list[tuple[str, float]]:
    """All beginnings of the first line, the empty one included, each with its log-probability."""
    beginnings, text, log_p = [("", 0.0)], "", 0.0
    for character, log_prob in decoded:
        text, log_p = text + character, log_p + log_prob
        if character == "\n" or log_p < math.log(MIN_P):
            break
        beginnings.append((text, log_p))
        if len(text) == min(MAX_INFILL_CHARS, settings.max_chars):
            break
    return beginnings


def _fits(text: str, before: str, after: str, language: str) -> bool:
    insertion = Insertion(before, after, language)
    for character in text:
        insertion.push(character)
    return insertion.may_end
