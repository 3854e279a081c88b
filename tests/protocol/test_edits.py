"""Random edits over the protocol; the server's suggestions reveal its text."""

import random
import re

import pytest
from lsp_editor import Start, oracle
from lsprotocol import types
from lsprotocol.types import PositionEncodingKind as Kind

from tinycopilot.paths import ModelPaths

CODECS = {Kind.Utf8: ("utf-8", 1), Kind.Utf16: ("utf-16-le", 2), Kind.Utf32: ("utf-32-le", 4)}
PIECES = ["a", "x = [", "\n", "\r\n", "\r", "\t", "\x0c", "\u2028", "\N{GRINNING FACE}", "\N{SNOWMAN}b", "f(\n"]
N_ROUNDS, N_EDITS = 6, 25


def split(text: str, offset: int) -> tuple[int, str]:
    """The line number of `offset`, and the text before it in that line: the definition."""
    lines = text[:offset].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return len(lines) - 1, lines[-1]


@pytest.mark.parametrize("encoding", CODECS)
async def test_server_text_equals_editor_text_after_random_edits(
    start: Start, saved: ModelPaths, encoding: Kind
) -> None:
    editor, chance, text, version = await start(encoding=encoding), random.Random(7), "import os\n", 1
    codec, size = CODECS[encoding]
    editor.open(text)

    def position(offset: int) -> types.Position:
        line, before = split(text, offset)
        return types.Position(line, len(before.encode(codec)) // size)

    n_found = 0
    for _ in range(N_ROUNDS):
        for _ in range(N_EDITS):
            # no cursor between \r and \n
            offsets = [i for i in range(len(text) + 1) if text[i - 1 : i + 1] != "\r\n"]
            first, last = (
                sorted(chance.choices(offsets, k=2)) if chance.random() < 0.2 else [chance.choice(offsets)] * 2
            )
            new, version = "".join(chance.choices(PIECES, k=chance.randint(0, 3))), version + 1
            where = types.Range(position(first), position(last))
            editor.change(version, types.TextDocumentContentChangePartial(range=where, text=new))
            text = text[:first] + new + text[last:]
        for ending in ("\nx = va", "(", " = "):  # at the end of the text, where a suggestion is always allowed
            version += 1
            here = position(len(text))
            editor.change(version, types.TextDocumentContentChangePartial(range=types.Range(here, here), text=ending))
            text += ending
            there = position(len(text))
            wanted = oracle(saved, text)
            assert await editor.ghost(there.line, there.character) == wanted.replace("\n", first_end(text))
            n_found += wanted != ""
    assert n_found


def first_end(text: str) -> str:
    """Return the text's first line end."""
    found = re.search("\r\n|\r|\n", text)
    return found[0] if found else "\n"
