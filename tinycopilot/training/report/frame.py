"""The frame of every report: self-contained HTML, and escaping of text."""

import math
import unicodedata
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

UNKNOWN = "\ufffd"
NO_FIGURE = "\N{EN DASH}"

# The policy forbids the browser to load anything, whatever the text on the page contains.
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
    """Return the page. `title` is any text; `style` follows base.css, chart.css; `figures` and `sections` are HTML."""
    base = "".join(Path(__file__).with_name(name).read_text("utf-8") for name in ("base.css", "chart.css"))
    words = {"kind": kind, "title": visible(title), "style": base + style}
    return FRAME.format(**words, figures=figures, sections="\n".join(sections))


def section(heading: str, content: str) -> str:
    """Return a section, as HTML; empty without content."""
    return f"<section><h2>{heading}</h2>\n{content}\n</section>" if content else ""


def facts_table(command: str, facts: Sequence[tuple[str, str]]) -> str:
    """Return the command line and a table of names and values, as HTML; any text is escaped."""
    rows = "".join(f'<tr><th scope="row">{visible(name)}</th><td>{visible(value)}</td></tr>' for name, value in facts)
    table = f'\n<table class="facts"><tbody>{rows}</tbody></table>' if rows else ""
    return f'<pre class="command" tabindex="0">{visible(command)}</pre>{table}'


def figure(value: float | None, form: str) -> str:
    """Format a number; a dash stands for None, NaN and infinity."""
    return NO_FIGURE if value is None or not math.isfinite(value) else format(value, form)


def visible(text: str) -> str:
    """Escape `text`; replace invisible characters, and those that change the text direction, by symbols."""
    symbols = (c if is_plain(c) else chr(0x2400 + ord(c)) if ord(c) < 0x20 else UNKNOWN for c in text)
    return escape("".join(symbols))


def is_plain(character: str) -> bool:
    """Whether a character can be displayed as it is."""
    return character in "\n\t" or not unicodedata.category(character).startswith("C")
