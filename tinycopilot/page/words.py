"""How invisible characters are shown: names and symbols."""

import unicodedata
from typing import Final

NAMES: Final = {" ": "space", "\n": "newline", "\t": "tab", "": "any other"}
SIGNS: Final = {"\n": "⏎", "\t": "⇥"}


def name_of(character: str) -> str:
    """Return the character, or its name if it is invisible: `space`, `U+200B`. "" stands for all other characters."""
    if character in NAMES:
        return NAMES[character]
    return character if _is_visible(character) else f"U+{ord(character):04X}"


def visible(text: str) -> str:
    """Return `text` on one line, with symbols for invisible characters, so that none moves a terminal's cursor."""
    return "".join(SIGNS.get(c, c if c == " " or _is_visible(c) else "\ufffd") for c in text)


def quoted(text: str) -> str:
    """Return `visible(text)` in quotation marks."""
    return f"“{visible(text)}”"


def _is_visible(character: str) -> bool:
    return unicodedata.category(character)[0] not in "CZ" or character == "\u3000"
