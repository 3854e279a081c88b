"""A simulated user of Neovim: presses keys and checks the results. Also the text that most checks use."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from neovim_editor import Editor, wait_for

BLOCK = """\
def read_{name}(path):
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    return [line.strip() for line in lines]


"""
TEXT = "".join(BLOCK.format(name=name) for name in ("alpha", "beta", "gamma", "delta"))
PREFIX = TEXT + "def read_omega(path):\n    with op"
"""TEXT and the start of a line that occurs four times in it, so that the suggestion is predictable."""
PROJECT = {"start.py": TEXT, "pyproject.toml": ""}
"""The initial files; Neovim opens the first."""
NO_REQUEST_WAIT_S = 0.4
"""Time to wait before checking that no suggestion is requested: twice Neovim's delay."""

Check = Callable[["User"], None]
CHECKS: list[Check] = []
"""All checks of the imported modules."""


def check(function: Check) -> Check:
    """Add a check to CHECKS."""
    CHECKS.append(function)
    return function


def assert_equal(what: str, expected: object, actual: object) -> None:
    if expected != actual:
        raise AssertionError(f"{what}: expected\n  {expected!r}\ngot\n  {actual!r}")


class User:
    """A user of one Neovim."""

    def __init__(self, editor: Editor, folder: Path) -> None:
        self.editor, self.folder, self.n_files, self.n_second = editor, folder, 0, 0

    @contextlib.contextmanager
    def second_neovim(self) -> "Iterator[User]":
        """Start a second Neovim in the same folder; yield its user."""
        self.n_second += 1
        temporary = self.folder.parent / f"second{self.n_second}"
        temporary.mkdir()
        first = self.editor
        editor = Editor(temporary, first.program, self.folder / "start.py", first.server, home=first.home)
        try:
            user = User(editor, self.folder)
            user.n_files = 1000  # for other file names than in the first Neovim
            yield user
        finally:
            editor.close()

    def press(self, *keys: str) -> None:
        self.editor.terminal.press(*keys)

    def other_window(self) -> None:
        """Switch to the next window without leaving insert mode, as with the mouse."""
        self.editor.lua("vim.keymap.set('i', '<F2>', '<Cmd>wincmd w<CR>')")
        self.press("F2")

    def open(self, text: str, name: str = "") -> Path:
        """Create a file with this text and open it, in normal mode, with the cursor at its end."""
        self.press("Escape", "Escape")
        self.n_files += 1
        path = self.folder / (name or f"file_{self.n_files}.py")
        path.write_bytes(text.encode())
        wait_for("normal mode", 5, lambda: self.editor.nvim.api.get_mode()["mode"] == "n")
        self.editor.nvim.command(f"silent edit! {path}")
        self.editor.lua("vim.api.nvim_win_set_cursor(0, { vim.fn.line('$'), 1000000 })")
        return path

    def type_in_new_file(self, text: str, typed: str, after: str = "", name: str = "") -> str:
        """Open a file with `text + after`, type `typed` between the two, and return the ghost text."""
        self.open(text + after, name)
        self.editor.wait_until_ready()
        self.press("A")
        if after:
            self.press(*["Left"] * len(after))
        self.editor.terminal.type(typed)
        self.wait_for_text((text + typed + after).replace("\r\n", "\n").removesuffix("\n"))
        return self.editor.wait_for_ghost_text()

    def wait_for_text(self, text: str) -> None:
        wait_for("the typed text", 5, lambda: self.editor.text() == text)

    def ghost_text_for(self, text: str) -> str:
        """Wait until the buffer contains `text`, and the server has answered; return the ghost text, or ""."""
        self.wait_for_text(text)
        return self.editor.wait_for_answer()

    def wait_for_change(self, before: str, what: str) -> str:
        return str(wait_for(what, 5, lambda: self.editor.text() != before and self.editor.text()))

    def wait_for_ghost(self, what: str, ghost: str) -> None:
        try:
            wait_for(what, 8, lambda: self.editor.ghost_text() == ghost)
        except TimeoutError:
            assert_equal(what, ghost, self.editor.ghost_text())

    def accept(self, key: str, before: str, after: str, part: str, what: str) -> None:
        """Press the key; check that exactly `part` is inserted, and that the cursor is after it."""
        self.press(key)
        assert_equal(what, before + part + after, self.wait_for_change(before + after, what))
        row, column = self.editor.nvim.current.window.cursor
        lines = (before + part).encode().split(b"\n")
        assert_equal(f"cursor after {what}", (len(lines), len(lines[-1])), (row, column))

    def undo(self, expected: str) -> None:
        self.press("Escape", "u")
        try:
            wait_for("undo", 5, lambda: self.editor.text() == expected)
        except TimeoutError:
            assert_equal("after one undo", expected, self.editor.text())
