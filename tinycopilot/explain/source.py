"""Source: the text and cursor to explain, from TEXT or FILE:LINE:COLUMN, and the workspace around it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tinycopilot import UserError
from tinycopilot.completion.indexing import Project
from tinycopilot.files.left_out import MAX_BYTES
from tinycopilot.files.reading import read_source
from tinycopilot.files.secret_files import is_secret_place
from tinycopilot.paths import folder_to_index, user_path

EXAMPLE: Final = "import argparse\n\n\ndef main():\n    parser = argparse.ArgumentParser()\n    parser.add_arg"
"""Default text."""
PLACE: Final = re.compile(r"(.+):(\d{1,18}):(\d{1,18})", re.DOTALL)
"""FILE:LINE:COLUMN. (`int` refuses thousands of digits.)"""


@dataclass(frozen=True)
class Source:
    """A cursor in a text, and the project around it."""

    before: str
    after: str
    project: Project


def read_target(target: str | None, workspace: str | None) -> Source:
    """Return the source for `target`, TEXT or FILE:LINE:COLUMN; for None, the example. Raises UserError.

    The default workspace of a file is its folder; a text has none.
    """
    folder = folder_to_index(workspace)
    if target and os.path.isfile(file := re.sub(r":\d{0,18}$", "", target)):  # noqa: PTH113 (False for any other text)
        raise UserError(f"{file}: add the cursor's position, as in {file}:1:1 (line and column, counted from 1)")
    place = PLACE.fullmatch(target) if target is not None else None
    if place is None or not _is_file_name(place[1]):
        return Source(EXAMPLE if target is None else target, "", Project(folder=folder))
    return _read_place(user_path(place[1]), int(place[2]), int(place[3]), folder)


def _is_file_name(word: str) -> bool:
    """Whether a word is, or looks like, a file name: `a.py`, `src/a`; not `x[1` in the text `x[1:2:3`."""
    try:
        return user_path(word).exists() or re.fullmatch(r"[\w.~/\\:-]*(\.\w+|/[\w.-]+)", word) is not None
    except PermissionError:  # in a folder that is not readable
        return True
    except (OSError, ValueError):  # too long, or with a null character
        return False


def _read_place(path: Path, line: int, column: int, folder: Path | None) -> Source:
    if not path.exists():
        raise UserError(f"{path}: file not found; check the path, or quote a text that does not end with :LINE:COLUMN")
    if not path.is_file():
        raise UserError(f"{path}: not a regular file; name a text file")
    if is_secret_place(path):
        raise UserError(f"{path}: probably a secret file, so it is never read")
    lines = read_source(path, max_bytes=MAX_BYTES).split("\n")
    if not 1 <= line <= len(lines):
        raise UserError(f"{path}: has no line {line}; use a line from 1 to {len(lines)}")
    if not 1 <= column <= len(lines[line - 1]) + 1:
        raise UserError(f"{path}: line {line} has no column {column}; use one from 1 to {len(lines[line - 1]) + 1}")
    before = "\n".join([*lines[: line - 1], lines[line - 1][: column - 1]])
    after = "\n".join([lines[line - 1][column - 1 :], *lines[line:]])
    return Source(before, after, Project.of(path, folder or path.resolve().parent))
