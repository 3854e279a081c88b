"""The `tinycopilot-server` command: run the language server over stdio or TCP, or an HTTP endpoint."""

import sys
from collections.abc import Sequence

from tinycopilot.cli import main as run_command


def main(argv: Sequence[str] | None = None) -> int:
    """The `tinycopilot serve` command."""
    return run_command(["serve", *(sys.argv[1:] if argv is None else argv)], server_program="tinycopilot-server")


if __name__ == "__main__":
    sys.exit(main())
