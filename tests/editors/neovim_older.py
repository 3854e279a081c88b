"""Test Neovim versions without ghost text: before 0.11, the plugin shows one message; in 0.11, a popup menu.

    python neovim_older.py NVIM --server COMMAND...

From the root of a clone, with the server on PATH:

    tests/editors/install_editors.sh .editors nvim nvim-0.11 nvim-0.10 nvim-0.7
    .editors/python/bin/python tests/editors/neovim_older.py .editors/nvim-0.10/run --server tinycopilot-server
"""

import sys
import time

from neovim_editor import FAILURES, argument_parser, start_neovim, wait_for
from neovim_user import NO_REQUEST_WAIT_S, PREFIX, PROJECT, User, assert_equal

MESSAGE = "tinycopilot: requires Neovim 0.12 (ghost text) or 0.11 (popup menu)"


def unsupported_version(user: User) -> None:
    """The plugin shows one message, nothing in the statusline, and maps no keys."""
    editor = user.editor
    assert_equal("messages at startup", MESSAGE, editor.output("messages"))
    user.open("x = 1\n")
    user.press("o", "Tab", "y")
    user.wait_for_text("x = 1\n    y")
    user.press("Escape")
    assert_equal(
        "status() and accept()",
        ["", False],
        editor.lua("local t = require 'tinycopilot' return { t.status(), t.accept() }"),
    )
    editor.nvim.command("silent checkhealth tinycopilot")
    if "this version of Neovim is too old" not in (report := editor.text()) or "xception" in report:
        raise AssertionError(f"unexpected :checkhealth report: {report}")
    assert_equal("messages at the end", MESSAGE, editor.output("messages"))


def popup_menu(user: User) -> None:
    """The menu opens while typing, with no entry selected; a selected entry is inserted whole."""
    editor = user.editor
    editor.wait_until_ready()
    user.open(PREFIX[:-2])
    user.press("A")
    editor.terminal.type("op")
    wait_for("the menu", 10, lambda: editor.lua("return vim.fn.pumvisible()"))
    assert_equal("text while the menu is open", PREFIX, editor.text())
    entry = editor.lua("return vim.fn.complete_info({ 'items' }).items[1].word")
    if not entry.startswith("open(path"):
        raise AssertionError(f"the first entry is {entry!r}")
    user.press("C-n", "C-y")
    user.wait_for_text(PREFIX[:-2] + entry)
    user.press("Escape")
    editor.nvim.command("silent TinyCopilot set popup=false")
    user.press("o")
    editor.terminal.type("lines = fi")
    time.sleep(NO_REQUEST_WAIT_S)
    assert_equal("menu after set popup=false", 0, editor.lua("return vim.fn.pumvisible()"))
    user.press("Escape")
    editor.nvim.command("silent checkhealth tinycopilot")
    wait_for("the report", 15, lambda: ": popup menu" in editor.text() and "state: ready" in editor.text())


def main() -> int:
    arguments = argument_parser("Test tinycopilot in a Neovim that is older than 0.12.").parse_args()
    try:
        with start_neovim(arguments, PROJECT) as (editor, project):
            check = popup_menu if editor.lua("return vim.fn.has('nvim-0.11')") else unsupported_version
            check(User(editor, project))
    except FAILURES as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"ok      {check.__name__}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
