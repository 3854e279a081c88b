r"""Types in real Neovim, in a real terminal, waits for tinycopilot's ghost text, takes its picture, and accepts it.

    python neovim_ghost_text.py NVIM FILE TEXT_TO_TYPE SCREENSHOT.png --server COMMAND...

tmux is the terminal: the keys go in through it, and the picture is drawn from its screen. What a screen does not say
(the server's status, the buffer's text) is asked over Neovim's own RPC. A copy of FILE, a short Python file, is opened
in a folder of its own, with the plugin loaded as a user loads it, and TEXT_TO_TYPE goes on a new line at its end. The
test holds that
  - the ghost text is on the screen right of what was typed, in a colour of its own;
  - Tab makes the buffer grow by exactly the ghost text, and one undo takes back just that;
  - where nothing is shown, Tab is a tab.
It exits with 1 if anything fails, and the picture shows where. It needs tmux and the font DejaVu Sans Mono (Debian's
packages tmux and fonts-dejavu-core), and pynvim and pillow. From the root of a clone, with the server on the PATH:

    tests/editors/install_editors.sh /tmp/editors
    /tmp/editors/python/bin/python tests/editors/neovim_ghost_text.py /tmp/editors/nvim/run \
        tests/editors/example/thermometer.py "    for day, readings in sorted(read_days(args.path).i" \
        /tmp/ghost_text.png --server tinycopilot-server
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pynvim
from PIL import Image, ImageDraw, ImageFont

PLUGIN = Path(__file__).resolve().parents[2] / "editors" / "nvim"
COLUMNS, ROWS = 100, 24

INIT = """
vim.opt.rtp:prepend({plugin})
vim.o.termguicolors, vim.o.number, vim.o.showmode = true, true, false
vim.o.statusline = " %f %m %= %{{%v:lua.require'tinycopilot'.status()%}} "
require('tinycopilot').setup {{ cmd = {command} }}
"""

GHOST_TEXT = """
local namespace = vim.api.nvim_create_namespace('nvim.lsp.inline_completion')
local mark = vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })[1]
if not mark then return '' end
local function text(chunks) return vim.iter(chunks):map(function(chunk) return chunk[1] end):join('') end
return vim.iter({ { mark[4].virt_text }, mark[4].virt_lines or {} }):flatten(1):map(text):join('\\n')
"""


def until(what: str, seconds: float, ask: Callable[[], Any]) -> Any:
    """Ask until the answer is truthy, for at most `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(0.05)
    raise TimeoutError(f"{what}: not within {seconds:g} s")


def found(program: str) -> str:
    """Its full path: it is started in another folder than ours."""
    if path := shutil.which(program):
        return str(Path(path).absolute())
    raise FileNotFoundError(f"there is no program {program}")


class Terminal:
    """A tmux server of our own with one window, in which one program runs."""

    def __init__(self, folder: Path, command: list[str], environment: dict[str, str]) -> None:
        self.socket = str(folder / "tmux")
        settings = folder / "tmux.conf"
        settings.write_text(
            "set -g status off\nset -g escape-time 0\nset -g default-terminal tmux-256color\nset -g remain-on-exit on\n"
        )
        size = ["-x", str(COLUMNS), "-y", str(ROWS)]
        variables = [part for name, value in environment.items() for part in ("-e", f"{name}={value}")]
        self.tmux("-f", str(settings), "new-session", "-d", *size, *variables, "-c", str(folder), *command)

    def tmux(self, *arguments: str) -> str:
        result = subprocess.run(
            ["tmux", "-u", "-S", self.socket, *arguments], capture_output=True, text=True, timeout=20, check=True
        )
        return result.stdout

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: Tab, Escape, C-u."""
        self.tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type a text, a key at a time, as a fast typist does."""
        for character in text:
            self.tmux("send-keys", "-l", character.replace(";", "\\;"))  # a semicolon alone parts tmux's commands
            time.sleep(0.03)

    def cells(self) -> "list[list[Cell]]":
        return parse_screen(self.tmux("capture-pane", "-e", "-N", "-p"))

    def cursor(self) -> tuple[int, int]:
        column, row = self.tmux("display-message", "-p", "#{cursor_x} #{cursor_y}").split()
        return int(row), int(column)

    def close(self) -> None:
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True, timeout=20, check=False)


class Cell(NamedTuple):
    """One cell of the screen. A wide character has two, the second of them with no character."""

    character: str
    ink: str
    paper: str
    bold: bool = False
    italic: bool = False
    underline: bool = False


INK, PAPER, CURSOR = "#e0e2ea", "#14161b", "#9b9ea4"  # Neovim's own dark colours
PALETTE = [  # of a terminal: the eight, and the eight bright ones
    *("#07080d", "#ffc0b9", "#b3f6c0", "#fce094", "#a6dbff", "#ffcaff", "#8cf8f7", "#eef1f8"),
    *("#4f5258", "#ffc0b9", "#b3f6c0", "#fce094", "#a6dbff", "#ffcaff", "#8cf8f7", "#ffffff"),
]


def colour(codes: Iterator[int], default: str) -> str:
    """The colour that follows a 38 or a 48: `2;r;g;b` or `5;index`."""
    if next(codes) == 2:
        return "#" + "".join(f"{next(codes):02x}" for _ in range(3))
    index = next(codes)
    if index < 16:
        return PALETTE[index]
    if index < 232:
        levels = (0, 95, 135, 175, 215, 255)
        return "#" + "".join(f"{levels[(index - 16) // step % 6]:02x}" for step in (36, 6, 1))
    return "#" + f"{8 + 10 * (index - 232):02x}" * 3 if index < 256 else default


def parse_screen(screen: str) -> list[list[Cell]]:
    """The cells of tmux's screen, row by row. It marks colours as a terminal does, and they go on from row to row."""
    plain = {"ink": INK, "paper": PAPER, "bold": False, "italic": False, "underline": False, "reverse": False}
    style: dict[str, Any] = dict(plain)
    rows: list[list[Cell]] = [[]]
    for marks, character in re.findall(r"\x1b\[([\d;:]*)m|([^\x1b\x0e\x0f])", screen.rstrip("\n")):
        if character == "\n":
            rows.append([])
            continue
        if character:
            ink, paper = (style["paper"], style["ink"]) if style["reverse"] else (style["ink"], style["paper"])
            rows[-1].append(Cell(character, ink, paper, style["bold"], style["italic"], style["underline"]))
            if unicodedata.east_asian_width(character) in "WF":
                rows[-1].append(Cell("", ink, paper))
            continue
        codes = iter([int(code or 0) for code in re.split("[;:]", marks)])
        for code in codes:
            match code:
                case 0:
                    style = dict(plain)
                case 1 | 3 | 4 | 7:
                    style[{1: "bold", 3: "italic", 4: "underline", 7: "reverse"}[code]] = True
                case 38:
                    style["ink"] = colour(codes, INK)
                case 48:
                    style["paper"] = colour(codes, PAPER)
                case 39:
                    style["ink"] = INK
                case 49:
                    style["paper"] = PAPER
                case _ if code // 10 in (3, 4, 9, 10):
                    place = "ink" if code // 10 in (3, 9) else "paper"
                    style[place] = PALETTE[code % 10 + (8 if code >= 90 else 0)]
    return rows


def draw(cells: list[list[Cell]], cursor: tuple[int, int], path: Path) -> None:
    """The screen as a picture, at twice the size for sharp letters."""
    names = {(False, False): "", (True, False): "-Bold", (False, True): "-Oblique", (True, True): "-BoldOblique"}
    regular = ImageFont.truetype("DejaVuSansMono.ttf", 26)
    fonts = {}
    for face, name in names.items():
        try:
            fonts[face] = ImageFont.truetype(f"DejaVuSansMono{name}.ttf", 26)
        except OSError:  # not every font package brings the slanted ones
            fonts[face] = regular
    width, height, margin = round(regular.getlength("M")), 34, 24
    picture = Image.new("RGB", (COLUMNS * width + 2 * margin, ROWS * height + 2 * margin), PAPER)
    pen = ImageDraw.Draw(picture)
    for row, line in enumerate(cells):
        for column, cell in enumerate(line):
            x, y = margin + column * width, margin + row * height
            if cell.character:
                wide = 2 if unicodedata.east_asian_width(cell.character) in "WF" else 1
                pen.rectangle((x, y, x + wide * width - 1, y + height - 1), fill=cell.paper)
                pen.text((x, y + 2), cell.character, fill=cell.ink, font=fonts[cell.bold, cell.italic])
            if cell.underline:
                pen.line((x, y + height - 4, x + width, y + height - 4), fill=cell.ink, width=2)
    x, y = margin + cursor[1] * width, margin + cursor[0] * height
    pen.rectangle((x, y + 2, x + 3, y + height - 3), fill=CURSOR)  # a bar: it is insert mode
    picture.save(path)


class Editor:
    """Neovim in its terminal, and the line to it."""

    def __init__(self, folder: Path, nvim: str, file: Path, server: list[str]) -> None:
        lua = "{ " + ", ".join(map(json.dumps, server)) + " }"
        init, socket = folder / "init.lua", folder / "nvim"
        init.write_text(INIT.format(plugin=json.dumps(str(PLUGIN)), command=lua))
        command = [nvim, "--clean", "-n", "-u", str(init), "--listen", str(socket), str(file)]
        # tmux sets up the terminal's variables; the log and the like go to our folder.
        environment = {"PATH": os.environ["PATH"], "COLORTERM": "truecolor", "XDG_STATE_HOME": str(folder / "state")}
        self.log = folder / "state" / "nvim" / "lsp.log"
        self.terminal = Terminal(folder, command, environment)
        try:
            until("Neovim's start", 20, socket.exists)
            self.nvim = pynvim.attach("socket", path=str(socket))
        except BaseException:
            self.terminal.close()
            raise
        # Whatever happens, there is an end: without the terminal Neovim ends, and with it every wait for its answer.
        self.watchdog = threading.Timer(180, self.terminal.close)
        self.watchdog.start()

    def waits_for_a_key(self) -> bool:
        """At a prompt, as under a long message, Neovim answers nothing but this question."""
        return bool(self.nvim.api.get_mode()["blocking"])

    def lua(self, code: str) -> Any:
        until("Neovim not waiting for a key", 3, lambda: not self.waits_for_a_key())
        return self.nvim.exec_lua(code)

    def text(self) -> str:
        return "\n".join(self.lua("return vim.api.nvim_buf_get_lines(0, 0, -1, true)"))

    def ghost_text(self) -> str:
        return str(self.lua(GHOST_TEXT))

    def settled_ghost_text(self, seconds: float = 15) -> str:
        """The ghost text once it has stayed the same for longer than Neovim waits before it asks."""
        last, since = "", time.monotonic()

        def settled() -> str:
            nonlocal last, since
            if (now := self.ghost_text()) != last:
                last, since = now, time.monotonic()
            return last if time.monotonic() - since > 0.6 else ""

        return until("ghost text", seconds, settled)

    def take_picture(self, path: Path) -> None:
        draw(self.terminal.cells(), self.terminal.cursor(), path)

    def close(self) -> None:
        self.watchdog.cancel()
        with contextlib.suppress(OSError, EOFError):  # it hangs up while it answers
            if not self.waits_for_a_key():
                self.nvim.command("qall!")
        self.terminal.close()


def test(editor: Editor, to_type: str, picture: Path) -> str:
    """Everything that the head of this file promises; returns the ghost text."""

    def ready() -> bool:
        status = editor.lua("return require('tinycopilot').status()")
        if status == "tinycopilot: error":
            said = "return vim.api.nvim_exec2('TinyCopilot status', { output = true }).output"
            raise AssertionError(editor.lua(said))
        return bool(status == "tinycopilot: ready")

    until("the server being ready", 60, ready)
    terminal = editor.terminal
    terminal.press("G", "o", "0", "C-d")  # a new line at the end, without the indentation that Neovim gives it
    terminal.type(to_type)
    ghost = editor.settled_ghost_text()
    before = editor.text()
    if not before.endswith("\n" + to_type):
        raise AssertionError(f"the keys did not arrive: {before!r}")
    editor.take_picture(picture)

    row, column = terminal.cursor()
    line = terminal.cells()[row]
    first = ghost.split("\n")[0][: COLUMNS - column]
    on_screen = line[column : column + len(first)]
    if "".join(cell.character for cell in on_screen) != first:
        raise AssertionError(f"{first!r} is not on the screen, but {''.join(cell.character for cell in line)!r}")
    typed = {cell.ink for cell in line[column - len(to_type.lstrip()) : column]}
    if typed & {cell.ink for cell in on_screen if cell.character.strip()}:
        raise AssertionError("the ghost text looks like typed text")

    terminal.press("Tab")
    after = until("accepting with Tab", 5, lambda: editor.text() != before and editor.text())
    if after != before + ghost:
        raise AssertionError(f"shown {ghost!r}, but the text went from\n{before}\nto\n{after}")

    terminal.press("Escape", "u")
    until("one undo for the suggestion", 5, lambda: editor.text() == before)

    terminal.press("G", "o", "0", "C-d")
    time.sleep(1)  # whatever is to be shown here is shown by now
    terminal.press("C-]")
    until("no ghost text", 5, lambda: not editor.ghost_text())
    before = editor.text()
    terminal.press("Tab")
    after = until("a plain Tab", 5, lambda: editor.text() != before and editor.text())
    if not after.startswith(before) or after[len(before) :].strip():
        raise AssertionError(f"Tab without a suggestion: from\n{before}\nto\n{after}")
    return ghost


def main() -> int:
    parser = argparse.ArgumentParser(description="Type in real Neovim and accept tinycopilot's ghost text.")
    parser.add_argument("nvim", help="the program")
    parser.add_argument("file", type=Path, help="a short Python file")
    parser.add_argument("text", help="what is typed at its end")
    parser.add_argument("screenshot", type=Path, help="the picture to write, a PNG")
    parser.add_argument("--server", nargs=argparse.REMAINDER, default=["tinycopilot-server"], help="its command")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ghost"))  # a short path: sockets lie in it
    (folder / "project").mkdir()
    file = Path(shutil.copy(arguments.file, folder / "project"))
    editor = None
    try:
        program, *options = arguments.server
        server = [found(program), *options]
        editor = Editor(folder, found(arguments.nvim), file, server)
        ghost = test(editor, arguments.text, arguments.screenshot)
    except (AssertionError, OSError, subprocess.SubprocessError, pynvim.NvimError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        if editor:
            with contextlib.suppress(subprocess.SubprocessError):
                editor.take_picture(arguments.screenshot)
            if editor.log.exists():
                print(*editor.log.read_text(errors="replace").splitlines()[-15:], sep="\n", file=sys.stderr)
        return 1
    else:
        print(f"shown and accepted: {ghost!r}")
        return 0
    finally:
        if editor:
            editor.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
