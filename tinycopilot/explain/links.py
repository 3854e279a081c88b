"""Links to the functions that compute what a panel shows, resolved by symbol when the page is made."""

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import tinycopilot

ROOT = Path(tinycopilot.__file__).resolve().parents[1]
"""The folder of the package `tinycopilot`, or of the repository."""


class Link(NamedTuple):
    """The place where a symbol is defined."""

    name: str
    """`layer_norm`, `Mixture.mix`."""
    place: str
    """File below the package's folder, and line."""
    href: str
    """Path relative to the page; empty if there is none."""


def link_to(symbol: Callable[..., Any], page: Path) -> Link:
    """The link to a function or class, from a page at `page`."""
    plain = getattr(symbol, "py_func", symbol)  # the Python function, if it is compiled
    file, line = Path(inspect.getsourcefile(plain) or ""), inspect.getsourcelines(plain)[1]
    relative = file.resolve().relative_to(ROOT).as_posix()
    try:
        href = quote(os.fsencode(Path(os.path.relpath(file, page.resolve().parent)).as_posix()))
    except ValueError:  # on another drive
        href = ""
    return Link(plain.__qualname__, f"{relative}:{line}", href)
