"""Test completion in Helix, with the settings in editors/README.md.

    python helix.py HX --server COMMAND...

Helix runs in a pty. The file's last line has an emoji before the cursor; Helix uses utf-8 positions. Check that the
menu lists a name used above, and that accepting it inserts it in the right place and changes nothing else. Exits with 1
on failure.
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

from menu import TYPED, WANTED, check_file, environment, new_project, settings

MARKS = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|P.*?\x1b\\|[()].|.)", re.S)
"""Control sequences of the terminal."""


class Terminal:
    """A program in a pty of 100 by 24 cells, and its output."""

    def __init__(self, command: list[str], variables: dict[str, str], folder: Path) -> None:
        self.written = b""
        self.process, self.line = pty.fork()
        if not self.process:
            os.chdir(folder)  # marks the workspace root for Helix
            os.execvpe(command[0], command, variables)
        fcntl.ioctl(self.line, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))

    def read(self, seconds: float) -> None:
        """Read output for at most that time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.line], [], [], left)[0]:
                try:
                    self.written += os.read(self.line, 65536)
                except OSError:  # the program has exited
                    return

    def press(self, keys: str) -> None:
        os.write(self.line, keys.encode())

    def wait_for(self, text: str, seconds: float) -> bool:
        """Wait for `text` in further output; return whether it came in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if text.encode() in MARKS.sub(b"", self.written):
                return True
            self.read(0.1)
        return False

    def has_ended(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if os.waitpid(self.process, os.WNOHANG)[0]:
                self.process = 0
                return True
            self.read(0.1)
        return False

    def close(self) -> None:
        if self.process:
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
        os.close(self.line)


def complete(terminal: Terminal) -> None:
    """Type, wait for the menu, accept the entry, save, quit."""
    if not terminal.wait_for("say(", 10):
        raise AssertionError("Helix did not show the file")
    terminal.press("gegla")  # to the last line and its end, then append
    terminal.read(0.5)
    terminal.written = b""  # the menu's text is in no line of the file
    terminal.press(TYPED)
    for _ in range(15):  # the server may still be starting: request again
        terminal.press("\x1b")
        terminal.read(0.2)
        terminal.press("gla\x18")  # end of line, then C-x for the menu
        if terminal.wait_for(WANTED, 1):
            break
    else:
        raise AssertionError(f"no entry {WANTED!r} in the menu; last output: {MARKS.sub(b'', terminal.written)!r}")
    terminal.press("\t")  # selects the first entry
    terminal.read(0.5)
    terminal.press("\r")
    terminal.read(0.5)
    terminal.press("\x1b")
    terminal.read(0.3)
    terminal.press(":wq!\r")
    if not terminal.has_ended(10):
        raise AssertionError(f"Helix did not quit; last output: {MARKS.sub(b'', terminal.written)[-500:]!r}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Complete in real Helix.")
    parser.add_argument("hx", help="the program")
    parser.add_argument("--server", nargs=argparse.REMAINDER, default=["tinycopilot-server"], help="its command")
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
