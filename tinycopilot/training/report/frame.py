"""What every page of ours is made of: its frame, which needs nothing from outside, and words that are safe in it."""

import unicodedata
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

UNKNOWN = "\ufffd"

# The policy forbids the browser to fetch anything, whatever a text that is shown may smuggle in.
FRAME = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="tinycopilot">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}: {kind}</title>
<style>
{style}</style>
</head>
<body><main>
<header><p class="eyebrow">tinycopilot · {kind}</p><h1>{title}</h1>
{figures}
</header>
{sections}
</main></body>
</html>
"""


def document(kind: str, *, title: str, style: str, figures: str, sections: Iterable[str]) -> str:
    """The whole page. `title` is any text; `style` goes on from base.css; `figures` and `sections` are HTML."""
    base = Path(__file__).with_name("base.css").read_text("utf-8")
    words = {"kind": kind, "title": visible(title), "style": base + style}
    return FRAME.format(**words, figures=figures, sections="\n".join(sections))


def section(heading: str, content: str) -> str:
    """A part of the page, of HTML; nothing where there is no content."""
    return f"<section><h2>{heading}</h2>\n{content}\n</section>" if content else ""


def facts_table(command: str, facts: Sequence[tuple[str, str]]) -> str:
    """What was typed, and names and values; any text."""
    rows = "".join(f'<tr><th scope="row">{visible(name)}</th><td>{visible(value)}</td></tr>' for name, value in facts)
    table = f'\n<table class="facts"><tbody>{rows}</tbody></table>' if rows else ""
    return f'<pre class="command" tabindex="0">{visible(command)}</pre>{table}'


def visible(text: str) -> str:
    """`text`, escaped; characters that are not seen, or that turn the line round, have a sign in their place."""
    return escape("".join(character if is_plain(character) else _stand_in(character) for character in text))


def is_plain(character: str) -> bool:
    """Whether it can be shown as it is."""
    return character in "\n\t" or not unicodedata.category(character).startswith("C")


def _stand_in(character: str) -> str:
    """A control character's picture from Unicode's own row of them, else the sign for what cannot be shown."""
    return chr(0x2400 + ord(character)) if ord(character) < 0x20 else UNKNOWN
