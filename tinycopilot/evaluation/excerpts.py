"""Choose what to replay: parts of given files, or the excerpts in a list, for reproducible results."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinycopilot import UserError
from tinycopilot.files.left_out import LeftOut
from tinycopilot.files.reading import read_source, read_written
from tinycopilot.files.walking import source_files


@dataclass(frozen=True)
class Excerpt:
    """The part text[first:last] of a file to type; the text before it already exists."""

    name: str
    """Path of the file."""
    text: str
    first: int
    last: int
    workspace: Path = Path()
    """The folder whose other files are indexed."""


def from_paths(
    paths: Sequence[Path], suffixes: Sequence[str], n_chars: int, workspace: Path | None
) -> tuple[list[Excerpt], tuple[str, ...]]:
    """Return excerpts of about equal length from all files, at most `n_chars` in total; and lines about files left out.

    Excerpts are from the middle of files, with the text before them as context. The default workspace is the given
    folder, or the folder of the file. Raises UserError.
    """
    left_out = LeftOut()
    texts, folders = dict[str, str](), dict[str, Path]()
    for path in paths:
        found = texts_in(path, suffixes, left_out) if path.is_dir() else {str(path): read_source(path)}
        texts |= {name: text for name, text in found.items() if text}
        folders |= dict.fromkeys(found, workspace or (path if path.is_dir() else path.parent))
    if not texts:
        empty = [f"{path.name} is empty" for path in paths if not path.is_dir()]
        why = " and ".join(empty) or f"no text with {' '.join(suffixes)} there"
        raise UserError(f"nothing to replay: {why}{left_out.in_brackets()}; use other files, or another --ext")
    return from_middle(texts, n_chars, folders), left_out.lines()


def from_middle(texts: dict[str, str], n_chars: int, folders: Mapping[str, Path]) -> list[Excerpt]:
    """Return about equal parts, `n_chars` in total at most, from the middle of each text; `folders`: workspaces."""
    excerpts = []
    for (name, text), n in zip(texts.items(), shares(texts, n_chars), strict=True):
        first = (len(text) - n) // 2
        excerpts.append(Excerpt(name, text, first, first + n, folders.get(name, Path())))
    return excerpts


def texts_in(folder: Path, suffixes: Sequence[str], left_out: LeftOut) -> dict[str, str]:
    """Return path -> text of the hand-written files below `folder`."""
    found = read_written(source_files(folder, suffixes, left_out), folder, left_out)
    return {str(folder / name): text for name, text in found}


def shares(texts: dict[str, str], n_chars: int) -> list[int]:
    """Divide `n_chars` equally among the texts; shorter ones are taken whole. At least one character each."""
    shares = dict.fromkeys(texts, 0)
    left = n_chars
    for i, name in enumerate(sorted(texts, key=lambda name: len(texts[name]))):
        shares[name] = max(1, min(len(texts[name]), left // (len(texts) - i)))
        left -= shares[name]
    return list(shares.values())


def from_list(path: Path, folder: Path, workspace: Path | None) -> list[Excerpt]:
    """Return the excerpts in a JSON list with `file` (below `folder`), `first`, `last` and `sha256`.

    The default workspace is the file's topmost folder below `folder`, its package. Raises UserError if the list is
    invalid or empty, or a file differs from the listed one.
    """
    try:
        excerpts = [_listed(entry, folder, workspace) for entry in json.loads(path.read_text("utf-8"))]
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror}); check the path") from None
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise UserError(
            f"{path}: not a list of files with first, last and sha256 ({error}); see heldout.json"
        ) from None
    if not excerpts:
        raise UserError(f"{path}: the list is empty; see heldout.json for an example")
    return excerpts


def _listed(entry: dict[str, Any], folder: Path, workspace: Path | None) -> Excerpt:
    data = (folder / entry["file"]).read_bytes()
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise UserError(f"{folder / entry['file']}: differs from the listed file; get the version in the list")
    text, first, last = data.decode("utf-8"), int(entry["first"]), int(entry["last"])
    if not 0 <= first < last <= len(text):
        raise ValueError(f"{entry['file']} has no characters {first} to {last}")
    package = folder / Path(entry["file"]).parts[0]
    return Excerpt(str(folder / entry["file"]), text, first, last, workspace or package)
