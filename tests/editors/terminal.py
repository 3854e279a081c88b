"""A terminal in tmux: send keys, read the screen, draw it as an image."""

import re
import subprocess
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

COLUMNS, ROWS = 100, 24


class Terminal:
    """A separate tmux server with one window that runs one program."""

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
        """Press keys, named as in tmux: Tab, Escape, C-u."""
        self.tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type text key by key, as fast as a fast typist."""
        for character in text:
            self.tmux(
                "send-keys", "-l", character.replace(";", "\\;")
            )  # tmux reads an unescaped semicolon as the end of a command
            time.sleep(0.03)

    def cells(self) -> "list[list[Cell]]":
        return parse_screen(self.tmux("capture-pane", "-e", "-N", "-p"))

    def cursor(self) -> tuple[int, int]:
        column, row = self.tmux("display-message", "-p", "#{cursor_x} #{cursor_y}").split()
        return int(row), int(column)

    def close(self) -> None:
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True, timeout=20, check=False)


class Cell(NamedTuple):
    """One cell of the screen. A wide character has two cells; the second has an empty `character`."""

    character: str
    foreground: str
    background: str
    bold: bool = False
    italic: bool = False
    underline: bool = False


FOREGROUND, BACKGROUND, CURSOR = "#e0e2ea", "#14161b", "#9b9ea4"  # Neovim's default dark colors
PALETTE = [  # the terminal's eight colors, and their bright variants
    *("#07080d", "#ffc0b9", "#b3f6c0", "#fce094", "#a6dbff", "#ffcaff", "#8cf8f7", "#eef1f8"),
    *("#4f5258", "#ffc0b9", "#b3f6c0", "#fce094", "#a6dbff", "#ffcaff", "#8cf8f7", "#ffffff"),
]


def color(codes: Iterator[int], default: str) -> str:
    """Parse the color that follows a 38 or 48: `2;r;g;b` or `5;index`."""
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
    """Parse the output of tmux's capture-pane into rows of cells. Colors carry over from row to row."""
    plain = {
        "foreground": FOREGROUND,
        "background": BACKGROUND,
        "bold": False,
        "italic": False,
        "underline": False,
        "reverse": False,
    }
    style: dict[str, Any] = dict(plain)
    rows: list[list[Cell]] = [[]]
    for codes_text, character in re.findall(r"\x1b\[([\d;:]*)m|([^\x1b\x0e\x0f])", screen.rstrip("\n")):
        if character == "\n":
            rows.append([])
            continue
        if character:
            foreground, background = (
                (style["background"], style["foreground"])
                if style["reverse"]
                else (style["foreground"], style["background"])
            )
            rows[-1].append(Cell(character, foreground, background, style["bold"], style["italic"], style["underline"]))
            if unicodedata.east_asian_width(character) in "WF":
                rows[-1].append(Cell("", foreground, background))
            continue
        codes = iter([int(code or 0) for code in re.split("[;:]", codes_text)])
        for code in codes:
            match code:
                case 0:
                    style = dict(plain)
                case 1 | 3 | 4 | 7:
                    style[{1: "bold", 3: "italic", 4: "underline", 7: "reverse"}[code]] = True
                case 38:
                    style["foreground"] = color(codes, FOREGROUND)
                case 48:
                    style["background"] = color(codes, BACKGROUND)
                case 39:
                    style["foreground"] = FOREGROUND
                case 49:
                    style["background"] = BACKGROUND
                case _ if code // 10 in (3, 4, 9, 10):
                    place = "foreground" if code // 10 in (3, 9) else "background"
                    style[place] = PALETTE[code % 10 + (8 if code >= 90 else 0)]
    return rows


def draw(cells: list[list[Cell]], cursor: tuple[int, int], path: Path) -> None:
    """Draw the screen as an image at double resolution."""
    names = {(False, False): "", (True, False): "-Bold", (False, True): "-Oblique", (True, True): "-BoldOblique"}
    regular = ImageFont.truetype("DejaVuSansMono.ttf", 26)
    fonts = {}
    for face, name in names.items():
        try:
            fonts[face] = ImageFont.truetype(f"DejaVuSansMono{name}.ttf", 26)
        except OSError:  # not every font package includes italics
            fonts[face] = regular
    width, height, margin = round(regular.getlength("M")), 34, 24
    image = Image.new("RGB", (COLUMNS * width + 2 * margin, ROWS * height + 2 * margin), BACKGROUND)
    pen = ImageDraw.Draw(image)
    for row, line in enumerate(cells):
        for column, cell in enumerate(line):
            x, y = margin + column * width, margin + row * height
            if cell.character:
                wide = 2 if unicodedata.east_asian_width(cell.character) in "WF" else 1
                pen.rectangle((x, y, x + wide * width - 1, y + height - 1), fill=cell.background)
                pen.text((x, y + 2), cell.character, fill=cell.foreground, font=fonts[cell.bold, cell.italic])
            if cell.underline:
                pen.line((x, y + height - 4, x + width, y + height - 4), fill=cell.foreground, width=2)
    x, y = margin + cursor[1] * width, margin + cursor[0] * height
    pen.rectangle((x, y + 2, x + 3, y + height - 3), fill=CURSOR)  # a bar, as in insert mode
    image.save(path)
