"""Wording on the pages: names and symbols for invisible characters, and formatted numbers."""

import math
import unicodedata
from typing import Final

from markupsafe import Markup

NAMES: Final = {" ": "space", "\n": "newline", "\t": "tab", "": "any other", "\ufffd": "any other"}
SIGNS: Final = {chr(i): chr(0x2400 + i) for i in range(0x20)} | {"\n": "⏎", "\t": "⇥"}
NO_FIGURE: Final = "\N{EN DASH}"


def name_of(character: str) -> str:
    """Return the character, or its name if it is invisible: `space`, `U+200B`. "" stands for all other characters."""
    if character in NAMES:
        return NAMES[character]
    return character if _is_visible(character) else f"U+{ord(character):04X}"


def visible(text: str, keep: str = "") -> str:
    """Return `text` with symbols for invisible characters except `keep`, so that none moves a terminal's cursor."""
    return "".join(c if c in keep or c == " " or _is_visible(c) else SIGNS.get(c, "\ufffd") for c in text)


def quoted(text: str) -> str:
    """Return `visible(text)` in quotation marks."""
    return f"“{visible(text)}”"


def figure(value: float | None, form: str) -> str:
    """Format a number; a dash stands for None, NaN and infinity."""
    return NO_FIGURE if value is None or not math.isfinite(value) else format(value, form)


def percent(share: float | None) -> str:
    """Format a share from 0 to 1, for a template."""
    return NO_FIGURE if share is None else Markup(f"{100 * share:.1f}\N{NO-BREAK SPACE}%")


def _is_visible(character: str) -> bool:
    return unicodedata.category(character)[0] not in "CZ" or character == "\u3000"
