r"""Type in a real Neovim in a real terminal, wait for ghost text, take a screenshot, and accept it.

    python neovim_ghost_text.py NVIM FILE TEXT_TO_TYPE SCREENSHOT.png --server COMMAND...

The terminal is tmux: keys are sent through it, and the screenshot is drawn from its screen. Other state (the
server's status, the buffer's text) is read over Neovim's RPC. A copy of FILE, a short Python file, is opened in a new
folder with the plugin installed as documented, and TEXT_TO_TYPE is typed on a new line at its end. Checks:
  - the ghost text is on screen after the typed text, in a different color;
  - Tab adds exactly the ghost text to the buffer, and one undo removes it;
  - without ghost text, Tab inserts a tab.
Exits with 1 on failure; the screenshot then shows the screen at that time. Requires tmux, the font DejaVu Sans Mono
(Debian packages tmux and fonts-dejavu-core), pynvim and pillow. From the root of a clone, with the server on PATH:

    tests/editors/install_editors.sh /tmp/editors
    /tmp/editors/python/bin/python tests/editors/neovim_ghost_text.py /tmp/editors/nvim/run \
        tests/editors/example/thermometer.py "    for day, readings in sorted(read_days(args.path).i" \
        /tmp/ghost_text.png --server tinycopilot-server
"""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

from neovim_editor import FAILURES, Editor, argument_parser, log_tail, start_neovim, wait_for
from terminal import COLUMNS


def test(editor: Editor, to_type: str, png: Path) -> str:
    """Run the checks listed at the top of this file; return the ghost text."""
    editor.wait_until_ready()
    terminal = editor.terminal
    terminal.press("G", "o", "0", "C-d")  # a new line at the end, without Neovim's automatic indentation
    terminal.type(to_type)
    ghost = editor.wait_for_ghost_text()
    before = editor.text()
    if not before.endswith("\n" + to_type):
        raise AssertionError(f"the typed text is not in the buffer: {before!r}")
    editor.screenshot(png)

    row, column = terminal.cursor()
    line = terminal.cells()[row]
    first = ghost.split("\n")[0][: COLUMNS - column]
    on_screen = line[column : column + len(first)]
    if "".join(cell.character for cell in on_screen) != first:
        raise AssertionError(
            f"{first!r} is not on the screen; the line is {''.join(cell.character for cell in line)!r}"
        )
    typed = {cell.foreground for cell in line[column - len(to_type.lstrip()) : column]}
    if typed & {cell.foreground for cell in on_screen if cell.character.strip()}:
        raise AssertionError("the ghost text has the same color as typed text")

    terminal.press("Tab")
    after = wait_for("change after Tab", 5, lambda: editor.text() != before and editor.text())
    if after != before + ghost:
        raise AssertionError(f"{ghost!r} was shown, but accepting it changed the text from\n{before}\nto\n{after}")

    terminal.press("Escape", "u")
    wait_for("undo of the whole suggestion", 5, lambda: editor.text() == before)

    terminal.press("G", "o", "0", "C-d")
    time.sleep(1)  # enough for any further suggestion to be shown
    terminal.press("C-]")
    wait_for("no ghost text", 5, lambda: not editor.ghost_text())
    before = editor.text()
    terminal.press("Tab")
    after = wait_for("change after Tab without ghost text", 5, lambda: editor.text() != before and editor.text())
    if not after.startswith(before) or after[len(before) :].strip():
        raise AssertionError(f"Tab without ghost text changed the text from\n{before}\nto\n{after}")
    return ghost


def main() -> int:
    parser = argument_parser("Type in real Neovim and accept tinycopilot's ghost text.")
    parser.add_argument("file", type=Path, help="a short Python file")
    parser.add_argument("text", help="the text to type at its end")
    parser.add_argument("screenshot", type=Path, help="the PNG file to write")
    arguments = parser.parse_args()
    try:
        with start_neovim(arguments, {arguments.file.name: arguments.file.read_text()}) as (editor, _):
            try:
                ghost = test(editor, arguments.text, arguments.screenshot)
            except FAILURES:
                print(log_tail(editor), file=sys.stderr)
                with contextlib.suppress(subprocess.SubprocessError):
                    editor.screenshot(arguments.screenshot)
                raise
    except FAILURES as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"shown and accepted: {ghost!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
