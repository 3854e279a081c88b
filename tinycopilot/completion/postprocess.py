"""Post-processing: cut a suggestion that would break or repeat code; check whether the cursor is at a line's end."""

import re

from tinycopilot.completion.insertion import Insertion
from tinycopilot.completion.lexical import QUOTES, is_within


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
