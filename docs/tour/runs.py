"""The recorded training runs in curves/, and their table in what-breaks.md: `make tour`."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from svg import visible

HERE = Path(__file__).resolve().parent
PAGE = HERE / "what-breaks.md"
NAMES = ("nothing", "warmup", "heads", "convolution", "positions", "positions-convolution", "residuals", "causality")
"""Of the files in curves/ that the page compares."""
SAMPLE_CHARS = 44


@cache
def run(name: str) -> dict[str, Any]:
    """Return a recorded run: what `tinycopilot train --without ... --json` printed."""
    return json.loads((HERE / "curves" / f"{name}.json").read_text("utf-8"))


def table() -> str:
    """Return the rows, in Markdown."""
    rows = []
    for name in NAMES:
        sample = "".join(map(visible, run(name)["sample"][:SAMPLE_CHARS])).replace("|", "\\|").replace("`", "'")
        reading, generating = run(name)["held_out_bits"], run(name)["generating_bits"]
        command = f"`tinycopilot train --without {name.replace('-', ' ')}`"
        rows.append(f"| {command} | {reading:.2f} | {generating:.2f} | `{sample}` |")
    return "\n".join(rows)


def page_with(rows: str, page: str) -> str:
    """Return the page with the rows of its table replaced."""
    return re.sub(r"(?<=^\| --- \| ---: \| ---: \| --- \|\n).*?(?=\n\n)", lambda _: rows, page, flags=re.M | re.S)


if __name__ == "__main__":
    PAGE.write_text(page_with(table(), PAGE.read_text("utf-8")), "utf-8")
