"""`python -m tinycopilot` is the `tinycopilot` command."""

import sys

from tinycopilot.cli import main

if __name__ == "__main__":
    sys.exit(main())
