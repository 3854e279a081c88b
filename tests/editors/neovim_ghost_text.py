r"""Type in a real Neovim in a real terminal, wait for ghost text, take a screenshot, and accept it.

    python neovim_ghost_text.py NVIM FILE TEXT_TO_TYPE SCREENSHOT.png --server COMMAND...

The terminal is tmux: keys are sent through it, and the picture is drawn from its screen. Other state (the server's
status, the buffer's text) comes over Neovim's RPC. A copy of FILE, a short Python file, is opened in a new folder with
the plugin installed as documented, and TEXT_TO_TYPE is typed on a new line at its end. Checks:
  - the ghost text is on screen after the typed text, in its own colour;
  - Tab adds exactly the ghost text to the buffer, and one undo removes it;
  - without ghost text, Tab inserts a tab.
Exits with 1 on failure; the picture shows the screen. Requires tmux and the font DejaVu Sans Mono (Debian packages tmux
and fonts-dejavu-core), pynvim and pillow. From the root of a clone, with the server on PATH:

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

from neovim_editor import FAILURES, Editor, end_of_log, opened, parser_of, until
from terminal import COLUMNS


def test(editor: Editor, to_type: str, picture: Path) -> str:
    """Run the checks listed at the top of this file; return the ghost text."""
    editor.wait_until_ready()
    terminal = editor.terminal
    terminal.press("G", "o", "0", "C-d")  # a new line at the end, without Neovim's automatic indentation
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
        raise AssertionError("the ghost text has the colour of typed text")

    terminal.press("Tab")
    after = until("accepting with Tab", 5, lambda: editor.text() != before and editor.text())
    if after != before + ghost:
        raise AssertionError(f"{ghost!r} was shown, but accepting it changed\n{before}\nto\n{after}")

    terminal.press("Escape", "u")
    until("one undo for the suggestion", 5, lambda: editor.text() == before)

    terminal.press("G", "o", "0", "C-d")
    time.sleep(1)  # any further suggestion would be shown by now
    terminal.press("C-]")
    until("no ghost text", 5, lambda: not editor.ghost_text())
    before = editor.text()
    terminal.press("Tab")
    after = until("a plain Tab", 5, lambda: editor.text() != before and editor.text())
    if not after.startswith(before) or after[len(before) :].strip():
        raise AssertionError(f"Tab without a suggestion: from\n{before}\nto\n{after}")
    return ghost


def main() -> int:
    parser = parser_of("Type in real Neovim and accept tinycopilot's ghost text.")
    parser.add_argument("file", type=Path, help="a short Python file")
    parser.add_argument("text", help="what is typed at its end")
    parser.add_argument("screenshot", type=Path, help="the picture to write, a PNG")
    arguments = parser.parse_args()
    try:
        with opened(arguments, {arguments.file.name: arguments.file.read_text()}) as (editor, _):
            try:
                ghost = test(editor, arguments.text, arguments.screenshot)
            except FAILURES:
                print(end_of_log(editor), file=sys.stderr)
                with contextlib.suppress(subprocess.SubprocessError):
                    editor.take_picture(arguments.screenshot)
                raise
    except FAILURES as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"shown and accepted: {ghost!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
