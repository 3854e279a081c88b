"""A process that works for the server: this Python, niced, no shell; it ends when the server does, however that ends.

One processor stays with whoever types: where two threads compute together and one has to wait for a processor, they are
ten times slower than one alone. Its standard input is a pipe that nobody writes to. It is closed to stop the process,
and the system closes it when the server is gone.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import IO

from tinycopilot.process import usable_cores

NICENESS = 10
PATIENCE_S = 10.0
"""So long it may take to clean up behind itself when it is stopped; then it is killed."""
LAST_BYTES = 8_000


class Child:
    """Runs `python -m MODULE ARGUMENTS`. What it says is told in a thread of its own."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        on_line: Callable[[bytes], None],
        on_end: Callable[[int, str], None],
    ) -> None:
        """`on_line` is told each line of its standard output; `on_end` its exit code and the last line of its errors.

        Raises OSError where it cannot be started.
        """
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (a pipe that nobody empties would stop it)
        below_normal = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0) | getattr(
            subprocess, "CREATE_NO_WINDOW", 0
        )
        self._process = subprocess.Popen(
            # -P: what lies in the folder that the server was started in, a user's project, is not to be imported
            [sys.executable, "-P", "-m", module, *arguments],
            env={"OMP_NUM_THREADS": str(max(1, usable_cores() - 1)), **os.environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            creationflags=below_normal,
        )
        if sys.platform != "win32":
            with contextlib.suppress(OSError):  # its threads will be as nice as it is now
                os.setpriority(os.PRIO_PROCESS, self._process.pid, NICENESS)
        self._thread = threading.Thread(target=self._listen, args=(on_line, on_end), name=module, daemon=True)
        self._thread.start()

    def _listen(self, on_line: Callable[[bytes], None], on_end: Callable[[int, str], None]) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                on_line(line)
        code = self._process.wait()
        self._close_input()
        with self._errors as errors:
            on_end(code, _last_line(errors))

    def stop(self) -> None:
        """Ask it to end; it is killed if that takes too long. Returns at once."""
        self._close_input()
        killer = threading.Timer(PATIENCE_S, self._process.kill)
        killer.daemon = True
        killer.start()

    def _close_input(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def join(self, seconds: float) -> None:
        """Wait until it has ended, so long at most."""
        self._thread.join(seconds)


def _last_line(file: IO[bytes]) -> str:
    file.seek(max(0, file.seek(0, os.SEEK_END) - LAST_BYTES))
    lines = file.read().decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
