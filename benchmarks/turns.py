"""Child processes that take turns: all but one are stopped, so that noise affects all alike."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TURN_S = 15.0
POLL_S = 0.05
LAST_LINES = 12


@dataclass
class Child:
    """A command in its own process group, which is stopped and resumed as a whole. POSIX only."""

    name: str
    command: Sequence[str]
    log: Path
    """File for its output."""
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    first_turn_s: float = 0.0
    """Minimum length of its first turn: a child that measures its own speed should not be stopped meanwhile."""

    wall_s: float = field(default=0.0, init=False)
    """Seconds that it was running, including its start."""
    cpu_s: float = field(default=0.0, init=False)
    """CPU seconds of itself and its children; known once it has exited."""
    exit_code: int | None = field(default=None, init=False)
    """None until it has exited; negative for a signal."""
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    @property
    def pid(self) -> int:
        """Id of the process and its group. Only after the start."""
        assert self._process is not None
        return self._process.pid

    def run(self, limit_s: float | None = None) -> bool:
        """Start or resume it for `limit_s` seconds or until it exits; return whether it has."""
        since = time.perf_counter()
        if self._process is None:
            self._process = self._start()
        else:
            os.killpg(self.pid, signal.SIGCONT)
        while not self._reap() and (limit_s is None or time.perf_counter() - since < limit_s):
            time.sleep(POLL_S)
        self.wall_s += time.perf_counter() - since
        if self.exit_code is None:
            os.killpg(self.pid, signal.SIGSTOP)
        return self.exit_code is not None

    def _start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("wb") as log:
            streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT}
            return subprocess.Popen(self.command, env=self.env, cwd=self.cwd, process_group=0, **streams)

    def _reap(self) -> bool:
        """Record its exit code, if it has exited."""
        assert self._process is not None
        pid, status, used = os.wait4(self._process.pid, os.WNOHANG)
        if pid == 0:
            return False
        self.cpu_s = used.ru_utime + used.ru_stime
        self.exit_code = self._process.returncode = os.waitstatus_to_exitcode(status)
        return True

    def end(self) -> None:
        """Kill its process group, if it has not exited, even if it is stopped."""
        if self._process is not None and self.exit_code is None:
            os.killpg(self.pid, signal.SIGCONT)
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
            self.exit_code = self._process.returncode

    def last_lines(self) -> str:
        """The end of its output."""
        lines = self.log.read_text("utf-8", "replace").replace("\r", "\n").splitlines()
        return "\n".join(lines[-LAST_LINES:])


def take_turns(children: Sequence[Child], turn_s: float = TURN_S) -> None:
    """Run `children` to their ends in turns, one at a time. None is left behind, whatever happens."""
    waiting = list(children)
    try:
        while waiting:
            for child in list(waiting):
                first_s = 0.0 if child.wall_s else child.first_turn_s
                if child.run(max(turn_s, first_s) if len(waiting) > 1 else None):
                    waiting.remove(child)
    finally:
        for child in children:
            child.end()
