"""Older Neovims, without ghost text: before 0.11, one message and no error; in 0.11, a popup menu.

    python neovim_older.py NVIM --server COMMAND...

From the root of a clone, with the server on PATH:

    tests/editors/install_editors.sh .editors nvim nvim-0.11 nvim-0.10 nvim-0.7
    .editors/python/bin/python tests/editors/neovim_older.py .editors/nvim-0.10/run --server tinycopilot-server
"""

import sys
import time

from neovim_editor import FAILURES, opened, parser_of, until
from neovim_user import BEGUN, PROJECT, UNASKED_S, User, equal

MESSAGE = "tinycopilot: requires Neovim 0.12 (ghost text) or 0.11 (popup menu)"


def too_old(user: User) -> None:
    """One message; then nothing in the statusline, and no key mapped."""
    editor = user.editor
    equal("all that is said", MESSAGE, editor.said("messages"))
    user.open("x = 1\n")
    user.press("o", "Tab", "y")
    user.wait_for_text("x = 1\n    y")
    user.press("Escape")
    equal(
        "the statusline", ["", False], editor.lua("local t = require 'tinycopilot' return { t.status(), t.accept() }")
    )
    editor.nvim.command("silent checkhealth tinycopilot")
    if "this version of Neovim is too old" not in (report := editor.text()) or "xception" in report:
        raise AssertionError(f"unexpected :checkhealth report: {report}")
    equal("all that is said in the end", MESSAGE, editor.said("messages"))


def popup_menu(user: User) -> None:
    """The menu opens while typing, with no entry selected; a selected entry is inserted whole."""
    editor = user.editor
    editor.wait_until_ready()
    user.open(BEGUN[:-2])
    user.press("A")
    editor.terminal.type("op")
    until("the menu", 10, lambda: editor.lua("return vim.fn.pumvisible()"))
    equal("the text meanwhile", BEGUN, editor.text())
    entry = editor.lua("return vim.fn.complete_info({ 'items' }).items[1].word")
    if not entry.startswith("open(path"):
        raise AssertionError(f"the first entry is {entry!r}")
    user.press("C-n", "C-y")
    user.wait_for_text(BEGUN[:-2] + entry)
    user.press("Escape")
    editor.nvim.command("silent TinyCopilot set popup=false")
    user.press("o")
    editor.terminal.type("lines = fi")
    time.sleep(UNASKED_S)
    equal("the menu when it is set off", 0, editor.lua("return vim.fn.pumvisible()"))
    user.press("Escape")
    editor.nvim.command("silent checkhealth tinycopilot")
    until("the report", 15, lambda: ": popup menu" in editor.text() and "state: ready" in editor.text())


def main() -> int:
    arguments = parser_of("Use tinycopilot in a real Neovim that is older than 0.12.").parse_args()
    try:
        with opened(arguments, PROJECT) as (editor, project):
            check = popup_menu if editor.lua("return vim.fn.has('nvim-0.11')") else too_old
            check(User(editor, project))
    except FAILURES as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"ok      {check.__name__}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
