"""Read the code cells of a Jupyter notebook's file. Outputs, Markdown and metadata are never used.

The format is nbformat's version 4. Nothing in a notebook is executed.
"""

import json
import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any, Final

SUFFIX: Final = ".ipynb"
MAX_NOTEBOOK_BYTES: Final = 10_000_000
"""Larger notebooks are not read. Most of a large notebook is output, such as pictures."""
SEPARATOR: Final = "\n\n"
"""Separates the cells of a notebook that is read as one document: a blank line."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def is_notebook(name: str) -> bool:
    """Whether a file of this name is a Jupyter notebook."""
    return PurePath(name).suffix.lower() == SUFFIX


def joined(cells: Iterable[str]) -> str:
    """Join the cells to one document; blank cells are left out."""
    return SEPARATOR.join(filter(str.strip, cells))


def code_cells(text: str) -> list[str]:
    r"""Return the sources of the code cells in a notebook file's text, in order, with \n as line ends.

    Raises ValueError if the text is not JSON or has no list of cells.
    Anything that is not a code cell with a source is skipped.
    """
    try:
        notebook = json.loads(text)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"it is not valid JSON ({error})") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise ValueError("it has no list of cells")
    return [source for cell in cells if (source := _source(cell)) is not None]


def _source(cell: Any) -> str | None:
    """The source of a code cell, one string or a list of lines; None for anything else, and for binary data."""
    if not isinstance(cell, dict) or cell.get("cell_type") != "code":
        return None
    source = cell.get("source")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str) or "\0" in source:
        return None
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", source)
