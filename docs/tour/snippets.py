"""Run the tour's snippets, and write what they print below them: `make tour`."""

import contextlib
import io
import re
import sys
from pathlib import Path
from unittest.mock import patch

from tinycopilot.paths import bundled_model

HERE = Path(__file__).resolve().parent
SNIPPET = re.compile(r"```python\n(.*?)```\n(?:\n```text\n(?=.*?```)(.*?)```\n)?", re.S)
"""A snippet, and the block of text right below it, if there is one."""


def output_of(code: str) -> str:
    """Run a snippet by itself, with the bundled model; return what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), patch("tinycopilot.api.model_to_load", lambda *_: bundled_model()):
        exec(compile(code, "snippet", "exec"), {"__name__": "__main__"})
    return printed.getvalue()


def renewed(page: str) -> str:
    """Return the page with the output of each snippet replaced."""

    def with_output(match: re.Match[str]) -> str:
        return f"```python\n{match[1]}```\n\n```text\n{output_of(match[1])}```\n"

    return SNIPPET.sub(with_output, page)


def main() -> None:
    """Renew all pages, or those that are named."""
    for path in map(Path, sys.argv[1:]) if sys.argv[1:] else sorted(HERE.glob("*.md")):
        path.write_text(renewed(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
