"""Training: run `tinycopilot adapt` in a child process, show its progress, and load the resulting model.

One core is left to the user: two threads of which one waits for a core are ten times slower than one thread. The
process's standard input is an empty pipe: closing it stops the process, and the system closes it when the server exits
for any reason.
"""

import asyncio
import contextlib
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import IO, Any, Literal

from lsprotocol import types

from tinycopilot import UserError
from tinycopilot.extras import require_installed_torch
from tinycopilot.files.gitignore import as_pattern
from tinycopilot.paths import workspace_model
from tinycopilot.process import usable_cores
from tinycopilot_server.index import Index
from tinycopilot_server.models import Models, Stamp, delete_own, stamp_of
from tinycopilot_server.progress import Progress
from tinycopilot_server.session import Session

TRAINING = "tinycopilot/training"
"""A notification to the client: {"state": "running" | "done" | "failed" | "cancelled", "percentage": 0 to 100,
"message": "..."}; and, when it is done, the figures of `tinycopilot adapt --progress json`."""

PROGRAM = "tinycopilot"
"""The module to run."""
CLOSE_S = 0.5
NICENESS = 10
PATIENCE_S = 10.0
"""Time limit for cleaning up when the process is stopped; then it is killed."""
LAST_BYTES = 8_000
SUFFIX = re.compile(r"\.[\w+#-]+")

STAGES = {"reading": (0, 3), "training": (3, 85), "measuring": (85, 100), "done": (100, 100)}
"""The first and last percentage of each stage, in five minutes of training."""
DEFAULT_MINUTES = 5.0
MAX_MINUTES = 24 * 60.0

State = Literal["running", "done", "failed", "cancelled"]
Line = dict[str, Any]
"""A line of `tinycopilot adapt --progress json`."""

log = logging.getLogger(__name__)


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
        with self._errors as errors:
            with self._process as process:  # at the end, it closes the pipes and waits for the process
                assert process.stdout is not None
                for line in process.stdout:
                    on_line(line)
            on_end(process.returncode, _last_line(errors))

    def stop(self) -> None:
        """Ask the process to exit, and kill it after PATIENCE_S. Returns at once."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        killer = threading.Timer(PATIENCE_S, self._process.kill)
        killer.daemon = True
        killer.start()

    def join(self, seconds: float) -> None:
        """Wait until the process has exited, at most `seconds`."""
        self._thread.join(seconds)


class Training:
    """Runs training, at most once at a time. Use it on the event loop."""

    def __init__(self, session: Session, index: Index, models: Models) -> None:
        self._session, self._index, self._models = session, index, models
        self._child: Child | None = None
        self._ending: asyncio.Task[None] | None = None

    def start(self, minutes: float) -> None:
        """Start a run. Raises UserError if there is nothing to train on, or training is not possible."""
        folders = self._folders()
        self._folder = folders[0]
        self._model_before = self._own_model()
        self._is_cancelled = False
        self._last: Line = {}
        on_loop = partial(_on, asyncio.get_running_loop())
        arguments = self._arguments(folders, minutes)
        try:
            self._child = Child(PROGRAM, arguments, partial(on_loop, self._on_line), partial(on_loop, self._on_end))
        except OSError as error:
            raise UserError(f"the training process could not be started ({error.strerror})") from None
        self._progress = Progress(self._session.client, "Training on this workspace", self.cancel)
        self._progress.report("reading", 0)
        self._session.is_training = True
        self._session.send_status()
        self._notify("running", "reading", percentage=0)

    def _folders(self) -> tuple[str, ...]:
        """Return the folders to train on. Raises UserError if training is not possible."""
        settings, folders = self._session.settings, self._session.folders.roots
        if self._child is not None:  # also while its model is loaded
            raise UserError("training is already running; cancel it, or wait until it has finished")
        require_installed_torch("training")
        if settings.model_path or settings.tokenizer_path:
            raise UserError("the modelPath or tokenizerPath setting would override the new model; clear it first")
        if settings.max_workspace_chars == 0:
            raise UserError("the maxWorkspaceChars setting is 0, so nothing about the workspace is stored; increase it")
        if not folders:
            raise UserError("no folder is open; open your project's folder")
        return folders

    def _arguments(self, folders: tuple[str, ...], minutes: float) -> list[str]:
        """Return the command line. Absolute folders come last, after `--`, so that none is parsed as an option."""
        suffixes = [suffix for suffix in self._session.folders.suffixes if SUFFIX.fullmatch(suffix)]
        options = ["--minutes", f"{minutes:f}", "--progress", "json", "--end_with_stdin", "--ext", *suffixes]
        forgotten = map(as_pattern, sorted(self._session.folders.forgotten))
        options += [f"--exclude={pattern}" for pattern in (*self._session.settings.exclude, *forgotten)]
        return ["adapt", *options, "--", *folders]

    def _own_model(self) -> Stamp | None:
        return stamp_of(workspace_model(self._folder).model)

    def cancel(self) -> bool:
        """Stop the run, if there is one, and return whether there was; the current model stays in use."""
        if self._child is None or self._ending is not None:
            return False
        self._is_cancelled = True
        self._child.stop()
        return True

    def close(self) -> None:
        """Stop the run when the server exits, and wait up to CLOSE_S."""
        if self.cancel() and self._child is not None:
            self._child.join(CLOSE_S)

    def _on_line(self, output: bytes) -> None:
        if (line := read_line(output)) is None:
            return
        self._last = line
        if line["stage"] != "done" and not self._is_cancelled:
            self._progress.report(in_words(line), percentage(line))
            self._notify("running", in_words(line), percentage=percentage(line))

    def _on_end(self, code: int, error: str) -> None:
        self._ending = asyncio.ensure_future(self._finish(code, error))

    async def _finish(self, code: int, error: str) -> None:
        """After the process has exited: load its model, and notify the client."""
        state: State
        if self._index.is_forgotten:
            delete_own(self._folder)  # it may have been saved meanwhile
        is_done = code == 0 and self._last.get("stage") == "done"
        is_new = self._own_model() not in (None, self._model_before)
        if self._is_cancelled and not is_new:
            state, message = "cancelled", "cancelled; the model is unchanged"
        elif is_done or self._is_cancelled:
            too_late = "training had finished before it was cancelled: the new model is in use"
            state, message = "done", str(self._last["message"]) if is_done else too_late
            if is_new and (problem := await self._models.reload()):
                message += f"; but it could not be loaded: {problem}"
        else:
            state, message = "failed", why_it_failed(code, error)
        self._progress.end(message)
        self._child = self._ending = None
        self._session.is_training = False
        self._session.send_status()
        figures = {name: value for name, value in self._last.items() if name not in ("stage", "share", "message")}
        self._notify(state, message, **({**figures, "percentage": 100} if state == "done" else {}))
        if state != "cancelled":
            kind = types.MessageType.Info if state == "done" else types.MessageType.Warning
            self._session.show_message(kind, message)

    def _notify(self, state: State, message: str, **figures: Any) -> None:
        log.log(logging.DEBUG if state == "running" else logging.INFO, "training: %s: %s", state, message)
        self._session.client.protocol.notify(TRAINING, {"state": state, "message": message, **figures})


def _last_line(file: IO[bytes]) -> str:
    file.seek(max(0, file.seek(0, os.SEEK_END) - LAST_BYTES))
    return file.read().decode("utf-8", "replace").strip().rpartition("\n")[2].strip()


def _on(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: Any) -> None:
    """Call `function` on the loop, from another thread; do nothing if the loop is closed."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function, *arguments)


def read_line(line: bytes) -> Line | None:
    """Parse a line; None if it is not a progress line."""
    with contextlib.suppress(ValueError):
        parsed = json.loads(line)
        if isinstance(parsed, dict) and "stage" in parsed:
            return parsed
    return None


def percentage(line: Line) -> int:
    """Return the progress of the whole run, 0 to 100."""
    first, last = STAGES[line["stage"]]
    return round(first + (last - first) * line["share"])


def in_words(line: Line) -> str:
    """Return a message such as `training: 1.02 bits per character, 3 minutes left`."""
    facts = []
    if (bits := line.get("bits")) is not None:
        facts.append(f"{bits:.2f} bits per character")
    if (left := line.get("minutes_left")) is not None:
        n = round(left)
        facts.append(f"{n} minute{'s' * (n != 1)} left" if n else "less than a minute left")
    return ": ".join(filter(None, (line["stage"], ", ".join(facts))))


def minutes_of(arguments: tuple[Any, ...]) -> float:
    """Return the minutes of training from a command's arguments: none, or {"minutes": M}. Raises UserError."""
    given = arguments[0] if arguments else None
    minutes = given.get("minutes", DEFAULT_MINUTES) if isinstance(given, dict) else given
    if minutes is None:
        return DEFAULT_MINUTES
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes <= MAX_MINUTES:
        raise UserError(f"minutes must be above 0 and at most {MAX_MINUTES:,.0f}, not {minutes!r:.80}")
    return float(minutes)


def why_it_failed(code: int, error: str) -> str:
    """Return a line for the user, from the exit code and the last line of standard error."""
    prefix = "tinycopilot: "
    if code == 2 and error.startswith(prefix):
        return error.removeprefix(prefix)
    return f"training failed (exit code {code}){': ' * bool(error)}{error}; the model is unchanged"
