"""An editor that makes random valid edits, and keeps the resulting texts as plain strings."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

CODECS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}
LINE_END = re.compile(r"\r\n|\r|\n")
MAX_CHARS = 4_000
"""Longer documents are shortened."""
PIECES = (
    *("\n", "\n", "\r\n", "\r", "\x0c", "\u2028", "\x85", "\t", "    ", "\n\n    ", "\r\n\r\n", "\n\r"),
    *(
        "\N{LATIN SMALL LETTER E WITH ACUTE}",
        "\N{SNOWMAN}",
        "\N{GRINNING FACE}",
        "\N{GRINNING FACE}\N{COMBINING TILDE}",
    ),
    *("a", "b", "x", "(", ")", "[", "]", ":", ".", " ", ",", "=", "'", '"', "#", "_", "0", "7"),
    *("def ", "return ", "import os\n", "self.", "for i in range(", "value", "if x is None:\n    ", "# note\r\n"),
)


def units(text: str, encoding: str) -> int:
    """Return the number of code units of `text` in a position encoding."""
    codec, size = CODECS[encoding]
    return len(text.encode(codec)) // size


def position(text: str, offset: int, encoding: str) -> dict[str, int]:
    """Return the LSP position of `offset`, which counts characters."""
    before = text[:offset]
    ends = [end.end() for end in LINE_END.finditer(before)]
    return {"line": len(ends), "character": units(before[ends[-1] if ends else 0 :], encoding)}


def valid_offset(text: str, offset: int) -> int:
    """Move an offset between \\r and \\n to a valid cursor position."""
    return offset - (text[max(0, offset - 1) : offset + 1] == "\r\n")


@dataclass
class Plain:
    """A document as a string, with its version."""

    uri: str
    text: str = ""
    version: int = 0


@dataclass
class RandomEditor:
    """Open documents; everything is determined by `seed` and the order of calls."""

    encoding: str
    seed: int
    uris: tuple[str, ...]
    """The documents to open and close."""
    documents: dict[str, Plain] = field(default_factory=dict)
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def some_text(self, limit: int) -> str:
        return "".join(self.dice.choices(PIECES, k=self.dice.randrange(limit)))

    def some_document(self) -> Plain:
        return self.dice.choice(list(self.documents.values()))

    def some_offset(self, text: str) -> int:
        """Return a random offset, often the end; never between \\r and \\n."""
        return valid_offset(text, len(text) if self.dice.random() < 0.2 else self.dice.randint(0, len(text)))

    def place(self, document: Plain, offset: int) -> dict[str, Any]:
        """Return parameters with a position in a document, sometimes beyond the end of its line."""
        where = position(document.text, offset, self.encoding)
        if document.text[offset : offset + 1] in ("", "\r", "\n") and self.dice.random() < 0.1:
            where["character"] += self.dice.choice((1, 1_000, 2**31 - 1 - where["character"]))
        return {"textDocument": {"uri": document.uri}, "position": where}

    def open(self) -> tuple[str, dict[str, Any]]:
        """Open a document that is not open."""
        uri = self.dice.choice([uri for uri in self.uris if uri not in self.documents])
        document = self.documents[uri] = Plain(uri, self.some_text(100), self.dice.randrange(3))
        item = {"uri": uri, "languageId": "python", "version": document.version, "text": document.text}
        return "textDocument/didOpen", {"textDocument": item}

    def close(self) -> tuple[str, dict[str, Any]]:
        document = self.documents.pop(self.dice.choice(list(self.documents)))
        return "textDocument/didClose", {"textDocument": {"uri": document.uri}}

    def save(self) -> tuple[str, dict[str, Any]]:
        return "textDocument/didSave", {"textDocument": {"uri": self.some_document().uri}}

    def change(self) -> tuple[str, dict[str, Any]]:
        """Make one or several edits; each refers to the text after the previous one."""
        document = self.some_document()
        document.version += self.dice.randint(1, 3)
        make: Callable[[Plain], dict[str, Any]] = self.replace if len(document.text) < MAX_CHARS else self.shorten
        changes = [make(document) for _ in range(self.dice.choice((1, 1, 1, 1, 2, 3)))]
        named = {"uri": document.uri, "version": document.version}
        return "textDocument/didChange", {"textDocument": named, "contentChanges": changes}

    def replace(self, document: Plain) -> dict[str, Any]:
        if self.dice.random() < 0.01:
            document.text = self.some_text(100)
            return {"text": document.text}
        start = end = self.some_offset(document.text)
        if self.dice.random() < 0.3:
            end = valid_offset(document.text, min(len(document.text), start + self.dice.choice((1, 2, 10, 200))))
        return self.write(document, start, end, self.some_text(4))

    def shorten(self, document: Plain) -> dict[str, Any]:
        return self.write(document, self.some_offset(document.text[:100]), self.some_offset(document.text), "")

    def write(self, document: Plain, start: int, end: int, new: str) -> dict[str, Any]:
        """Replace the text between two offsets with `new`."""
        start, end = min(start, end), max(start, end)
        where = {
            "start": position(document.text, start, self.encoding),
            "end": position(document.text, end, self.encoding),
        }
        document.text = document.text[:start] + new + document.text[end:]
        return {"range": where, "text": new}
