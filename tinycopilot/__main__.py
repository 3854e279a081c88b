"""`python -m tinycopilot` is the command `tinycopilot`."""

import sys

from tinycopilot.cli import main

if __name__ == "__main__":
    sys.exit(main())
