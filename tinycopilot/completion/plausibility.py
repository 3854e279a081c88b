"""Plausibility: whether a suggestion that the models find likely can be right in this place.

The models learn what often follows, not what names and statements mean. Each rule is about one kind of error that
people see at a glance: an import that the file already has, `a = a = ...`, `self` outside of methods, the head of a
method copied into a call, a statement after `return` or with another indentation, the head of a block without its
colon, and Python in another language. In strings and comments, no rule applies.
"""

import re
from functools import cached_property
from typing import Final

from tinycopilot.completion.lexical import resolve, state_after
from tinycopilot.completion.syntaxes import syntax_of

PYTHON_WORDS: Final = frozenset(("True", "False", "cls", "def", "del", "elif", "except", "lambda", "nonlocal"))
"""Words of Python that are no words of languages with `//` comments, or of few of them."""
STEP: Final = 4
"""Number of spaces after which a line in a block counts as indented."""
_PYTHON_LINE: Final = re.compile(r"[ \t]*(?:from\b|(?:try|else|finally):$)")
_IMPORT: Final = re.compile(r"(from|import)[ \t]+([\w.]+)(?:[ \t]+import[ \t]+([\w ,(]*))?")
"""The beginning of an import statement that is not indented: keyword, module, and names."""
_OTHER_IMPORT: Final = re.compile(r"(?:#\s*include|import|use|using|require|package)\b.*\w")
_ASSIGN: Final = re.compile(r"[ \t]=(?:[ \t]|$)")
"""The sign of an assignment, not of a keyword argument."""
_LEAVES: Final = re.compile(r"[ \t]*(?:return|raise|break|continue)\b")
_DEF: Final = re.compile(r"[ \t]*(?:async[ \t]+)?def\b")
_BLOCK: Final = re.compile(r"[ \t]*(?:async|class|def|if|elif|else|for|while|with|try|except|finally|match|case)\b")
_HEAD: Final = re.compile(r"[ \t]*(?:async|class|def|if|elif|else|for|while|with|try|except|finally)\b")
_SELF: Final = re.compile(r"\bself\b")
_METHOD_HEAD: Final = re.compile(r"\b([a-z]\w*)\.([a-z]\w*)\(self\b")
"""A call of a method with `self` as its first argument; not of a base class or of `__init__`."""
_HEAD_END: Final = re.compile(r":[ \t]*(?:#.*)?$", re.MULTILINE)
_WORD: Final = re.compile(r"\w+")


class Plausibility:
    """Judges suggestions at a cursor. `before` and `after` have plain line ends."""

    def __init__(self, before: str, after: str, language: str = "python") -> None:
        self._before, self._after, self._syntax = before, after, syntax_of(language)
        self._begun = before[before.rfind("\n") + 1 :]

    def is_plausible(self, text: str, following: str = "") -> bool:
        """Whether `text`, which `following` continues, may be suggested. Of further lines, only imports are judged."""
        first, end, _ = text.partition("\n")
        line = self._begun + first
        if self._syntax.is_python:
            is_wrong = (
                self._repeats_import(text, following)
                or self._is_unreachable
                or (first[:1].isspace() and self._is_indented)
                or (bool(end) and self._lacks_colon(first, line))
                or (self._adds_self(line) and (self._copies_head(line) or not self._has_self(line)))
            )
        else:
            is_wrong = self._repeats_line(line) or self._is_foreign(line)
        return not ((is_wrong or self._assigns_again(line)) and self._is_in_code)

    @cached_property
    def _frames(self) -> list[str]:
        """What is open at the cursor."""
        return [frame.kind for frame in resolve(state_after(self._before, self._syntax), self._syntax).frames]

    @property
    def _is_in_code(self) -> bool:
        return self._frames[-1:] not in (["string"], ["comment"], ["spec"])

    @cached_property
    def _others(self) -> list[str]:
        """All lines except that of the cursor."""
        return self._before.split("\n")[:-1] + self._after.split("\n")[1:]

    @cached_property
    def _imports(self) -> list[re.Match[str]]:
        """The imports of the other lines. `from` without names is prose."""
        found = filter(None, map(_IMPORT.match, self._others))
        return [one for one in found if one[1] == "import" or one[3] is not None]

    def _repeats_import(self, text: str, following: str) -> bool:
        """Whether a line, which starts at the left margin, imports a module or a name again."""
        *lines, last = (self._begun + text).split("\n")
        ends = [(line, "\n") for line in lines] + [(last, following)]
        return any(self._imports_again(self._begun * (i == 0), *one) for i, one in enumerate(ends))

    def _imports_again(self, begun: str, line: str, following: str) -> bool:
        """Whether `line`, which the user has `begun`, imports a module or a name again, or from an imported name.

        Not `from`, if the file has several lines for one module: some styles have a line for each name.
        """
        found, own = _IMPORT.match(line), _IMPORT.match(begun)
        if found is None or (found.end() == len(line) and (_WORD.match(following) or following == ".")):
            return False
        known = set[str]().union(*map(_names, self._imports))
        if (_names(found) - (_names(own) if own else set())) & known:
            return True
        if own is not None and own[2] == found[2]:
            return False  # the user has typed the module
        modules = [other[2] for other in self._imports if other[1] == found[1]]
        has_own_style = found[1] == "from" and len(set(modules)) < len(modules)
        return found[2] in known or (found[2] in modules and not has_own_style)

    def _repeats_line(self, line: str) -> bool:
        """Whether an import, in another language than Python, is another line of the file."""
        return _OTHER_IMPORT.fullmatch(line) is not None and line in {re.sub(r"\W+$", "", one) for one in self._others}

    def _assigns_again(self, line: str) -> bool:
        """Whether the suggestion continues `a = a` with `=`, or `a = b =` with `a`."""
        parts = [part.strip() for part in _ASSIGN.split(line)]
        return len(parts) > max(2, len(_ASSIGN.findall(self._begun)) + 1) and len(set(parts)) < len(parts)

    @cached_property
    def _above(self) -> str:
        """The last line with text above that of the cursor."""
        return next((line for line in reversed(self._before.split("\n")[:-1]) if line.strip()), "")

    @cached_property
    def _is_indented(self) -> bool:
        """Whether the cursor is on an empty line that is as deep as a statement there can be."""
        if not self._begun or self._begun.strip() or not self._above or "\t" in self._begun + self._above:
            return False
        step = STEP if _HEAD_END.search(self._above) else 0
        return len(self._begun) >= _indentation(self._above) + step and not self._frames

    def _lacks_colon(self, first: str, line: str) -> bool:
        """Whether a line that is followed by another one starts a block, closes its brackets, and has no colon."""
        if not _HEAD.match(line) or "#" in line or line.endswith("\\"):
            return False
        state = resolve(state_after(self._before + first, self._syntax), self._syntax)
        return ":" not in re.split(r"[)\]}]", line)[-1] and not state.frames

    @cached_property
    def _is_unreachable(self) -> bool:
        """Whether the cursor is on an empty line that is indented like a `return` directly above."""
        if self._begun.strip() or self._after.partition("\n")[0].strip():
            return False
        is_after = _LEAVES.match(self._above) is not None and _indentation(self._above) == len(self._begun)
        return is_after and not self._frames and not self._above.endswith("\\")

    def _adds_self(self, line: str) -> bool:
        """Whether the suggestion contains or completes the word `self`."""
        return any(word.end() > len(self._begun) for word in _SELF.finditer(line))

    def _copies_head(self, line: str) -> bool:
        """Whether a call passes `self` to a method as the definition of that method in this file does."""
        call = _METHOD_HEAD.search(line)
        return call is not None and f"def {call[2]}(self" in self._before + self._after

    def _has_self(self, line: str) -> bool:
        """Whether the line is in, or is itself, a function that has mentioned `self`."""
        if _DEF.match(line) or "lambda" in line:
            return True
        indentation, lines = _indentation(line), self._before.split("\n")[:-1]
        for i in range(len(lines) - 1, -1, -1):
            if not _BLOCK.match(lines[i]) or _indentation(lines[i]) >= indentation:
                continue
            indentation = _indentation(lines[i])
            if _DEF.match(lines[i]):
                function = "\n".join(lines[i:])
                if _SELF.search(function) or not _HEAD_END.search(function):
                    return True
        return False

    def _is_foreign(self, line: str) -> bool:
        """Whether the line has Python in a language like C that the file doesn't have elsewhere."""
        if "//" not in self._syntax.comments:
            return False
        new = {word[0] for word in _WORD.finditer(line) if word.end() > len(self._begun)} & PYTHON_WORDS
        if new and not new <= set(_WORD.findall("\n".join([*self._others, self._begun]))):
            return True
        return _PYTHON_LINE.match(line) is not None and not any(map(_PYTHON_LINE.match, self._others))


def _names(found: re.Match[str]) -> set[str]:
    """The names that `from ... import` takes from its module, under their own names."""
    return {words[0] for part in (found[3] or "").split(",") if (words := part.strip(" (").split())}


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())
