"""The access token that clients must send, in a private file (mode 0600) that only this user can read."""

import os
import re
import secrets
from pathlib import Path

from tinycopilot import UserError
from tinycopilot.atomic import atomic_write, open_owned
from tinycopilot.paths import http_token_path, require_home

N_BYTES = 32
"""Random bytes in a token."""
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
MAX_FILE_BYTES = 1_000


def token() -> tuple[str, Path]:
    """Return the token, and the path to its file, which is created if necessary.

    The token stays the same until the file is deleted, because editors store it in their settings. If other users can
    read or write the file, the token is replaced. Raises UserError if the file cannot be written.
    """
    path = http_token_path()
    require_home(path, what_for="keep the token in")
    if (found := _read(path)) is not None:
        return found, path
    new = secrets.token_urlsafe(N_BYTES)
    try:
        with atomic_write(path) as file:
            file.write(f"{new}\n".encode())
    except OSError as error:
        raise UserError(f"{path}: the token cannot be written: {error.strerror}") from None
    return new, path


def _read(path: Path) -> str | None:
    """Return the token in the file; None if there is none, or if other users can read or write the file."""
    try:
        with open_owned(path) as file:
            is_private = os.name != "posix" or os.fstat(file.fileno()).st_mode & 0o077 == 0
            text = file.read(MAX_FILE_BYTES).decode("ascii", "replace").strip()
    except OSError:
        return None
    return text if is_private and TOKEN.fullmatch(text) else None
