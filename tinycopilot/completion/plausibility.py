"""Plausibility: whether a suggestion fits its context: imports, names of functions, `self`, indentation, `return`.

The models learn what often follows, not what names and statements mean. Each rule is about an error that people see at
a glance, and silences less than one in a thousand lines that exist: `a = a = ...`, and in Python an import that the
file already has, a function that the block already has, `self` outside of classes, a statement after `return`, and an
unexpected indentation. No rule applies to strings and comments.
"""

import re
from functools import cached_property
from typing import Final

from tinycopilot.completion.lexical import lexical_context, resolve, state_after
from tinycopilot.completion.syntaxes import syntax_of

NEAR_CHARS: Final = 20_000
"""Maximum length of the text before the cursor that is read, in characters."""
TOP_CHARS: Final = 20_000
"""Maximum length of the beginning of the file that is searched for imports, in characters."""
STEP: Final = 4
"""Number of spaces after which a line in a block counts as indented."""
_IMPORT: Final = re.compile(r"(from|import)[ \t]+([\w.]+)(?:[ \t]+import[ \t]+([\w ,(]*))?")
"""The beginning of an import statement that is not indented: keyword, module, and names."""
_ASSIGN: Final = re.compile(r"[ \t]=(?:[ \t]|$)")
"""The sign of an assignment, not of a keyword argument."""
_LEAVES: Final = re.compile(r"[ \t]*(?:return|raise|break|continue)\b")
_MAY_FOLLOW: Final = re.compile(r"[ \t]*(?:#|yield\b|$)")
"""What may stand after a `return`: a comment, the `yield` that makes a generator, or nothing."""
_TOP_LEVEL: Final = re.compile(r"^(?:async[ \t]+def|def|class)\b", re.MULTILINE)
_DEF: Final = re.compile(r"^([ \t]*)(?:async[ \t]+)?def[ \t]+(\w+)", re.MULTILINE)
_SELF: Final = re.compile(r"\bself\b(?![ \t]*=[^=])")
_DEFINES_SELF: Final = re.compile(r"\b(?:def|lambda)\b")
_WORD: Final = re.compile(r"\w+")


class Plausibility:
    """Judges suggestions at a cursor. `before` and `after` have plain line ends."""

    def __init__(self, before: str, after: str, language: str = "python") -> None:
        self._before, self._after, self._language = before, after, language
        self._near = before[-NEAR_CHARS:]
        self._begun = self._near[self._near.rfind("\n") + 1 :]
        self._is_python = syntax_of(language).is_python

    def is_plausible(self, text: str, following: str = "") -> bool:
        """Whether `text`, which `following` continues, may be suggested; of further lines, imports and `def` count."""
        first = text.partition("\n")[0]
        is_wrong = self._assigns_again(first) or (
            self._is_python
            and (
                self._repeats_import(text, following)
                or self._defines_again(text)
                or self._adds_self(first)
                or (self._is_unreachable and not _MAY_FOLLOW.match(first))
                or (first[:1].isspace() and self._is_indented)
            )
        )
        return not (is_wrong and lexical_context(self._before, self._language) == "code")

    def _assigns_again(self, first: str) -> bool:
        """Whether the suggestion adds an assignment to another one, and a part occurs twice, as in `a = b = a`."""
        parts = [part.strip() for part in _ASSIGN.split(self._begun + first)]
        return len(parts) > max(2, len(_ASSIGN.findall(self._begun)) + 1) and len(set(parts)) < len(parts)

    @cached_property
    def _imports(self) -> list[re.Match[str]]:
        """The imports in the other lines at the top of the file. `from` without names is prose."""
        top = self._before[:TOP_CHARS]
        lines = top.split("\n")
        if len(top) == len(self._before):  # the cursor is there
            lines = lines[:-1] + self._after[:TOP_CHARS].split("\n")[1:]
        found = filter(None, map(_IMPORT.match, lines))
        return [one for one in found if one[1] == "import" or one[3] is not None]

    @cached_property
    def _imported(self) -> set[str]:
        """Names imported by `from ... import` lines."""
        return set[str]().union(*map(_names, self._imports))

    def _repeats_import(self, text: str, following: str) -> bool:
        """Whether a line, which starts at the left margin, imports a module or a name again."""
        *lines, last = (self._begun + text).split("\n")
        ends = [(line, "\n") for line in lines] + [(last, following)]
        return any(self._imports_again(self._begun * (i == 0), *one) for i, one in enumerate(ends))

    def _imports_again(self, begun: str, line: str, following: str) -> bool:
        """Whether `line`, which the user has `begun`, imports a module or a name again, or from an imported name.

        This includes a name twice in the line, and a second `import`. Not `from`, if the file has several lines for one
        module: some styles have a line for each name.
        """
        found, own = _IMPORT.match(line), _IMPORT.match(begun)
        if found is None or not found[2].strip("."):
            return False
        if found.end() == len(line) and (_WORD.match(following) or following[:1] == "."):
            return False  # a longer name
        if "import" in _WORD.findall(found[3] or ""):
            return True  # `from a import b import`
        listed = [part.strip(" (") for part in (found[3] or "").split(",")]
        is_listed_twice = len(set(listed)) < len(listed)
        if is_listed_twice or (_names(found) - (_names(own) if own else set())) & self._imported:
            return not line.endswith(" as") and following[:3] != " as"
        if own is not None and own[2] == found[2]:
            return False  # the user has typed the module
        modules = [other[2] for other in self._imports if other[1] == found[1]]
        has_own_style = found[1] == "from" and len(set(modules)) < len(modules)
        return found[2] in self._imported or (found[2] in modules and not has_own_style)

    def _defines_again(self, text: str) -> bool:
        """Whether a line defines a function that its block has already; neither definition has a decorator."""
        whole = self._near + text
        for found in _DEF.finditer(whole, len(self._near) - len(self._begun)):
            above, indentation = whole[: found.start()], found[1]
            if found.end() <= len(self._near) or f"def {found[2]}" not in above:
                continue  # the second condition saves time
            if _last_line(above).lstrip().startswith("@"):
                continue
            outside = re.compile(rf"^(?![ \t]{{{len(indentation)}}}|[ \t]*$)", re.MULTILINE)
            block = outside.split(above)[-1] if indentation else above
            same = re.compile(rf"(^[ \t]*@.*\n)?^{indentation}(?:async[ \t]+)?def[ \t]+{found[2]}\b", re.MULTILINE)
            if "" in same.findall(block):
                return True
        return False

    def _adds_self(self, first: str) -> bool:
        """Whether the suggestion uses `self`, but nothing above in the same class or function does."""
        line = self._begun + first
        if not any(word.end() > len(self._begun) for word in _SELF.finditer(line)) or _DEFINES_SELF.search(line):
            return False
        if line[:1].isspace():
            heads = list(_TOP_LEVEL.finditer(self._near))
            return bool(heads) and "self" not in self._near[heads[-1].start() :]
        return "self" not in self._begun

    @cached_property
    def _above(self) -> str:
        """The last non-blank line above the cursor's."""
        return _last_line(self._near[: len(self._near) - len(self._begun)])

    @cached_property
    def _is_statement(self) -> bool:
        """Whether the cursor is on an empty line that begins a statement."""
        is_empty = not self._begun.strip() and not self._after.partition("\n")[0].strip()
        if not is_empty or not self._above or self._above.endswith("\\") or "\t" in self._begun + self._above:
            return False
        syntax = syntax_of(self._language)
        return not resolve(state_after(self._before, syntax), syntax).frames

    @property
    def _is_unreachable(self) -> bool:
        """Whether a statement at the cursor follows a `return` in the same block."""
        is_after = _LEAVES.match(self._above) is not None and _indentation(self._above) == len(self._begun)
        return is_after and self._is_statement

    @property
    def _is_indented(self) -> bool:
        """Whether a statement at the cursor would have at least the indentation that the line above requires."""
        step = STEP if self._above.endswith(":") else 0
        return bool(self._begun) and len(self._begun) >= _indentation(self._above) + step and self._is_statement


def _names(found: re.Match[str]) -> set[str]:
    """The names that a `from ... import` line binds: the ones after `as`, or else the imported ones."""
    return {words[-1] for part in (found[3] or "").split(",") if (words := part.strip(" (").split())}


def _last_line(text: str) -> str:
    """The last non-blank line."""
    return text.rstrip().rpartition("\n")[2]


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())
