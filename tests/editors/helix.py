"""Test completion in Helix, with the settings in editors/README.md.

    python helix.py HX --server COMMAND...

Helix runs in a pty. The file's last line has an emoji before the cursor; Helix uses utf-8 positions. Check that the
menu lists code that occurs above, and that accepting it inserts it in the right place and changes nothing else. Exits
with 1 on failure.
"""

import argparse
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

from menu import EXPECTED, TYPED, check_file, environment, new_project, settings

ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|P.*?\x1b\\|[()].|.)", re.S)
"""Terminal escape sequences."""


class Terminal:
    """A program in a pty with 24 rows and 100 columns, and its output."""

    def __init__(self, command: list[str], variables: dict[str, str], folder: Path) -> None:
        self.output = b""
        self.pid, self.pty = pty.fork()
        if not self.pid:
            os.chdir(folder)  # Helix's workspace root
            os.execvpe(command[0], command, variables)
        fcntl.ioctl(self.pty, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))

    def read(self, seconds: float) -> None:
        """Read output until that time is over or the program exits."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.pty], [], [], left)[0]:
                try:
                    self.output += os.read(self.pty, 65536)
                except OSError:  # the program has exited
                    return

    def press(self, keys: str) -> None:
        os.write(self.pty, keys.encode())

    def wait_for(self, text: str, seconds: float) -> bool:
        """Wait until the output contains `text`; return whether it does in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if text.encode() in ESCAPES.sub(b"", self.output):
                return True
            self.read(0.1)
        return False

    def wait_for_exit(self, seconds: float) -> bool:
        """Wait until the program exits; return whether it does in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                self.pid = 0
                return True
            self.read(0.1)
        return False

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.pty)


def complete(terminal: Terminal) -> None:
    """Type, wait for the menu, accept the entry, save and quit."""
    if not terminal.wait_for("say(", 10):
        raise AssertionError("Helix did not show the file")
    terminal.press("gegla")  # go to the end of the last line, and append
    terminal.read(0.5)
    terminal.output = b""  # from here on, only the menu contains the entry
    terminal.press(TYPED)
    for _ in range(15):  # repeated, since the server may still be starting
        terminal.press("\x1b")
        terminal.read(0.2)
        terminal.press("gla\x18")  # append at the end of the line; C-x opens the menu
        if terminal.wait_for(EXPECTED, 1):
            break
    else:
        raise AssertionError(f"no entry {EXPECTED!r} in the menu; last output: {ESCAPES.sub(b'', terminal.output)!r}")
    terminal.press("\t")  # selects the first entry
    terminal.read(0.5)
    terminal.press("\r")
    terminal.read(0.5)
    terminal.press("\x1b")
    terminal.read(0.3)
    terminal.press(":wq!\r")
    if not terminal.wait_for_exit(10):
        raise AssertionError(f"Helix did not quit; last output: {ESCAPES.sub(b'', terminal.output)[-500:]!r}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Test completion in Helix.")
    parser.add_argument("hx", help="Helix's program")
    parser.add_argument(
        "--server", nargs=argparse.REMAINDER, default=["tinycopilot-server"], help="the server's command"
    )
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="helix"))
    terminal = None
    try:
        file = new_project(folder)
        variables = environment(folder, arguments.server) | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        languages = folder / "config" / "helix" / "languages.toml"
        languages.parent.mkdir(parents=True)
        languages.write_text(settings("toml"), "utf-8")
        terminal = Terminal([arguments.hx, str(file)], variables, file.parent)
        complete(terminal)
        line = check_file(file)
    except (AssertionError, OSError) as error:
        print(f"FAILED  Helix: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    finally:
        if terminal:
            terminal.close()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"ok      Helix: completed to {line!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
