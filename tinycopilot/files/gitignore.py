"""Match paths against .gitignore patterns, in bounded time even for hostile patterns.

Follows git's rules (dir.c and wildmatch.c) on bytes, so that names in any encoding match as in git. Ignores the case on
Windows and macOS, as git does there.

A glob is compiled to a regular expression that cannot backtrack exponentially: the part between two stars has a fixed
length, so its first match is as good as any later one, and it can be an atomic group. Matching one pattern against one
path takes O(pattern length * path length). Most patterns have no wildcards, or are `*TEXT` or `TEXT*`; these are looked
up in hash tables, so their number does not matter.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tinycopilot import UserError

MAX_EFFORT = 40_000
"""Maximum effort of all .gitignore files that apply to a folder. A pattern in a hash table has an effort of 1."""
GLOB_EFFORT = 20
"""Effort of a pattern that needs a regular expression, in addition to its length in bytes."""

BOM = b"\xef\xbb\xbf"
_SPECIAL = re.compile(rb"[*?\[\\]")
_AFFIX = re.compile(rb"\*+([^*?\[\\]+)|([^*?\[\\]+)\*+")

_NAMED_CLASSES = {
    b"alnum": rb"0-9A-Za-z",
    b"alpha": rb"A-Za-z",
    b"blank": rb" \t",
    b"cntrl": rb"\0-\x1f\x7f",
    b"digit": rb"0-9",
    b"graph": rb"!-~",
    b"lower": rb"a-z",
    b"print": rb" -~",
    b"punct": rb"!-/:-@\[-`{-~",
    b"space": rb" \t\r\n",
    b"upper": rb"A-Z",
    b"xdigit": rb"0-9A-Fa-f",
}

_ITEM = rb"(?>\[:([^\]]{0,40}):\]|\\?+(.)(?:-(?!\])\\?+(.))?+)"
"""In brackets: a named class, or a byte, or a range of bytes."""
_CLASS = rb"\[(?P<negation>[!^]?+)(?P<items>%b(?:(?!\])%b)*+)\]" % (_ITEM, _ITEM)
"""A set of bytes in brackets. If `]` is its first item, it does not end it."""
_TOKEN = re.compile(
    rb"(?P<stars>\*++)|(?P<any>\?)|(?P<slash>\\?+/)|\\(?P<escaped>.)|(?P<byte>[^\[\\])|" + _CLASS, re.DOTALL
)


class PatternError(ValueError):
    """An invalid pattern, which git accepts and never matches."""


class TooManyError(ValueError):
    """Too many patterns to match in reasonable time."""


def _folded(text: bytes) -> bytes:
    """Return a path or pattern in lower case on systems that ignore the case of paths; elsewhere, unchanged."""
    if os.path.normcase("A") == "A" and sys.platform != "darwin":
        return text
    return text.decode("utf-8", "surrogateescape").lower().encode("utf-8", "surrogateescape")


class Pattern:
    """One line of a .gitignore."""

    def __init__(self, line: bytes) -> None:
        """`line` is not blank, and not a comment. Raises PatternError; TooManyError if it is too long."""
        line = _folded(line)
        self.is_negated = line.startswith(b"!")
        glob = line.removeprefix(b"!")
        self.is_for_folders = glob.endswith(b"/")
        glob = glob.removesuffix(b"/")
        self.is_for_names = b"/" not in glob
        """Whether it has no slash, and so is matched against the last component of a path only."""
        glob = glob.removeprefix(b"/")
        if not glob:
            raise PatternError
        self.key: tuple[str, bytes] | None = None
        """For a pattern that needs no regular expression: its kind, and the text to compare."""
        if not _SPECIAL.search(glob):
            self.key = ("name" if self.is_for_names else "path", glob)
        elif self.is_for_names and (affix := _AFFIX.fullmatch(glob)):
            self.key = ("suffix", affix[1]) if affix[1] else ("prefix", affix[2])
        self.effort = 1 if self.key else GLOB_EFFORT + len(glob)
        if self.effort > MAX_EFFORT:
            raise TooManyError
        self._glob = None if self.key else re.compile(_translated(glob, is_path=not self.is_for_names), re.DOTALL)

    def matches(self, path: bytes, name: bytes) -> bool:
        """Whether a glob matches `path`, relative to the folder of the .gitignore; `name` is its last component."""
        return self._glob is not None and self._glob.fullmatch(name if self.is_for_names else path) is not None


def parse_line(line: bytes) -> Pattern | None:
    """Parse one line; None for a blank line or a comment. Raises PatternError."""
    line = line.partition(b"\0")[0].removesuffix(b"\r")
    stripped = line.rstrip(b" ")
    n_backslashes = len(stripped) - len(stripped.rstrip(b"\\"))
    line = line[: len(stripped) + n_backslashes % 2]  # an escaped trailing space stays
    return Pattern(line) if line and not line.startswith(b"#") else None


def parse(text: bytes) -> Iterator[Pattern]:
    """Yield the patterns of a .gitignore; invalid ones are skipped, as git does."""
    for line in text.removeprefix(BOM).split(b"\n"):
        try:
            if pattern := parse_line(line):
                yield pattern
        except PatternError:
            pass


class Rules:
    """The patterns of one .gitignore; the last match decides."""

    def __init__(self, patterns: Iterable[Pattern], above: "Rules | None" = None) -> None:
        """`above`: the rules of the parent .gitignore, whose patterns count toward the limits. Raises TooManyError."""
        self._verdicts: list[bool] = []
        self._last: dict[tuple[str, bytes], tuple[int, int]] = {}
        """Key of patterns -> index of the last one that applies to files, and to folders."""
        self._globs: list[tuple[int, Pattern]] = []
        self._effort: int = above._effort if above else 0
        for i, pattern in enumerate(patterns):
            self._verdicts.append(not pattern.is_negated)
            if pattern.key:
                for_files = self._last.get(pattern.key, (-1, -1))[0] if pattern.is_for_folders else i
                self._last[pattern.key] = (for_files, i)
            else:
                self._globs.append((i, pattern))
            self._effort += pattern.effort
            if self._effort > MAX_EFFORT:
                raise TooManyError
        self._affixes = {(kind, len(text)) for kind, text in self._last if kind in ("prefix", "suffix")}

    def __len__(self) -> int:
        return len(self._verdicts)

    def check(self, path: bytes, is_folder: bool) -> bool | None:
        """Whether `path`, relative to the folder of the .gitignore, is ignored; None if no pattern matches."""
        path = _folded(path)
        name = path.rpartition(b"/")[2]
        keys = [("name", name), ("path", path)]
        keys += [(kind, name[:n] if kind == "prefix" else name[-n:]) for kind, n in self._affixes]
        last = max([self._last[key][is_folder] for key in keys if key in self._last], default=-1)
        for i, pattern in reversed(self._globs):
            if i < last:
                break
            if (is_folder or not pattern.is_for_folders) and pattern.matches(path, name):
                last = i
                break
        return self._verdicts[last] if last >= 0 else None

    def check_with_parents(self, path: bytes) -> bool:
        """Whether the file at `path`, or one of its parent folders, is ignored."""
        parts = path.split(b"/")
        above = (b"/".join(parts[:n]) for n in range(1, len(parts)))
        return any(self.check(folder, True) for folder in above) or bool(self.check(path, False))


class Patterns:
    """Patterns of files to exclude, in .gitignore syntax."""

    def __init__(self, lines: Sequence[str] = ()) -> None:
        """Raises UserError, whose text continues "must be ...", if a pattern is invalid, or if there are too many."""
        patterns = []
        try:
            for line in lines:
                patterns.append(parse_line(line.encode("utf-8", "surrogatepass")))
            self._rules = Rules(filter(None, patterns))
        except PatternError:
            raise UserError(f"a list of .gitignore patterns ({line!r} is invalid)") from None
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


Segment = list[bytes]
"""One component of a path: the regular expressions between its stars."""


def _translated(glob: bytes, *, is_path: bool) -> bytes:
    """The regular expression that matches a whole path, or a whole name. Raises PatternError."""
    groups = _groups(glob, is_path)
    expressions = []
    for i, group in enumerate(groups):
        is_last = i == len(groups) - 1
        if is_last and i > 0 and group == [[b""]]:
            expressions.append(b".*")  # a trailing `**`
            break
        body = b"/".join(map(_segment, group))
        folders = b"(?:[^/]*+/)*?" if i > 0 else b""
        expressions.append(folders + body if is_last else b"(?>" + folders + body + b")")
    return b"".join(expressions)


def _groups(glob: bytes, is_path: bool) -> list[list[Segment]]:
    """Split a glob at `**` into groups of segments."""
    groups: list[list[Segment]] = [[[b""]]]
    first_special = _SPECIAL.search(glob)
    i = 0
    while i < len(glob):
        token = _TOKEN.match(glob, i)
        if token is None:
            raise PatternError
        i, segment = token.end(), groups[-1][-1]
        if token["stars"]:
            # git compares the text before the first wildcard separately, so `a**/b` is `a` and `**/b`.
            begins = segment == [b""] or (first_special is not None and first_special.start() == token.start())
            if is_path and len(token["stars"]) > 1 and begins and glob[i : i + 1] in (b"", b"/"):
                groups.append([[b""]])
                i += 1
            else:
                segment.append(b"")
        elif token["slash"]:
            groups[-1].append([b""])
        else:
            segment[-1] += _one(token)
    # `**/**` equals `**`
    return [group for k, group in enumerate(groups) if group != [[b""]] or k in (0, len(groups) - 1)]


def _segment(parts: Segment) -> bytes:
    """The expression for a segment: each part after a star, except the last, is an atomic group."""
    first, *others = parts
    if not others:
        return first
    middle = b"".join(b"(?>[^/]*?" + part + b")" for part in others[:-1] if part)
    return first + middle + (b"[^/]*" + others[-1] if others[-1] else b"[^/]*+")


def _one(token: re.Match[bytes]) -> bytes:
    """The expression for a token that matches one byte. Raises PatternError."""
    if token["any"]:
        return b"[^/]"
    if token["items"] is None:
        return re.escape(token["byte"] or token["escaped"])
    members = b"^" if token["negation"] else b""
    for name, first, last in re.findall(_ITEM, token["items"], re.DOTALL):
        if not first and name not in _NAMED_CLASSES:
            raise PatternError
        if last > first:
            members += b"\\x%02x-\\x%02x" % (first[0], last[0])
        else:  # a range whose end precedes its start has one byte
            members += re.escape(first) if first else _NAMED_CLASSES[name]
    return b"(?!/)[" + members + b"]"


def below(path: str, top: str) -> str:
    """Return the path relative to `top`, with `/` on every system."""
    return path[len(top) :].replace(os.sep, "/").lstrip("/")
