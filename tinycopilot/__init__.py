"""tinycopilot: a private code completion that its user trains, and that can be read in an afternoon.

README says in which order to read it. Importing this package does not import PyTorch.
"""

__version__ = "0.2.0"


class UserError(Exception):
    """Something the user can put right: one line that says what is wrong and what to do.

    The command line prints it and exits with 2; the language server shows it once.
    """
