"""A simulated user of Neovim: key presses, assertions on the results, and the list of all checks."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from neovim_editor import Editor, until

BLOCK = """\
def read_{name}(path):
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    return [line.strip() for line in lines]


"""
TEXT = "".join(BLOCK.format(name=name) for name in ("alpha", "beta", "gamma", "delta"))
BEGUN = TEXT + "def read_omega(path):\n    with op"
"""The continuation occurs four times above, so that the suggestion is certain."""
PROJECT = {"start.py": TEXT, "pyproject.toml": ""}
"""Files that Neovim opens at the start."""
UNASKED_S = 0.4
"""How long to wait before asserting that no request is sent: twice Neovim's delay."""

Check = Callable[["User"], None]


def equal(what: str, wanted: object, got: object) -> None:
    if wanted != got:
        raise AssertionError(f"{what}: not\n  {wanted!r}\nbut\n  {got!r}")


class User:
    """Key presses in one Neovim."""

    def __init__(self, editor: Editor, folder: Path) -> None:
        self.editor, self.folder, self.n_files, self.n_others = editor, folder, 0, 0

    @contextlib.contextmanager
    def another(self) -> "Iterator[User]":
        """Return the user of a second Neovim in the same folder."""
        self.n_others += 1
        room = self.folder.parent / f"another{self.n_others}"
        room.mkdir()
        editor = self.editor
        editor = Editor(room, editor.program, self.folder / "start.py", editor.server, home=editor.home)
        try:
            user = User(editor, self.folder)
            user.n_files = 1000
            yield user
        finally:
            editor.close()

    def press(self, *keys: str) -> None:
        self.editor.terminal.press(*keys)

    def other_window(self) -> None:
        """Switch windows with a mapped key, as with the mouse: without leaving insert mode."""
        self.editor.lua("vim.keymap.set('i', '<F2>', '<Cmd>wincmd w<CR>')")
        self.press("F2")

    def open(self, text: str, name: str = "") -> Path:
        """Open a file with that text, in normal mode, with the cursor at its end."""
        self.press("Escape", "Escape")
        self.n_files += 1
        path = self.folder / (name or f"file_{self.n_files}.py")
        path.write_bytes(text.encode())
        until("normal mode", 5, lambda: self.editor.nvim.api.get_mode()["mode"] == "n")
        self.editor.nvim.command(f"silent edit! {path}")
        self.editor.lua("vim.api.nvim_win_set_cursor(0, { vim.fn.line('$'), 1000000 })")
        return path

    def begin(self, text: str, typed: str, after: str = "", name: str = "") -> str:
        """Open a file and type at its end, before `after`; return the ghost text."""
        self.open(text + after, name)
        self.editor.wait_until_ready()
        self.press("A")
        if after:
            self.press(*["Left"] * len(after))
        self.editor.terminal.type(typed)
        self.wait_for_text((text + typed + after).replace("\r\n", "\n").removesuffix("\n"))
        return self.editor.settled_ghost_text()

    def wait_for_text(self, text: str) -> None:
        until("the keys' arrival", 5, lambda: self.editor.text() == text)

    def answer_to(self, text: str) -> str:
        """Return the ghost text, or "", for the text after these keys."""
        self.wait_for_text(text)
        return self.editor.wait_for_answer()

    def changed(self, before: str, what: str) -> str:
        return str(until(what, 5, lambda: self.editor.text() != before and self.editor.text()))

    def wait_for_ghost(self, what: str, ghost: str) -> None:
        try:
            until(what, 8, lambda: self.editor.ghost_text() == ghost)
        except TimeoutError:
            equal(what, ghost, self.editor.ghost_text())

    def accept(self, key: str, before: str, after: str, part: str, what: str) -> None:
        """Press the key, and check that exactly that part is inserted at the cursor."""
        self.press(key)
        equal(what, before + part + after, self.changed(before + after, what))
        row, column = self.editor.nvim.current.window.cursor
        lines = (before + part).encode().split(b"\n")
        equal(f"the cursor, {what}", (len(lines), len(lines[-1])), (row, column))

    def undo(self, wanted: str) -> None:
        self.press("Escape", "u")
        try:
            until("one undo", 5, lambda: self.editor.text() == wanted)
        except TimeoutError:
            equal("after one undo", wanted, self.editor.text())
