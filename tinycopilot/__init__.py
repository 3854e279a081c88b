"""tinycopilot: private code completion that you can train yourself, with source code written to be read.

docs/architecture.md is a map of the code. Importing this package does not import PyTorch.
"""

__version__ = "0.2.0"


class UserError(Exception):
    """An error that the user can fix: one line that says what is wrong and what to do.

    The command line prints it and exits with 2; the language server shows it once.
    """
