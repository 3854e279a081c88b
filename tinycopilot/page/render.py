"""Render a page from its template, styles and script."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tinycopilot import __version__
from tinycopilot.page.words import figure, name_of, percent, visible

FOLDER: Final = Path(__file__).parent


class Panel(NamedTuple):
    """A section of a page."""

    name: str
    """The id of its element."""
    title: str
    about: str
    """An explanation of a few sentences."""
    symbols: tuple[Callable[..., Any], ...] = ()
    """The functions that compute its data."""


def render(folder: Path, *, styles: Sequence[Path] = (), **values: Any) -> str:
    """Return the page whose template, style and script, if any, are in `folder`; `styles`: CSS files to include first.

    All text in `values` is escaped and made visible, except Markup. `data` is passed to the script as JSON.
    """
    scripts = (FOLDER / "base.js", folder / "page.js") if (folder / "page.js").exists() else ()
    script = "".join(path.read_text("utf-8") for path in scripts).replace("</", "<\\/")
    style = "".join(path.read_text("utf-8") for path in (FOLDER / "base.css", *styles, folder / "page.css"))
    environment = Environment(
        loader=FileSystemLoader([folder, FOLDER]),
        autoescape=True,
        finalize=lambda value: visible(value, keep="\n\t") if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(figure=figure, name=name_of, percent=percent, visible=visible)
    return environment.get_template("page.html.jinja").render(
        script=Markup(script),
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=Markup(style),
        version=__version__,
        **values,
    )
