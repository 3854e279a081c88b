"""Neovim in a terminal, with the plugin installed as documented; RPC reads the state that is not on screen."""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pynvim
from terminal import Terminal, draw

PLUGIN = Path(__file__).resolve().parents[2] / "editors" / "nvim"

INIT = """
vim.opt.rtp:prepend({plugin})
vim.o.termguicolors, vim.o.number, vim.o.showmode = true, true, false
vim.o.statusline = " %f %m %= %{{%v:lua.require'tinycopilot'.status()%}} "
require('tinycopilot').setup {{ cmd = {command}, settings = {{ eagerness = 0.5 }} }} -- more suggestions than by default
"""

HERE = "{ vim.fn.bufnr(), vim.fn.win_getid(), vim.b.changedtick, vim.api.nvim_win_get_cursor(0) }"
RECORD_ANSWERS = f"""
local pending = {{}}
vim.api.nvim_create_autocmd('LspRequest', {{
  callback = function(event)
    local id, request = event.data.request_id, event.data.request
    if request.method ~= 'textDocument/inlineCompletion' then return end
    if request.type == 'pending' then pending[id] = {HERE} end
    if request.type == 'complete' then vim.schedule(function() _G.answered_for = pending[id] end) end
  end,
}})
"""
"""Records the document version and cursor of the last answered request: Neovim sends requests with a delay."""

GHOST_TEXT = """
local namespace = vim.api.nvim_create_namespace('nvim.lsp.inline_completion')
local mark = vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })[1]
if not mark then return '' end
local function text(chunks) return vim.iter(chunks):map(function(chunk) return chunk[1] end):join('') end
return vim.iter({ { mark[4].virt_text }, mark[4].virt_lines or {} }):flatten(1):map(text):join('\\n')
"""


FAILURES = (AssertionError, OSError, subprocess.SubprocessError, pynvim.NvimError)
"""Exceptions of a failed check; a TimeoutError is an OSError."""


def wait_for(what: str, seconds: float, poll: Callable[[], Any]) -> Any:
    """Call `poll` until its result is truthy, and return it; raise TimeoutError, with `what`, after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := poll():
            return result
        time.sleep(0.02)
    raise TimeoutError(f"timed out after {seconds:g} s: {what}")


def find_program(program: str) -> str:
    """Return the program's absolute path, since Neovim starts in another folder."""
    if path := shutil.which(program):
        return str(Path(path).absolute())
    raise FileNotFoundError(f"program not found: {program}")


class Editor:
    """A Neovim process in a terminal, with an RPC connection."""

    def __init__(self, folder: Path, nvim: str, file: Path, server: list[str], home: Path | None = None) -> None:
        """`folder` is for temporary files. The state of Neovim and the server is in `home`, by default `folder`."""
        lua = "{ " + ", ".join(map(json.dumps, server)) + " }"
        init, socket = folder / "init.lua", folder / "nvim"
        init.write_text(INIT.format(plugin=json.dumps(str(PLUGIN)), command=lua))
        command = [nvim, "--clean", "-n", "-u", str(init), "--listen", str(socket), str(file)]
        # tmux sets the terminal's variables; logs and the server's state are written to our folder.
        environment = {"PATH": os.environ["PATH"], "COLORTERM": "truecolor"}
        environment["OMP_NUM_THREADS"] = (
            "1"  # for training: with two threads, each would wait for the other on a busy machine
        )
        self.program, self.server, self.home = nvim, server, home or folder
        environment |= {
            f"XDG_{kind.upper()}_HOME": str(self.home / kind) for kind in ("state", "data", "cache", "config")
        }
        self.log = self.home / "state" / "nvim" / "lsp.log"
        self.terminal = Terminal(folder, command, environment)
        try:
            wait_for("start of Neovim", 20, socket.exists)
            self.nvim = pynvim.attach("socket", path=str(socket))
            wait_for("init.lua", 20, lambda: self.is_waiting_for_key() or self.nvim.eval("v:vim_did_enter"))
            if self.nvim.exec_lua("return vim.lsp.inline_completion ~= nil"):
                self.nvim.exec_lua(RECORD_ANSWERS)
        except BaseException:
            self.terminal.close()
            raise
        self.watchdog = threading.Timer(0, self.terminal.close)
        self.set_watchdog(180)

    def set_watchdog(self, seconds: float) -> None:
        """Close the terminal after that time, which ends Neovim and any wait for an RPC response."""
        self.watchdog.cancel()
        self.watchdog = threading.Timer(seconds, self.terminal.close)
        self.watchdog.start()

    def is_waiting_for_key(self) -> bool:
        """Whether Neovim waits for a key, as after a long message; it then answers no other RPC request."""
        return bool(self.nvim.api.get_mode()["blocking"])

    def lua(self, code: str) -> Any:
        try:
            wait_for("Neovim waits for a key", 3, lambda: not self.is_waiting_for_key())
        except TimeoutError as error:
            raise TimeoutError(f"{error}; its screen:\n{self.screen()}") from None
        return self.nvim.exec_lua(code)

    def status(self) -> str:
        return str(self.lua("return require('tinycopilot').status()"))

    def wait_until_ready(self) -> None:
        """Wait until the server is ready; raise if it reports an error."""

        def ready() -> bool:
            if (status := self.status()) == "tinycopilot: error":
                raise AssertionError(self.output("TinyCopilot status"))
            return status == "tinycopilot: ready"

        wait_for("status ready", 60, ready)

    def output(self, command: str) -> str:
        """Return the output of a command."""
        return str(self.lua(f"return vim.trim(vim.fn.execute({json.dumps(command)}))"))

    def text(self) -> str:
        return "\n".join(self.lua("return vim.api.nvim_buf_get_lines(0, 0, -1, true)"))

    def ghost_text(self) -> str:
        return str(self.lua(GHOST_TEXT))

    def other_ghost_texts(self) -> list[str]:
        """Return the ghost texts in all windows except the current one."""
        windows = [window for window in self.nvim.windows if window != self.nvim.current.window]
        texts = [self.lua(f"return vim.api.nvim_win_call({w.handle}, function() {GHOST_TEXT} end)") for w in windows]
        return [text for text in texts if text]

    def is_answered(self) -> bool:
        """Whether the server has answered for the current text and cursor."""
        return bool(self.lua(f"return vim.deep_equal(_G.answered_for, {HERE})"))

    def wait_for_answer(self) -> str:
        """Wait until the server has answered for the current text and cursor; return the ghost text, or ""."""
        wait_for("response of the server", 15, self.is_answered)
        return self.ghost_text()

    def wait_for_ghost_text(self) -> str:
        """Wait for ghost text, and return it."""
        return str(wait_for("ghost text", 15, lambda: self.is_answered() and self.ghost_text()))

    def screen(self) -> str:
        rows = ("".join(cell.character for cell in row).rstrip() for row in self.terminal.cells())
        return "\n".join(filter(None, rows))

    def screenshot(self, path: Path) -> None:
        draw(self.terminal.cells(), self.terminal.cursor(), path)

    def close(self) -> None:
        self.watchdog.cancel()
        with contextlib.suppress(OSError, EOFError):  # it disconnects while it answers
            if not self.is_waiting_for_key():
                self.nvim.command("qall!")
        self.terminal.close()


def argument_parser(description: str) -> argparse.ArgumentParser:
    """An argument parser with Neovim's program as the first argument, and the server's command as the last one."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("nvim", help="Neovim's program")
    parser.add_argument(
        "--server", nargs=argparse.REMAINDER, default=["tinycopilot-server"], help="the server's command"
    )
    return parser


@contextlib.contextmanager
def start_neovim(arguments: argparse.Namespace, files: Mapping[str, str]) -> Iterator[tuple[Editor, Path]]:
    """Create these files and open the first in Neovim; yield the editor and the files' folder."""
    with tempfile.TemporaryDirectory(
        prefix="ghost", ignore_cleanup_errors=True
    ) as folder:  # a short path, since it contains sockets
        project = Path(folder) / "project"
        project.mkdir()
        for name, text in files.items():
            (project / name).write_text(text)
        program, *options = arguments.server
        editor = Editor(
            Path(folder), find_program(arguments.nvim), project / next(iter(files)), [find_program(program), *options]
        )
        try:
            yield editor, project
        finally:
            editor.close()


def log_tail(editor: Editor) -> str:
    """Return the last lines of Neovim's LSP log, which include the server's stderr."""
    lines = editor.log.read_text(errors="replace").splitlines() if editor.log.exists() else []
    return "\n".join(lines[-15:])
