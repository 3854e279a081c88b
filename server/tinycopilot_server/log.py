"""The log: to standard error, which editors show, and to a file that rotates. File names stand in it, and no code."""

import contextlib
import io
import logging
import os
from logging.handlers import RotatingFileHandler

from tinycopilot import places

MAX_BYTES, N_OLD = 1_000_000, 2
FORMAT = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"


class PrivateFile(RotatingFileHandler):
    """For its user's eyes alone. Several servers write to the same one."""

    def _open(self) -> io.TextIOWrapper:
        def opener(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        return open(self.baseFilename, self.mode, encoding=self.encoding, errors=self.errors, opener=opener)  # type: ignore[return-value]


def begin() -> None:
    """Log from now on; where there can be no file, to standard error alone."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("tinycopilot_server").setLevel(logging.INFO)
    with contextlib.suppress(OSError):
        path = places.user_log()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = PrivateFile(path, maxBytes=MAX_BYTES, backupCount=N_OLD, encoding="utf-8", errors="backslashreplace")
        file.setFormatter(logging.Formatter(FORMAT))
        logging.getLogger().addHandler(file)
