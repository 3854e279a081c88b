"""Truncation: decide by confidence and expected gain where a suggestion ends and whether it is shown; post-processing.

At the end of a line, `truncate` chooses the prefix of the decoded text with the highest expected gain, and
`postprocess` cuts it where it would break or repeat code. In the middle of a line, `infill` chooses the prefix that is
most likely missing there. The network reads only from left to right, so its continuation is cut where the text after
the cursor is likely to follow. By Bayes' rule, the probability that exactly its first n characters, c, are missing is

    p(c) · p(suffix | before + c)  /  (the sum of these products over all n, n = 0 included  +  OTHER)

where `suffix` is the first SUFFIX_CHARS characters after the cursor, and OTHER stands for everything that is not a
beginning of the continuation.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from itertools import islice
from typing import Final, NamedTuple

from tinycopilot.completion.insertion import BROKEN, Insertion, rest_of_line
from tinycopilot.completion.lexical import QUOTES, State, advance, is_within, resolve, state_after
from tinycopilot.completion.plausibility import Plausibility
from tinycopilot.completion.request import CompleterSettings, Suggestion
from tinycopilot.completion.syntaxes import Syntax, syntax_of
from tinycopilot.files.masking import MASK, REACH_CHARS, mask

MIN_VISIBLE_CHARS = 2
"""Minimum number of non-blank characters: a shorter suggestion saves nothing."""
N_LINES_ABOVE: Final = 3
"""A line that repeats one of this many lines above is a decoding error: about 90 % of them are wrong."""
LOOK_BACK_CHARS: Final = 2_000
"""Distance, in characters, within which repeated lines are searched."""
WAITING_KEYS: Final = 0.3
"""Keystrokes that another suggestion would have saved, per character typed through this one."""
SUFFIX_CHARS: Final = 8
"""Length of the text after the cursor that infilling looks at."""
OTHER: Final = 0.001
MIN_FIRST_LOG_P: Final = math.log(0.02)
"""If the first character of the suffix is less likely than this, the rest isn't read."""
MIN_INFILL_CONFIDENCE: Final = 0.4
"""Minimum probability of an insertion."""
MAX_INFILL_CHARS: Final = 40
"""Maximum length of an insertion."""
MIN_INFILL_P: Final = 0.003
"""In the middle of a line, decoding stops when the continuation is less likely than this."""
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


def adds_secret(suggestion: str, before: str, after: str) -> bool:
    """Whether a part of `suggestion` would be masked between the (masked) texts `before` and `after`."""
    head, tail = before[-REACH_CHARS:].split("\n")[-2:], after[:REACH_CHARS].partition("\n")[0]
    start = len("\n".join(head))
    masked = mask("\n".join(head) + suggestion + tail)
    return MASK in masked[start : start + len(suggestion)]


def is_at_line_end(after: str) -> bool:
    """Whether nothing follows the cursor on its line but closing brackets and the like."""
    return re.match(r"[^\w\r\n]*(?:[\r\n]|\Z)", after) is not None


def postprocess(text: str, before: str, after: str, language: str = "python") -> str:
    """The longest prefix of `text` that is not in the file already, and keeps the code around it valid.

    It ends before a line that is already the next line of the file; before a line that mixes tabs and spaces; and at a
    word end where `Insertion` allows it: in the first line, if text follows on the cursor's line.
    """
    text = _without_other_indentation(_without_next_line(text, before, after), before)
    return _safe(text, before, after, language)


def _safe(text: str, before: str, after: str, language: str) -> str:
    """Cut at the last position, neither in a word nor after whitespace, where the text may be inserted."""
    insertion, n_safe = Insertion(before, after, language), 0
    for n, character in enumerate(text, 1):
        insertion.push(character)
        if insertion.is_broken:
            break
        following = text[n : n + 1]
        continues = is_within(character, following) or (insertion.is_in_token and character not in QUOTES and following)
        if not (continues or character.isspace()) and insertion.may_end:
            n_safe = n
    return text[:n_safe]


def _without_next_line(text: str, before: str, after: str) -> str:
    """Cut before a line that is already the next line of the file."""
    following = next((line.strip() for line in after.split("\n")[1:] if line.strip()), None)
    begun = before[before.rfind("\n") + 1 :]  # the part of the first line before the cursor
    lines = (begun + text).split("\n")
    for i, line in enumerate(lines):
        if line.strip() == following:
            return "\n".join(lines[:i])[len(begun) :]
    return text


def _without_other_indentation(text: str, before: str) -> str:
    """Cut before a line that is indented with spaces where the last indented line has a tab, or the reverse.

    The n-gram models contain other files, so a continuation could mix both kinds in one file.
    """
    tab, space = (f"\n{before}".rfind(begin) for begin in ("\n\t", "\n "))
    if tab == space:  # neither
        return text
    return text.split("\n " if tab > space else "\n\t", maxsplit=1)[0]


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
        if character == "\n" or log_p < math.log(MIN_INFILL_P):
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
    if best.gain <= 0 or infill_obstacle(best, settings, before, after, language) is not None:
        return None
    return Suggestion(best.text, best.confidence, best.gain)


def infill_obstacle(
    prefix: Prefix, settings: CompleterSettings, before: str, after: str, language: str = "python"
) -> Obstacle | None:
    """Return why a prefix may not be inserted; None if it may."""
    if not is_worth_showing(prefix.text):
        return Obstacle.TOO_SHORT
    if prefix.confidence < max(settings.least_likely(1), MIN_INFILL_CONFIDENCE):
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
