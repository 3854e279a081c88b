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
from functools import cached_property
from pathlib import Path

from tinycopilot import UserError

MAX_PATTERNS = 20_000
"""Maximum number of patterns in all .gitignore files that apply to a folder."""
MAX_GLOBS = 1_000
"""Maximum number of patterns that need a regular expression."""
MAX_GLOB_BYTES = 20_000
"""Maximum total length of these patterns, in bytes."""
_LIMITS = (MAX_PATTERNS, MAX_GLOBS, MAX_GLOB_BYTES)

BOM = b"\xef\xbb\xbf"
_SPECIAL = re.compile(rb"[*?\[\\]")
_AFFIX = re.compile(rb"\*+([^*?\[\\]+)|([^*?\[\\]+)\*+")

_NAMED_CLASSES = {
    b"alnum": rb"[0-9A-Za-z]",
    b"alpha": rb"[A-Za-z]",
    b"blank": rb"[ \t]",
    b"cntrl": rb"[\0-\x1f\x7f]",
    b"digit": rb"[0-9]",
    b"graph": rb"[!-~]",
    b"lower": rb"[a-z]",
    b"print": rb"[ -~]",
    b"punct": rb"[!-/:-@\[-`{-~]",
    b"space": rb"[ \t\r\n]",
    b"upper": rb"[A-Z]",
    b"xdigit": rb"[0-9A-Fa-f]",
}
_CLASS_BYTES = {name: b"".join(re.findall(set_of, bytes(range(128)))) for name, set_of in _NAMED_CLASSES.items()}


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
        """`line` is not blank, and not a comment. Raises PatternError."""
        line = _folded(line)
        self.is_negated = line.startswith(b"!")
        glob = line.removeprefix(b"!")
        self.is_for_folders = glob.endswith(b"/")
        glob = glob.removesuffix(b"/")
        self.is_for_names = b"/" not in glob
        """Whether it has no slash, and so is matched against the last component of a path only."""
        self.glob = glob.removeprefix(b"/")
        if not self.glob:
            raise PatternError
        self.is_literal = _SPECIAL.search(self.glob) is None
        affix = _AFFIX.fullmatch(self.glob) if self.is_for_names and not self.is_literal else None
        self.suffix, self.prefix = affix.groups(b"") if affix else (b"", b"")
        """TEXT of the patterns `*TEXT` and `TEXT*` for names, which need no regular expression."""
        self._source = b"" if self.is_literal or affix else _translated(self.glob, is_path=not self.is_for_names)

    @cached_property
    def _compiled(self) -> re.Pattern[bytes]:
        return re.compile(self._source, re.DOTALL)

    def matches(self, path: bytes, name: bytes) -> bool:
        """Whether a glob matches `path`, relative to the folder of the .gitignore; `name` is its last component."""
        return self._compiled.fullmatch(name if self.is_for_names else path) is not None


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
        self._names, self._paths, self._prefixes, self._suffixes = _Table(), _Table(), _Table(), _Table()
        self._globs: list[tuple[int, Pattern]] = []  # in reverse order
        self._counts: list[int] = list(above._counts) if above else [0, 0, 0]
        """Number of patterns and of globs, and total length of the globs, as in _LIMITS."""
        for i, pattern in enumerate(patterns):
            self._verdicts.append(not pattern.is_negated)
            self._counts[0] += 1
            if pattern.is_literal:
                (self._names if pattern.is_for_names else self._paths).put(pattern.glob, i, pattern.is_for_folders)
            elif pattern.suffix:
                self._suffixes.put(pattern.suffix, i, pattern.is_for_folders)
            elif pattern.prefix:
                self._prefixes.put(pattern.prefix, i, pattern.is_for_folders)
            else:
                self._globs.append((i, pattern))
                self._counts[1] += 1
                self._counts[2] += len(pattern.glob)
            if any(n > limit for n, limit in zip(self._counts, _LIMITS, strict=True)):
                raise TooManyError
        self._globs.reverse()

    def __len__(self) -> int:
        return len(self._verdicts)

    def check(self, path: bytes, is_folder: bool) -> bool | None:
        """Whether `path`, relative to the folder of the .gitignore, is ignored; None if no pattern matches."""
        path = _folded(path)
        name = path.rpartition(b"/")[2]
        last = max(self._names.get(name, is_folder), self._paths.get(path, is_folder))
        for n in self._prefixes.lengths:
            last = max(last, self._prefixes.get(name[:n], is_folder))
        for n in self._suffixes.lengths:
            last = max(last, self._suffixes.get(name[-n:], is_folder))
        for i, pattern in self._globs:
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


class _Table:
    """Maps a text to the index of the last pattern with that text."""

    def __init__(self) -> None:
        self._last: dict[bytes, tuple[int, int]] = {}
        self.lengths: set[int] = set()

    def put(self, text: bytes, i: int, is_for_folders: bool) -> None:
        """Add pattern `i`; indexes must increase."""
        self._last[text] = (self._last.get(text, (-1, -1))[0] if is_for_folders else i, i)
        self.lengths.add(len(text))

    def get(self, text: bytes, is_folder: bool) -> int:
        """The index of the last pattern with this text; -1 if there is none."""
        return self._last[text][is_folder] if text in self._last else -1


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


Segment = list[bytes]
"""One component of a path: the regular expressions between its stars."""


def _groups(glob: bytes, is_path: bool) -> list[list[Segment]]:
    """Split a glob at `**` into groups of segments."""
    groups: list[list[Segment]] = [[[b""]]]
    first_special = _SPECIAL.search(glob)
    i = 0
    while i < len(glob):
        byte = glob[i : i + 1]
        segment = groups[-1][-1]
        if byte == b"*":
            end = len(glob) - len(glob[i:].lstrip(b"*"))
            # git compares the text before the first wildcard separately, so `a**/b` is `a` and `**/b`.
            begins = segment == [b""] or (first_special is not None and first_special.start() == i)
            if is_path and end - i > 1 and begins and glob[end : end + 1] in (b"", b"/"):
                groups.append([[b""]])
                end += 1
            else:
                segment.append(b"")
            i = end
        elif byte == b"/" or glob[i : i + 2] == b"\\/":
            groups[-1].append([b""])
            i += len(byte) if byte == b"/" else 2
        else:
            source, i = _one(glob, i)
            segment[-1] += source
    # `**/**` equals `**`
    return [group for k, group in enumerate(groups) if group != [[b""]] or k in (0, len(groups) - 1)]


def _segment(parts: Segment) -> bytes:
    """The expression for a segment: each part after a star, except the last, is an atomic group."""
    first, *others = parts
    if not others:
        return first
    middle = b"".join(b"(?>[^/]*?" + part + b")" for part in others[:-1] if part)
    return first + middle + (b"[^/]*" + others[-1] if others[-1] else b"[^/]*+")


def _one(glob: bytes, i: int) -> tuple[bytes, int]:
    """The expression for the token at `i`, which matches one byte, and the index after it."""
    byte = glob[i : i + 1]
    if byte == b"?":
        return b"[^/]", i + 1
    if byte == b"[":
        return _class(glob, i + 1)
    if byte == b"\\":
        i += 1
        byte = glob[i : i + 1]
        if not byte:
            raise PatternError
    return re.escape(byte), i + 1


def _class(glob: bytes, i: int) -> tuple[bytes, int]:
    """The expression for `[...]`, and the index after it; `i` is after the opening bracket. A first `]` is literal."""
    is_negated = glob[i : i + 1] in (b"!", b"^")
    i += is_negated
    members, before, is_first = set[int](), -1, True
    while is_first or glob[i : i + 1] != b"]":
        is_first = False
        if glob[i : i + 1] == b"-" and before >= 0 and glob[i + 1 : i + 2] not in (b"", b"]"):
            last, i = _escaped(glob, i + 1)
            members.update(range(before, last + 1))
            before = -1
        elif named := re.compile(rb"\[:([^\]]*):\]").match(glob, i):
            members.update(_named_class(named[1]))
            before, i = -1, named.end()
        else:
            before, i = _escaped(glob, i)
            members.add(before)
    members = (set(range(256)) - members if is_negated else members) - {ord("/")}
    return (b"[" + b"".join(b"\\x%02x" % member for member in sorted(members)) + b"]" if members else b"(?!)"), i + 1


def _named_class(name: bytes) -> Sequence[int]:
    if name not in _CLASS_BYTES:
        raise PatternError
    return _CLASS_BYTES[name]


def _escaped(glob: bytes, i: int) -> tuple[int, int]:
    """The byte at `i`, escaped or not, and the index after it. Raises PatternError at the end of the glob."""
    i += glob[i : i + 1] == b"\\"
    if i >= len(glob):
        raise PatternError
    return glob[i], i + 1


def below(path: str, top: str) -> str:
    """Return the path relative to `top`, with `/` on every system."""
    return path[len(top) :].replace(os.sep, "/").lstrip("/")
