"""The site: `make site` builds it with Sphinx, strictly. The pages are GitHub's Markdown; the rest is arranged here."""

import re
import sys
from pathlib import Path
from typing import Any

from pygments.lexers.special import TextLexer

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

from navigation import navigation  # noqa: E402 (beside this file)

project = "tinycopilot"
author = "The tinycopilot authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.apidoc"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["**/.*"]
myst_heading_anchors = 4  # the same ids as GitHub's
suppress_warnings = ["misc.highlighting_failure"]  # JSON with comments
html_theme = "furo"
html_title = "tinycopilot"
html_copy_source = False
html_show_sphinx = False

REFERENCE = "reference"
apidoc_modules = [
    {
        "path": "../tinycopilot",
        "destination": REFERENCE,
        "module_first": True,
        "exclude_patterns": ["**/__main__.py", "**/cli.py", "**/client", "**/evaluation", "**/tui"],  # commands
    }
]
autodoc_default_options = {"ignore-module-all": True}  # names are documented where they are defined
autodoc_member_order = "bysource"
autodoc_typehints = "description"

LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def add_navigation(app: Any, page: str, source: list[str]) -> None:  # noqa: ARG001
    """Add the navigation to the index, and take away links to what is not on the site."""
    source[0] = LINK.sub(lambda match: _link(DOCS / page, match), source[0])
    if page == "index":
        for group, pages in navigation().items():
            entries = [*pages, *[f"{REFERENCE}/modules"] * (group == "Reference")]
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {group}\n\n" + "\n".join(entries) + "\n```\n"


def _link(page: Path, match: re.Match[str]) -> str:
    """Return the link, or its text if it is to a folder, or to a page outside docs/. (Other files are downloads.)"""
    text, target, _ = match.groups()
    path = (page.parent / target).resolve()
    return text if path.is_dir() or (path.suffix == ".md" and not path.is_relative_to(DOCS)) else match[0]


def as_rest(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001
    """Convert a docstring to reStructuredText: code is in single backticks, and everything else is plain text."""
    parts = "\n".join(lines).split("`")
    plain = [re.sub(r"([*|_\\])", r"\\\1", part) for part in parts[::2]]
    code = [f"``{part}``" for part in parts[1::2]]
    joined = "".join(a + b for a, b in zip(plain, [*code, *[""] * (len(plain) - len(code))], strict=True))
    lines[:] = joined.split("\n")


def make_accessible(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:  # noqa: ARG001
    """Add what furo leaves out: what scrolls can be reached with the keyboard, and headings have a level."""
    body = context.get("body", "").replace("<pre>", '<pre tabindex="0">')
    context["body"] = body.replace('<div class="table-wrapper', '<div tabindex="0" class="table-wrapper')
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.add_lexer("mermaid", TextLexer)
    app.connect("source-read", add_navigation)
    app.connect("autodoc-process-docstring", as_rest)
    app.connect("html-page-context", make_accessible, priority=900)  # after furo
