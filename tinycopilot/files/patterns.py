"""What a user excludes and includes by name: patterns in .gitignore syntax, and file extensions."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from tinycopilot import UserError
from tinycopilot.files.gitignore import PatternError, Rules, TooManyError, below, parse_line


class Patterns:
    """Patterns of files to exclude, in .gitignore syntax."""

    def __init__(self, lines: Sequence[str] = ()) -> None:
        """Raises UserError, whose text continues "must be ...", if a pattern is invalid, or if there are too many."""
        patterns = []
        for line in lines:
            try:
                patterns.append(parse_line(line.encode("utf-8", "surrogatepass")))
            except PatternError:
                raise UserError(f"a list of .gitignore patterns ({line!r} is invalid)") from None
        try:
            self._rules = Rules(filter(None, patterns))
        except TooManyError:
            raise UserError(f"a shorter list of patterns ({len(lines):,} are too many, or too long)") from None

    def __bool__(self) -> bool:
        return len(self._rules) > 0

    def match(self, name: str, folders: Iterable[str] = ()) -> bool:
        """Whether a file, or a folder above it, matches, by its path below each of `folders` that contains it.

        If none does, by its absolute path.
        """
        if not self:
            return False
        relative = [below(name, folder) for folder in folders if name.startswith(os.path.join(folder, ""))]  # noqa: PTH118
        paths = relative or [below(name, "")]
        return any(self._rules.check_with_parents(path.encode("utf-8", "surrogatepass")) for path in paths)


def as_pattern(path: str) -> str:
    """Return the pattern that matches exactly this file by its absolute path."""
    return "/" + re.sub(r"([\\*?\[\]!# ])", r"\\\1", Path(path).as_posix().lstrip("/"))


def normalize_suffixes(words: Sequence[str]) -> tuple[str, ...]:
    """Convert `py`, `.JS` and `c,h` to `.py`, `.js`, `.c`, `.h`. Raises UserError if one is invalid."""
    suffixes = []
    for word in (part.strip() for words_of_one in words for part in words_of_one.split(",")):
        if not re.fullmatch(r"\.?[\w+#-]+(\.[\w+#-]+)*", word):
            raise UserError(f"{word!r} is not a file extension; use, for example, --ext py")
        suffixes.append("." + word.removeprefix(".").lower())
    return tuple(dict.fromkeys(suffixes))
