"""A random but legal editor: what it does to its documents, and the plain texts that they should come to."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

CODECS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}
LINE_END = re.compile(r"\r\n|\r|\n")
MAX_CHARS = 4_000
"""A document that has grown beyond this is cut down to a part of it."""
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
    """How many units of a position encoding a text takes."""
    codec, size = CODECS[encoding]
    return len(text.encode(codec)) // size


def position(text: str, offset: int, encoding: str) -> dict[str, int]:
    """Where an editor says that `offset` is."""
    before = text[:offset]
    ends = [end.end() for end in LINE_END.finditer(before)]
    return {"line": len(ends), "character": units(before[ends[-1] if ends else 0 :], encoding)}


def legal(text: str, offset: int) -> int:
    """The nearest place for a cursor: none is between \\r and \\n."""
    return offset - (text[max(0, offset - 1) : offset + 1] == "\r\n")


@dataclass
class Plain:
    """A document as a string, and the number of its version."""

    uri: str
    text: str = ""
    version: int = 0


@dataclass
class RandomEditor:
    """Its open documents. `seed` and the order of calls decide all."""

    encoding: str
    seed: int
    uris: tuple[str, ...]
    """The documents that it opens and closes, again and again."""
    documents: dict[str, Plain] = field(default_factory=dict)
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def some_text(self, most: int) -> str:
        return "".join(self.dice.choices(PIECES, k=self.dice.randrange(most)))

    def some_document(self) -> Plain:
        return self.dice.choice(list(self.documents.values()))

    def some_offset(self, text: str) -> int:
        """Anywhere but between \\r and \\n, where no editor's cursor stands; often at the end."""
        return legal(text, len(text) if self.dice.random() < 0.2 else self.dice.randint(0, len(text)))

    def place(self, document: Plain, offset: int) -> dict[str, Any]:
        """The parameters that name a place in a document; the end of a line, now and then as one beyond it."""
        where = position(document.text, offset, self.encoding)
        if document.text[offset : offset + 1] in ("", "\r", "\n") and self.dice.random() < 0.1:
            where["character"] += self.dice.choice((1, 1_000, 2**31 - 1 - where["character"]))
        return {"textDocument": {"uri": document.uri}, "position": where}

    def open(self) -> tuple[str, dict[str, Any]]:
        """A document that is not open."""
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
        """Some edits of a document; each is stated in terms of the text that the last one left."""
        document = self.some_document()
        document.version += self.dice.randint(1, 3)
        make: Callable[[Plain], dict[str, Any]] = self.replace if len(document.text) < MAX_CHARS else self.cut_down
        changes = [make(document) for _ in range(self.dice.choice((1, 1, 1, 1, 2, 3)))]
        named = {"uri": document.uri, "version": document.version}
        return "textDocument/didChange", {"textDocument": named, "contentChanges": changes}

    def replace(self, document: Plain) -> dict[str, Any]:
        if self.dice.random() < 0.01:
            document.text = self.some_text(100)
            return {"text": document.text}
        start = end = self.some_offset(document.text)
        if self.dice.random() < 0.3:
            end = legal(document.text, min(len(document.text), start + self.dice.choice((1, 2, 10, 200))))
        return self.write(document, start, end, self.some_text(4))

    def cut_down(self, document: Plain) -> dict[str, Any]:
        return self.write(document, self.some_offset(document.text[:100]), self.some_offset(document.text), "")

    def write(self, document: Plain, start: int, end: int, new: str) -> dict[str, Any]:
        """Put `new` for what stands between two offsets."""
        start, end = min(start, end), max(start, end)
        where = {
            "start": position(document.text, start, self.encoding),
            "end": position(document.text, end, self.encoding),
        }
        document.text = document.text[:start] + new + document.text[end:]
        return {"range": where, "text": new}
