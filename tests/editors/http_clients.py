"""Test Neovim plugins that complete over HTTP, configured as in docs/other-editors.md.

    python tests/editors/http_clients.py NVIM SERVER --minuet FOLDER --llama FOLDER [--pictures FOLDER]

NVIM is Neovim's program, SERVER the command `tinycopilot`; FOLDER is a clone of minuet-ai.nvim or llama.vim, which are
not part of this repository. Types with each given plugin, and checks its ghost text and the text that Tab inserts.
"""

import argparse
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pynvim
from neovim_editor import wait_for
from terminal import Terminal, draw

DOCS = Path(__file__).resolve().parents[2] / "docs" / "other-editors.md"
NAME = "quarterly_reconciliation"
CODE = f"def {NAME}(rows):\n    return sum(rows)\n\n\n"
TYPED = f"total = {NAME[:6]}"
EXPECTED = f"total = {NAME}"
VIRTUAL_TEXT = """
local found = {}
for _, namespace in pairs(vim.api.nvim_get_namespaces()) do
  for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })) do
    for _, chunk in ipairs(mark[4].virt_text or {}) do table.insert(found, chunk[1]) end
  end
end
return table.concat(found)
"""
"""Returns all virtual text in the buffer, of any plugin."""


def recipe(heading: str) -> str:
    """Return the Lua code block under a heading of the documentation."""
    section = DOCS.read_text("utf-8").partition(f"### {heading}\n")[2].partition("\n### ")[0]
    found = re.search(r"^```lua\n(.*?)^```", section, re.M | re.S)
    assert found is not None, f"{DOCS}: no recipe under {heading}"
    return found[1]


@contextlib.contextmanager
def run_endpoint(command: str, folder: Path) -> Iterator[int]:
    """Run `tinycopilot serve --http` on a free port, with its state in `folder`; yield the port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "XDG_DATA_HOME": str(folder / "data")}
    words = [command, "serve", "--http", str(port), "--workspace", str(folder / "project")]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if line.startswith("listening"):
                    break
            else:
                raise OSError("the endpoint did not start")
            yield port
        finally:
            process.kill()


def check(nvim: str, port: int, folder: Path, plugin: Path, heading: str, picture: Path | None) -> None:
    """Type in Neovim with this plugin; raise TimeoutError if nothing is suggested or inserted."""
    init, address = folder / "init.lua", folder / "nvim"
    init.write_text(f"vim.opt.rtp:prepend({json.dumps(str(plugin))})\n{recipe(heading).replace('8012', str(port))}")
    file = folder / "project" / "new.py"
    file.write_text(CODE)
    environment = {"PATH": os.environ["PATH"], "COLORTERM": "truecolor"}
    environment |= {f"XDG_{kind.upper()}_HOME": str(folder / kind) for kind in ("state", "data", "cache", "config")}
    command = [nvim, "--clean", "-n", "-u", str(init), "--listen", str(address), str(file)]
    terminal = Terminal(folder, command, environment)
    try:
        wait_for("start of Neovim", 60, address.exists)
        editor = pynvim.attach("socket", path=str(address))
        try:
            terminal.press("G", "o")
            terminal.type(TYPED)
            rest = EXPECTED.removeprefix(TYPED)
            ghost = wait_for(
                "ghost text", 60, lambda: (found := str(editor.exec_lua(VIRTUAL_TEXT))).startswith(rest) and found
            )
            if picture is not None:
                draw(terminal.cells(), terminal.cursor(), picture)
            terminal.press("Tab")
            wait_for("accepted text", 60, lambda: str(editor.current.line).startswith(EXPECTED))
            print(f"{heading}: typed {TYPED!r}, ghost text {ghost!r}, line after Tab {editor.current.line!r}")
        except TimeoutError as error:
            messages: Any = editor.command_output("messages")
            raise TimeoutError(f"{heading}: {error}; messages: {messages}") from None
        finally:
            with contextlib.suppress(OSError, EOFError):
                editor.command("qa!")
    finally:
        terminal.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("nvim")
    parser.add_argument("server")
    parser.add_argument("--minuet", type=Path)
    parser.add_argument("--llama", type=Path)
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    plugins = {"minuet-ai.nvim": arguments.minuet, "llama.vim": arguments.llama}
    for heading, plugin in plugins.items():
        if plugin is None:
            print(f"{heading}: skipped (no clone given)")
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "project").mkdir()
            (folder / "project" / "sums.py").write_text(CODE)
            picture = arguments.pictures / f"{heading}.png" if arguments.pictures else None
            with run_endpoint(arguments.server, folder) as port:
                check(arguments.nvim, port, folder, plugin.resolve(), heading, picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
