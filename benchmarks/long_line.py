"""Cost of a key in the server's documents on a line of 1 MB, in each encoding, compared with a short line.

    python benchmarks/long_line.py

For each position encoding, character width and cursor position: milliseconds of one key, the minimum of many, without
the network: the edit, the checks, and the text on both sides of the cursor. The last line is one JSON object.
"""

import json
import time

from lsprotocol import types
from lsprotocol.types import PositionEncodingKind
from tinycopilot_server.documents import Document, to_units

N_KEYS = 50
WORD = "abc, "
CHARACTERS = {"ASCII": "e", "BMP": "\N{LATIN SMALL LETTER E WITH ACUTE}", "astral": "\N{GRINNING FACE}"}


def key_ms(n_words: int, character: str, place: float, encoding: str) -> float:
    """Minimum over N_KEYS keys, typed at that share of the line."""
    text, n_before = f'x = "{character}' + WORD * n_words, 6 + int(place * n_words) * len(WORD)
    document, column, best = Document(text, 0, encoding, "/a.js"), to_units(text, n_before, encoding), float("inf")
    for version in range(N_KEYS):
        here = types.Position(0, column)
        since = time.perf_counter()
        document.apply([types.TextDocumentContentChangePartial(range=types.Range(here, here), text="i")], version)
        column += 1
        _ = document.is_secret, document.why_not_indexed
        document.split_near(types.Position(0, column))
        document.clamp(types.Position(0, column))
        best = min(best, 1000 * (time.perf_counter() - since))
    return best


def main() -> None:
    """Measure and print."""
    worst = 0.0
    for encoding in (kind.value for kind in PositionEncodingKind):
        for width, character in CHARACTERS.items():
            short, *long = (
                key_ms(n, character, at, encoding) for n, at in ((20, 1), *((200_000, i / 2) for i in range(3)))
            )
            start, middle, end = long
            figures = f"1 MB: start {start:.3f}, middle {middle:.3f}, end {end:.3f} ms"
            print(f"{encoding:7} {width:7} short {short:.3f}  {figures}")
            worst = max(worst, *(one - short for one in long))
    print(json.dumps({"worst_extra_ms": round(worst, 3)}))


if __name__ == "__main__":
    main()
