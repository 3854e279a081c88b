"""Child: the training process, niced and without a shell; it ends when the server does.

One core is left to the user: two threads of which one waits for a core are ten times slower than one thread. The
process's standard input is an empty pipe: closing it stops the process, and the system closes it when the server exits
for any reason.
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
"""Time limit for cleaning up when the process is stopped; then it is killed."""
LAST_BYTES = 8_000


class Child:
    """Runs `python -m MODULE ARGUMENTS`, niced, without a shell. Callbacks run in a separate thread."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        on_line: Callable[[bytes], None],
        on_end: Callable[[int, str], None],
    ) -> None:
        """`on_line` receives each line of standard output; `on_end` the exit code and the last line of standard error.

        Raises OSError if the process cannot be started.
        """
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (an unread pipe would block it)
        below_normal = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0) | getattr(
            subprocess, "CREATE_NO_WINDOW", 0
        )
        self._process = subprocess.Popen(
            # -P: import nothing from the working folder, which may be the user's project
            [sys.executable, "-P", "-m", module, *arguments],
            env={"OMP_NUM_THREADS": str(max(1, usable_cores() - 1)), **os.environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            creationflags=below_normal,
        )
        if sys.platform != "win32":
            with contextlib.suppress(OSError):  # its threads inherit the priority
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
        """Ask the process to exit, and kill it after PATIENCE_S. Returns at once."""
        self._close_input()
        killer = threading.Timer(PATIENCE_S, self._process.kill)
        killer.daemon = True
        killer.start()

    def _close_input(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def join(self, seconds: float) -> None:
        """Wait until the process has exited, at most `seconds`."""
        self._thread.join(seconds)


def _last_line(file: IO[bytes]) -> str:
    file.seek(max(0, file.seek(0, os.SEEK_END) - LAST_BYTES))
    return file.read().decode("utf-8", "replace").strip().rpartition("\n")[2].strip()
