"""Train on this workspace: `tinycopilot adapt` in a process of its own, its progress shown, its result taken up."""

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from lsprotocol import types

from tinycopilot import UserError, places
from tinycopilot.extras import MissingTorchError, has_torch
from tinycopilot.files import as_pattern
from tinycopilot_server import status
from tinycopilot_server.child import Child
from tinycopilot_server.model_files import Stamp, forget_own, stamp_of
from tinycopilot_server.progress import Progress
from tinycopilot_server.training_words import Line, in_words, percentage, read_line, why_it_failed

if TYPE_CHECKING:
    from tinycopilot_server.app import TinyCopilotServer

TRAINING = "tinycopilot/training"
"""A notification to the client: {"state": "running" | "done" | "failed" | "cancelled", "percentage": 0 to 100,
"message": "..."}; and, when it is done, the figures of `tinycopilot adapt --progress json`."""

PROGRAM = "tinycopilot"
"""The module that is run."""
CLOSE_S = 0.5
TOO_LATE = "it had ended before it could be cancelled: the new model is in use"
SUFFIX = re.compile(r"\.[\w+#-]+")

State = Literal["running", "done", "failed", "cancelled"]

log = logging.getLogger(__name__)


class Training:
    """At most one run at a time. Used on the event loop."""

    def __init__(self, server: "TinyCopilotServer") -> None:
        self._server = server
        self._child: Child | None = None
        self._progress: Progress | None = None
        self._is_cancelled = False
        self._folder = ""
        self._model_before: Stamp | None = None
        self._last: Line = {}
        self._ending: asyncio.Task[None] | None = None
        self._busy = self._status_before = server.model.status

    @property
    def is_running(self) -> bool:
        """Whether it goes on, the taking up of its result included."""
        return self._child is not None

    def start(self, minutes: float) -> None:
        """Begin. Raises UserError where there is nothing to begin with."""
        folders = self._folders()
        self._folder = folders[0]
        self._model_before = self._own_model()
        on_loop = partial(_on, asyncio.get_running_loop())
        arguments = self._arguments(folders, minutes)
        try:
            self._child = Child(PROGRAM, arguments, partial(on_loop, self._heard), partial(on_loop, self._end))
        except OSError as error:
            raise UserError(f"no process could be started to train in ({error.strerror})") from None
        self._is_cancelled, self._last = False, {}
        self._progress = Progress(self._server, "Training on this workspace", self._stop)
        self._progress.begin("reading", 0)
        self._busy = status.Status("busy", "training on this workspace")
        self._status_before, self._server.model.status = self._server.model.status, self._busy
        status.show(self._server)
        self._tell("running", "reading")

    def _folders(self) -> tuple[str, ...]:
        """The folders to train on. Raises UserError where it must not be."""
        settings, folders = self._server.settings, self._server.folders.roots
        if self.is_running:
            raise UserError("training goes on already; cancel it first, or wait for it")
        if not has_torch():
            raise MissingTorchError("training")
        if settings.model_path or settings.tokenizer_path:
            raise UserError("the setting modelPath or tokenizerPath names the model to use, and wins; clear it first")
        if settings.max_workspace_chars == 0:
            raise UserError("by the setting maxWorkspaceChars, 0, nothing of the workspace is kept; change it first")
        if not folders:
            raise UserError("no folder is open; open that of your project")
        return folders

    def _arguments(self, folders: tuple[str, ...], minutes: float) -> list[str]:
        """Folders come last, after a `--`, and are whole paths: none is taken for an option, whatever it is called."""
        suffixes = [suffix for suffix in self._server.folders.suffixes if SUFFIX.fullmatch(suffix)]
        options = ["--minutes", f"{minutes:f}", "--progress", "json", "--end_with_stdin", "--ext", *suffixes]
        forgotten = map(as_pattern, sorted(self._server.folders.forgotten))
        options += [f"--exclude={pattern}" for pattern in (*self._server.settings.exclude, *forgotten)]
        return ["adapt", *options, "--", *folders]

    def _own_model(self) -> Stamp | None:
        return stamp_of(places.workspace_model(self._folder).model)

    def cancel(self) -> bool:
        """Stop it, if it goes on; nothing of it is left, and the model before stays."""
        if self._child is None or self._ending is not None:
            return False
        self._stop()
        return True

    def _stop(self) -> None:
        if self._child is not None and not self._is_cancelled:
            self._is_cancelled = True
            self._child.stop()

    def close(self) -> None:
        """The server ends: so does this."""
        if self.cancel() and self._child is not None:
            self._child.join(CLOSE_S)

    def _heard(self, line: bytes) -> None:
        said = read_line(line)
        if said is None:
            return
        self._last = said
        if said["stage"] != "done" and not self._is_cancelled:
            if self._progress:
                self._progress.report(in_words(said), percentage(said))
            self._tell("running", in_words(said), percentage(said))

    def _end(self, code: int, last_words: str) -> None:
        self._ending = asyncio.ensure_future(self._take_up(code, last_words))

    async def _take_up(self, code: int, last_words: str) -> None:
        """It has ended: use what has come of it, and say so."""
        state: State
        if self._server.memory.is_forgotten:
            forget_own(self._folder)  # it may have been saved since
        is_done = code == 0 and self._last.get("stage") == "done"
        is_new = self._own_model() not in (None, self._model_before)
        if self._is_cancelled and not is_new:
            state, message = "cancelled", "cancelled: the model before stays"
        elif is_done or self._is_cancelled:
            state, message = "done", str(self._last["message"]) if is_done else TOO_LATE
            if is_new and (problem := await self._server.model.reload()):
                message += f"; but it could not be loaded: {problem}"
        else:
            state, message = "failed", why_it_failed(code, last_words)
        if self._progress:
            self._progress.end(message)
        if self._server.model.status is self._busy:
            self._server.model.status = self._status_before
            status.show(self._server)
        self._child = self._progress = self._ending = None
        figures = {name: value for name, value in self._last.items() if name not in ("stage", "share", "message")}
        self._tell(state, message, 100 if state == "done" else None, **(figures if state == "done" else {}))
        if state != "cancelled":
            kind = types.MessageType.Info if state == "done" else types.MessageType.Warning
            self._server.window_show_message(types.ShowMessageParams(kind, f"tinycopilot: {message}"))

    def _tell(self, state: State, message: str, percent: int | None = 0, **figures: Any) -> None:
        said = {"state": state, "message": message, **({} if percent is None else {"percentage": percent}), **figures}
        log.log(logging.DEBUG if state == "running" else logging.INFO, "training: %s: %s", state, message)
        self._server.protocol.notify(TRAINING, said)


def _on(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: Any) -> None:
    """Call it there, from another thread; not any more when the loop has ended."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function, *arguments)
