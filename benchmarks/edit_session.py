"""A simulated user in a workspace: documents are opened, edited, cut and pasted, removed and restored.

Deterministic for a seed. Document lengths stay about constant, so that memory growth is not caused by the documents.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping

from tinycopilot.completion.ngram import Document

BURST = range(20, 200)
"""Number of edits in one document before switching to another."""
N_OPEN = 12
OPENS_SHARE = 0.2
"""Probability that the other document is not open yet; it replaces the one opened first."""
REMOVED_SHARE = 0.05
"""Maximum number of documents missing at a time."""
MAX_PASTED_CHARS = 2_000
LONGEST, SHORTEST = 1.25, 0.8
"""Bounds of a document's length relative to the original (and two pieces beyond)."""
KINDS = {"typed": 75, "deleted": 16, "pasted": 3, "cut": 3, "moved": 2, "removed": 0.5, "brought back": 0.5}
"""Frequencies in percent. `moved`: the cursor; `removed` and `brought back`: another document."""

Edit = tuple[str, Document | None]
"""A document's name, and its text before and after the cursor; None if it is removed."""


class Session:
    """Edits `documents`, and counts edits by kind."""

    def __init__(self, texts: Mapping[str, str], seed: int = 0) -> None:
        """`texts`, by name: at least two that are not empty."""
        # Copies, so that memory is the same at the start as after all were edited.
        self.documents: dict[str, Document] = {name: (text[:1] + text[1:],) for name, text in texts.items()}
        self.counts = Counter[str]()
        self._dice = random.Random(seed)
        self._texts = {name: text for name, text in texts.items() if text}
        self._names = list(self._texts)
        self._removed: list[str] = []
        self._open: list[str] = []
        self._to_type = ""  # the next text to type: code of another document

    def edits(self, n: int) -> Iterator[Edit]:
        """Yield the next `n` edits, already applied to `documents`."""
        left_in_burst, name = 0, ""
        for _ in range(n):
            if left_in_burst == 0:
                left_in_burst, name = self._dice.choice(BURST), self._go_to_another()
            left_in_burst -= 1
            yield self._edit(name)

    def _go_to_another(self) -> str:
        if len(self._open) < min(N_OPEN, len(self._names)) or self._dice.random() < OPENS_SHARE:
            name = self._dice.choice([name for name in self._names if name not in self._removed])
            if name not in self._open:
                self._open = [*self._open, name][-N_OPEN:]
        else:
            name = self._dice.choice(self._open)
        self._move(name)
        return name

    def _edit(self, name: str) -> Edit:
        kind = self._possible(self._dice.choices(list(KINDS), list(KINDS.values()))[0], name)
        self.counts[kind] += 1
        if kind in ("removed", "brought back"):
            return self._another(kind)
        before, after = self._pieces(name)
        if kind == "typed":
            before += self._next_typed()
        elif kind == "deleted":
            before = before[:-1]
        elif kind == "pasted":
            before += self._piece()
        elif kind == "cut":
            n_chars = self._dice.randrange(1, MAX_PASTED_CHARS)
            before, after = (before, after[n_chars:]) if after else (before[:-n_chars], "")
        else:
            self._move(name)
            before, after = self._pieces(name)
        self.documents[name] = (before, after)
        return name, (before, after)

    def _possible(self, kind: str, name: str) -> str:
        """This kind, or another that keeps lengths and number of documents within bounds."""
        growth = sum(map(len, self.documents[name])) / len(self._texts[name])
        if kind in ("typed", "pasted") and growth > LONGEST:
            return "cut"
        if kind in ("deleted", "cut") and growth < SHORTEST:
            return "pasted"
        most_removed = min(REMOVED_SHARE * len(self._names), len(self._names) - N_OPEN - 1)  # open documents are kept
        if kind == "removed" and len(self._removed) >= most_removed:
            kind = "brought back"
        return "moved" if kind == "brought back" and not self._removed else kind

    def _another(self, kind: str) -> Edit:
        """Remove a document that is not open, or restore it as it was at first."""
        if kind == "removed":
            name = self._dice.choice([n for n in self._names if n not in self._open and n not in self._removed])
            self._removed.append(name)
            del self.documents[name]
            return name, None
        name = self._removed.pop(self._dice.randrange(len(self._removed)))
        self.documents[name] = (self._texts[name],)
        return name, self.documents[name]

    def _pieces(self, name: str) -> tuple[str, str]:
        before, *after = self.documents[name]
        return before, "".join(after)

    def _move(self, name: str) -> None:
        """Move the cursor to a random position."""
        text = "".join(self.documents[name])
        at = self._dice.randrange(len(text) + 1)
        self.documents[name] = (text[:at], text[at:])

    def _next_typed(self) -> str:
        """One character of another document's code."""
        if not self._to_type:
            self._to_type = self._piece()
        character, self._to_type = self._to_type[0], self._to_type[1:]
        return character

    def _piece(self) -> str:
        """A piece of some document's code."""
        text = self._texts[self._dice.choice(self._names)]
        start = self._dice.randrange(len(text))
        return text[start : start + self._dice.randrange(1, MAX_PASTED_CHARS)]
