"""Reasons for leaving files out, and their counts."""

from collections import Counter
from enum import Enum
from pathlib import Path

MAX_BYTES = 1_000_000
"""Larger files in a folder are data or generated code; notebooks may be larger (notebook_file.py)."""

MAX_DEPTH = 200
"""Maximum depth of folders below the one that is searched."""


class Reason(Enum):
    """Why a file is left out, in singular and plural."""

    SECRET = ("name that suggests secrets", "names that suggest secrets")
    MASKED = ("secret masked in a file that is otherwise read", "secrets masked in files that are otherwise read")
    VENDORED = ("vendored folder", "vendored folders")
    GENERATED = ("generated file", "generated files")
    LONG_LINES = ("minified file or data table", "minified files or data tables")
    HUGE = (f"file over {MAX_BYTES // 1_000_000} MB", f"files over {MAX_BYTES // 1_000_000} MB")
    BINARY = ("binary file", "binary files")
    NOT_UTF8 = ("file that is not UTF-8", "files that are not UTF-8")
    NOT_UTF16 = ("file with invalid UTF-16", "files with invalid UTF-16")
    NOT_A_NOTEBOOK = ("invalid notebook", "invalid notebooks")
    TOO_DEEP = (f"folder over {MAX_DEPTH} levels deep", f"folders over {MAX_DEPTH} levels deep")
    GITIGNORE = (
        ".gitignore with too many patterns, and its folder",
        ".gitignore files with too many patterns, and their folders",
    )
    UNREADABLE = ("file that cannot be read", "files that cannot be read")
    IGNORED = ("file or folder that git ignores", "files or folders that git ignores")
    LINK = ("symbolic link (not followed)", "symbolic links (not followed)")
    SPECIAL = ("pipe, socket or device", "pipes, sockets or devices")
    BLANK = ("text with only whitespace", "texts with only whitespace")
    DUPLICATE = ("duplicate", "duplicates")
    TOO_MANY = (
        "file and all files after it, because there are too many",
        "files and all files after them, because there are too many",
    )


EXPECTED = frozenset((Reason.IGNORED, Reason.LINK, Reason.SPECIAL))
"""Reasons that the user has chosen: reported for a corpus, but not each time a workspace is indexed."""

MAX_NAME_CHARS = 100
"""Only the end of a longer name is shown."""


def _on_one_line(name: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in name)


class LeftOut:
    """Files that a search left out: counts by reason, and the first few names."""

    N_NAMES = 3

    def __init__(self) -> None:
        self._counts: Counter[Reason] = Counter()
        self._names: dict[Reason, list[str]] = {}
        self.other_suffixes: Counter[str] = Counter()
        """Counts of files with other suffixes than requested."""
        self.examples: dict[str, Path] = {}
        """One file of each of these suffixes."""

    def add(self, reason: Reason, name: str, n: int = 1) -> None:
        """Count `n` cases in one file; the name is made printable, on one line."""
        self._counts[reason] += n
        names = self._names.setdefault(reason, [])
        if len(names) < self.N_NAMES:
            if len(name) > MAX_NAME_CHARS:
                name = f"...{name[3 - MAX_NAME_CHARS :]}"
            names.append(_on_one_line(name))

    def add_other(self, path: Path) -> None:
        """Count a file with another suffix than requested."""
        suffix = _on_one_line(path.suffix.lower())
        self.other_suffixes[suffix] += 1
        self.examples.setdefault(suffix, path)

    def include(self, other: "LeftOut") -> None:
        """Add the counts of another search."""
        self._counts += other._counts
        for reason, names in other._names.items():
            self._names[reason] = (self._names.get(reason, []) + names)[: self.N_NAMES]
        self.other_suffixes += other.other_suffixes

    def lines(self) -> tuple[str, ...]:
        """Return one line per reason, except EXPECTED: `left out: 5 duplicates (a.py, b.py, c.py and 2 more)`."""
        return tuple(self._line(reason) for reason in Reason if self._counts[reason] and reason not in EXPECTED)

    def all_lines(self) -> tuple[str, ...]:
        """Return one line per reason, and `left out: 3 files with other extensions (.md 2, .c 1); use --ext to ...`."""
        lines = tuple(self._line(reason) for reason in Reason if self._counts[reason])
        if not (n_files := self.other_suffixes.total()):
            return lines
        kinds = self.other_suffixes.most_common()
        some = ", ".join(f"{suffix or 'no suffix'} {n:,}" for suffix, n in kinds[: self.N_NAMES])
        n_more = len(kinds) - self.N_NAMES
        more = f" and {n_more:,} more extension{'s' * (n_more > 1)}" if n_more > 0 else ""
        files = f"{n_files:,} file{'s' * (n_files > 1)} with other extensions"
        return (*lines, f"left out: {files} ({some}{more}); use --ext to read them")

    def in_brackets(self) -> str:
        """Return the lines in brackets, after a space, for the end of a sentence; empty if there are none."""
        return f" ({'; '.join(lines)})" if (lines := self.lines()) else ""

    def _line(self, reason: Reason) -> str:
        n, names = self._counts[reason], self._names[reason]
        more = f" and {n - len(names):,} more" if n > len(names) else ""
        return f"left out: {n:,} {reason.value[n > 1]} ({', '.join(names)}{more})"
