"""`tinycopilot serve`: run the server over stdio or TCP, with its log and its watchdog.

The log goes to standard error, which editors show, and to a file that rotates. It contains file names, and no code.
"""

import contextlib
import io
import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from typing import BinaryIO, cast

from tinycopilot import UserError
from tinycopilot.paths import log_path
from tinycopilot_server import commands, handlers, lifetime
from tinycopilot_server.protocol import ResyncInput, TolerantOutput
from tinycopilot_server.server import TinyCopilotServer

LOOPBACK = "127.0.0.1"
MAX_BYTES, N_OLD = 1_000_000, 2
FORMAT = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"


class PrivateFile(RotatingFileHandler):
    """A log file with mode 0600. Several servers write to the same one."""

    def _open(self) -> io.TextIOWrapper:
        def opener(path: str, flags: int) -> int:
            return os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o600)  # a pipe without a reader would block

        return open(self.baseFilename, self.mode, encoding=self.encoding, errors=self.errors, opener=opener)  # type: ignore[return-value]

    def rotate(self, source: str, dest: str) -> None:
        """Rename the full file. On Windows, that fails while another server has it open: then it grows further."""
        with contextlib.suppress(PermissionError):
            super().rotate(source, dest)


def begin_log() -> None:
    """Start logging; if the file cannot be written, to standard error alone."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("tinycopilot_server").setLevel(logging.INFO)
    with contextlib.suppress(OSError):
        path = log_path()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = PrivateFile(path, maxBytes=MAX_BYTES, backupCount=N_OLD, encoding="utf-8", errors="backslashreplace")
        file.setFormatter(logging.Formatter(FORMAT))
        logging.getLogger().addHandler(file)


def serve(*, tcp_port: int | None = None) -> int:
    """Run until the client sends `exit`, over stdio or a loopback port; return the exit code.

    The code is 1 if the client has not sent `shutdown` before. Raises UserError if stdio is closed or the port is used.
    """
    if tcp_port is None and (sys.stdin is None or sys.stdout is None):
        raise UserError("standard input or output is closed; let an editor start the server, or use --tcp PORT")
    begin_log()
    lifetime.start_watchdog(watches_input=tcp_port is None)
    server = TinyCopilotServer()
    handlers.register(server)
    commands.register(server)
    if tcp_port is None:
        reader, writer = ResyncInput(sys.stdin.buffer), TolerantOutput(sys.stdout.buffer)
        server.start_io(cast(BinaryIO, reader), cast(BinaryIO, writer))
        logging.shutdown()
        os._exit(server.exit_code)  # everything is saved, so do not wait for a busy thread
    try:
        server.start_tcp(LOOPBACK, tcp_port)
        return server.exit_code
    except OSError as error:
        raise UserError(f"port {tcp_port} cannot be used ({error.strerror}); choose another with --tcp") from None
