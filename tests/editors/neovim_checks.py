"""Everything a user does with ghost text in Neovim, one check each, in real Neovim in a real terminal.

    python neovim_checks.py NVIM --server COMMAND...

Each check types into a file of its own, and prints one line; a failure says what was shown and what came of it. It
exits with 1 if any fails. What it needs is what neovim_ghost_text.py needs. From the root of a clone:

    tests/editors/install_editors.sh .editors nvim
    .editors/python/bin/python tests/editors/neovim_checks.py .editors/nvim/run --server .venv/bin/tinycopilot-server
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from string import ascii_letters

import pynvim
from neovim_editor import Editor, found, until

BLOCK = """\
def read_{name}(path):
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    return [line.strip() for line in lines]


"""
TEXT = "".join(BLOCK.format(name=name) for name in ("alpha", "beta", "gamma", "delta"))
BEGUN = TEXT + "def read_omega(path):\n    with op"
"""What comes next was said four times: a suggestion is certain."""
WORD = re.compile(r"\s*(\w+|[^\w\s]+)")
LINE = re.compile(r"\s*[^\n]*")
TRAIN_MINUTES = 0.02
UNASKED_S = 0.4
"""Where Neovim is not to ask: twice as long as it waits before it does."""

Check = Callable[["User"], None]
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    CHECKS.append(function)
    return function


def equal(what: str, wanted: object, got: object) -> None:
    if wanted != got:
        raise AssertionError(f"{what}: not\n  {wanted!r}\nbut\n  {got!r}")


class User:
    """At the keyboard of one Neovim."""

    def __init__(self, editor: Editor, folder: Path) -> None:
        self.editor, self.folder, self.n_files = editor, folder, 0

    @contextlib.contextmanager
    def another(self) -> "Iterator[User]":
        """At a second Neovim, in the same folder."""
        room = self.folder.parent / "another"
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
        """To it by a key of one's own, as with the mouse: without leaving insert mode."""
        self.editor.lua("vim.keymap.set('i', '<F2>', '<Cmd>wincmd w<CR>')")
        self.press("F2")

    def open(self, text: str, name: str = "") -> Path:
        """A file with that text, the cursor at its end, in normal mode."""
        self.press("Escape", "Escape")
        self.n_files += 1
        path = self.folder / (name or f"file_{self.n_files}.py")
        path.write_bytes(text.encode())
        until("normal mode", 5, lambda: self.editor.nvim.api.get_mode()["mode"] == "n")
        self.editor.nvim.command(f"silent edit! {path}")
        self.editor.lua("vim.api.nvim_win_set_cursor(0, { vim.fn.line('$'), 1000000 })")
        return path

    def begin(self, text: str, typed: str, after: str = "", name: str = "") -> str:
        """Open a file, type something at its end, before `after`; the ghost text that comes."""
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
        """The ghost text, or "", that the server has answered with when the keys have made that text."""
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
        """Press the key: exactly that part comes between what stands before the cursor and after."""
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


@check
def shown_after_typing(user: User) -> None:
    ghost = user.begin(BEGUN[:-2], "op")
    if not ghost.startswith("en(path"):
        raise AssertionError(f"not what stands four times above, but {ghost!r}")


@check
def typing_through_keeps_it(user: User) -> None:
    ghost = user.begin(BEGUN[:-2], "op")
    for n in range(1, 6):
        user.editor.terminal.type(ghost[n - 1])
        user.wait_for_ghost(f"the rest after {n} typed characters", ghost[n:])
    now = user.editor.wait_for_answer()
    if not now.startswith(ghost[5:]):
        raise AssertionError(f"the rest {ghost[5:]!r} became {now!r}")
    user.accept("Tab", BEGUN + ghost[:5], "", now, "accepting what is left")


@check
def accepts_all_and_undoes_it_at_once(user: User) -> None:
    ghost = user.begin(BEGUN[:-2], "op")
    user.accept("Tab", BEGUN, "", ghost, "accepting all")
    user.undo(BEGUN)


def accept_parts(user: User, key: str, pattern: re.Pattern[str], ghost: str, what: str) -> tuple[str, int]:
    """Press the key until nothing of the ghost text is left; the text before the last part, and how many there were."""
    text = last = BEGUN
    n = 0
    while ghost:
        part = (pattern.match(ghost) or re.match(".*", ghost))[0]  # type: ignore[index]
        user.accept(key, text, "", part, f"{what} {n + 1}")
        last, text, ghost, n = text, text + part, ghost[len(part) :], n + 1
        if ghost:
            user.wait_for_ghost(f"the rest after {what} {n}", ghost)
            now = user.editor.wait_for_answer()  # what it had may come longer, not otherwise
            if not now.startswith(ghost):
                raise AssertionError(f"after {what} {n} the rest {ghost!r} became {now!r}")
            ghost = now if n < 4 else ghost
        if n == 4:
            break
    return last, n


@check
def accepts_words_and_undoes_the_last(user: User) -> None:
    ghost = user.begin(BEGUN[:-2], "op")
    last, n = accept_parts(user, "C-Right", WORD, ghost, "word")
    if n < 3:
        raise AssertionError(f"{n} words in {ghost!r}: too few to say anything")
    user.undo(last)


@check
def accepts_lines_and_undoes_the_last(user: User) -> None:
    ghost = user.begin(BEGUN[:-2], "op")
    if "\n" not in ghost:
        raise AssertionError(f"{ghost!r} has one line: too few to say anything")
    last, _ = accept_parts(user, "M-Down", LINE, ghost, "line")
    user.undo(last)


@check
def crlf_stays_crlf(user: User) -> None:
    ghost = user.begin(BEGUN[:-2].replace("\n", "\r\n"), "op")
    if "\r" in ghost or "\n" not in ghost:
        raise AssertionError(f"{ghost!r} is not two clean lines")
    part = LINE.match(ghost)[0]  # type: ignore[index]
    user.accept("M-Down", BEGUN, "", part, "accepting a line")
    user.wait_for_ghost("the rest", ghost[len(part) :])
    user.accept("Tab", BEGUN + part, "", ghost[len(part) :], "accepting the rest")
    user.press("Escape")
    user.editor.nvim.command("silent write")
    wanted = (BEGUN + ghost + "\n").replace("\n", "\r\n").encode()
    path = Path(user.editor.nvim.current.buffer.name)
    equal("the file", wanted, path.read_bytes())


@check
def tabs_stay_tabs(user: User) -> None:
    text = (BEGUN + 'en(path, encoding="utf-8") as file:\n        lines = f').replace("    ", "\t")
    ghost = user.begin(text[:-1], "f")
    user.accept("C-Right", text, "", "ile", "accepting a word")
    user.wait_for_ghost("the rest", ghost[3:])
    user.accept("Tab", text + "ile", "", ghost[3:], "accepting the rest")


@check
def emoji_earlier_in_the_line(user: User) -> None:
    text = "".join(f'say("🙂 né", open(path_{i}, encoding="utf-8").read())\n' for i in range(4)) + 'say("🙂 né", op'
    ghost = user.begin(text[:-2], "op")
    user.accept("C-Right", text, "", "en", "accepting a word")
    rest = user.editor.settled_ghost_text()
    equal("the rest", ghost[2:], rest[: len(ghost) - 2])
    user.accept("Tab", text + "en", "", rest, "accepting the rest")
    user.undo(text + "en")


@check
def bracket_after_the_cursor(user: User) -> None:
    text = "".join(f"print(first_reading, second_reading)  # {i}\n" for i in range(4)) + "print("
    ghost = user.begin(text, "first", ")")
    if ")" in ghost:
        raise AssertionError(f"{ghost!r} closes what is closed already")
    user.accept("Tab", text + "first", ")", ghost, "accepting before a bracket")


@check
def middle_of_a_line(user: User) -> None:
    """Before nothing but brackets and the like; before words, nothing is suggested."""
    text = "".join(f"show([first_reading, second_reading]):  # {i}\n" for i in range(4)) + "show(["
    ghost = user.begin(text, "first", "]):")
    user.accept("C-Right", text + "first", "]):", "_reading", "accepting a word before brackets")
    user.wait_for_ghost("the rest", ghost[8:])
    user.accept("Tab", text + "first_reading", "]):", ghost[8:], "accepting before brackets")
    user.undo(text + "first_reading]):")
    after = " as file:"
    user.open(BEGUN[:-2] + after)
    user.press("A", *["Left"] * len(after))
    user.editor.terminal.type("op")
    equal("ghost text before words", "", user.answer_to(BEGUN + after))


@check
def next_and_previous(user: User) -> None:
    endings = ("warmest", "coldest", "average", "nearest")
    text = "".join(f"print(weather.{ending}_day)\n" for ending in endings for _ in range(2))
    user.begin(text + "print(wea", "ther.")
    first, seen = user.editor.ghost_text(), []
    user.press("M-]")
    until("another suggestion", 5, lambda: user.editor.ghost_text() != first)
    for _ in range(6):
        found = re.fullmatch(r"(.*) \((\d+)/(\d+)\)", user.editor.ghost_text(), re.S)
        if not found:
            raise AssertionError(f"{user.editor.ghost_text()!r} does not say which one of how many it is")
        seen.append(found[1])
        shown = user.editor.ghost_text()
        user.press("M-]")
        until("the next one", 5, lambda shown=shown: user.editor.ghost_text() != shown)
    n = int(found[3])
    if n < 2 or len(set(seen[:n])) != n or seen[n:] != seen[: len(seen) - n]:
        raise AssertionError(f"{n} suggestions do not go round: {seen}")
    shown = user.editor.ghost_text()
    user.press("M-[")
    until("the one before", 5, lambda: user.editor.ghost_text() != shown)
    equal("the one before", f"{seen[5 % n]} ({5 % n + 2 if 5 % n + 2 <= n else 1}/{n})", user.editor.ghost_text())
    before = user.editor.text()
    user.press("Tab")
    equal("accepting another", before + seen[5 % n], user.changed(before, "accepting another"))


@check
def dismissed(user: User) -> None:
    user.begin(BEGUN[:-2], "op")
    user.press("C-]")
    until("no ghost text", 5, lambda: not user.editor.ghost_text())
    time.sleep(UNASKED_S)
    equal("ghost text after it was dismissed", "", user.editor.ghost_text())
    equal("the text", BEGUN, user.editor.text())
    user.press("Tab")
    after = user.changed(BEGUN, "a plain Tab")
    if after[len(BEGUN) :].strip():
        raise AssertionError(f"Tab where nothing is shown inserted {after[len(BEGUN) :]!r}")


@check
def gone_with_escape(user: User) -> None:
    user.begin(BEGUN[:-2], "op")
    user.press("Escape")
    until("no ghost text", 5, lambda: not user.editor.ghost_text())
    time.sleep(UNASKED_S)
    equal("ghost text in normal mode", "", user.editor.ghost_text())
    equal("the text", BEGUN, user.editor.text())


@check
def long_messages_ask_for_no_key(user: User) -> None:
    user.open("x = 1\n")
    problem = "the setting of this name is not one that can be used, and so the one before holds, as it did until now"
    user.editor.lua(
        f"local client = vim.lsp.get_clients({{ name = 'tinycopilot' }})[1] client.handlers['window/showMessage']"
        f"(nil, {{ type = 2, message = '{problem}' }}, {{ client_id = client.id }})"
    )
    until("the message", 5, lambda: "tinycopilot: the setting" in user.editor.screen())
    if user.editor.waits_for_a_key():
        raise AssertionError("it waits for a key")
    said = user.editor.said("TinyCopilot").replace("\n", " ")
    equal("it and the state", f"tinycopilot: {problem} tinycopilot: ready", said)


@check
def own_key_where_nothing_is_shown(user: User) -> None:
    user.open("x = 1\n")
    user.editor.lua("vim.keymap.set('i', '<C-Right>', 'mine', { buffer = false })")
    try:
        user.press("O", "C-]", "C-Right")
        until("one's own mapping", 5, lambda: user.editor.text().startswith("mine"))
    finally:
        user.editor.lua("vim.keymap.del('i', '<C-Right>')")


@check
def own_key_that_may_not_change_text(user: User) -> None:
    user.begin(BEGUN[:-2], "op")
    user.editor.lua(
        "vim.keymap.set('i', '<C-l>', function() return require('tinycopilot').accept_word() and '' or 'none' end, "
        "{ expr = true, buffer = true })"
    )
    user.accept("C-l", BEGUN, "", "en", "accepting a word in an <expr> mapping")
    user.press("C-]")
    until("no ghost text", 5, lambda: not user.editor.ghost_text())
    user.accept("C-l", BEGUN + "en", "", "none", "the same where nothing is shown")


@check
def paused_and_resumed(user: User) -> None:
    user.begin(BEGUN[:-2], "op")
    user.press("Escape")
    user.editor.nvim.command("TinyCopilot pause")
    until("being off", 5, lambda: user.editor.status() == "tinycopilot: off")
    user.press("A", "e")
    equal("ghost text while paused", "", user.answer_to(BEGUN + "e"))
    user.press("Escape")
    user.editor.nvim.command("TinyCopilot resume")
    until("being ready", 5, lambda: user.editor.status() == "tinycopilot: ready")
    user.press("A", "n")
    if not user.editor.settled_ghost_text().startswith("(path"):
        raise AssertionError(f"after resume: {user.editor.ghost_text()!r}")


@check
def switched_off_in_a_buffer_and_for_a_type(user: User) -> None:
    for what in ("buffer", "filetype"):
        user.begin(BEGUN[:-2], "op")
        user.press("Escape")
        user.editor.nvim.command(f"TinyCopilot toggle {what}")
        equal(f"the status after toggle {what}", "tinycopilot: off", user.editor.status())
        user.press("A", "e")
        time.sleep(UNASKED_S)
        equal(f"ghost text after toggle {what}", "", user.editor.ghost_text())
        user.press("Escape")
        user.editor.nvim.command(f"TinyCopilot toggle {what}")
        equal(f"the status after toggle {what} twice", "tinycopilot: ready", user.editor.status())
        user.press("A", "n")
        user.editor.settled_ghost_text()


@check
def env_file_is_silent(user: User) -> None:
    lines = "".join(f'PASSWORD_{i} = "correct horse battery staple"\n' for i in range(4))
    user.open(lines + 'PASSWORD_4 = "correct', name=".env")
    user.editor.nvim.command("set filetype=python")  # else it is not asked at all
    until("being attached", 10, lambda: user.editor.status() == "tinycopilot: ready")
    user.press("A", "Space", "h")
    equal("ghost text in .env", "", user.answer_to(lines + 'PASSWORD_4 = "correct h'))


@check
def statistics(user: User) -> None:
    user.press("Escape")
    n_windows = len(user.editor.nvim.windows)
    user.editor.nvim.command("TinyCopilot stats")
    until("a window of its own", 5, lambda: len(user.editor.nvim.windows) > n_windows)
    text = user.editor.text()
    if not re.search(r"[1-9]\d* suggestions, [1-9]\d* accepted.*, [1-9]\d* in part", text):
        raise AssertionError(f"what was accepted before is not counted: {text!r}")
    user.press("q")
    until("the window gone", 5, lambda: len(user.editor.nvim.windows) == n_windows)


@check
def commands_complete_and_complain(user: User) -> None:
    completed = user.editor.lua("return vim.fn.getcompletion('TinyCopilot re', 'cmdline')")
    equal("completion", ["reload", "restart", "resume"], completed)
    completed = user.editor.lua("return vim.fn.getcompletion('TinyCopilot toggle ', 'cmdline')")
    equal("completion of toggle", ["all", "buffer", "filetype"], completed)
    try:
        said = user.editor.said("TinyCopilot nap")
    except pynvim.NvimError as error:
        said = str(error)
    if "no such command: nap" not in said:
        raise AssertionError(f"a wrong name: {said!r}")


@check
def training_is_shown_and_cancelled(user: User) -> None:
    user.open(TEXT)
    user.editor.wait_until_ready()
    user.editor.lua(
        "_G.heard = {} vim.api.nvim_create_autocmd('User', { pattern = 'TinyCopilotStatus', "
        "callback = function(event) table.insert(_G.heard, event.data.state or '') end })"
    )
    user.editor.nvim.command("TinyCopilot train 1")
    until("the percentage", 20, lambda: re.fullmatch(r"tinycopilot: training \d+%", user.editor.status()))
    user.editor.nvim.command("TinyCopilot cancel")
    until("being ready again", 20, lambda: user.editor.status() == "tinycopilot: ready")
    heard = user.editor.lua("return _G.heard")
    if "training" not in heard or heard[-1] != "ready":
        raise AssertionError(f"User TinyCopilotStatus heard {heard}")


@check
def set_while_it_runs(user: User) -> None:
    user.begin(BEGUN[:-2], "op")
    user.press("Escape")
    user.editor.nvim.command("TinyCopilot set maxChars=4")
    equal("what is shown of it", "tinycopilot: maxChars=4", user.editor.said("TinyCopilot set maxChars"))
    user.press("A", "e")
    ghost = user.answer_to(BEGUN + "e")
    if not (ghost.startswith("n(") and len(ghost) <= 4):
        raise AssertionError(f"not at most 4 characters: {ghost!r}")
    user.press("Escape")
    user.editor.nvim.command("TinyCopilot set languages=lua")
    until("nothing for Python", 5, lambda: not user.editor.status())
    user.editor.nvim.command("TinyCopilot set languages=*")
    user.editor.nvim.command("TinyCopilot set maxChars=120")
    user.editor.wait_until_ready()
    user.press("A", "n")
    ghost = user.editor.settled_ghost_text()
    if not (ghost.startswith("(path") and len(ghost) > 4):
        raise AssertionError(f"with the settings as they were: {ghost!r}")
    user.press("Escape")
    user.editor.lua("require('tinycopilot').set { languages = { 'python' } }")
    problem = user.editor.lua("return select(2, pcall(vim.cmd, 'TinyCopilot set eagerness=high'))")
    if "eagerness is a number, not `high`" not in str(problem):
        raise AssertionError(f"of a value that is none: {problem!r}")


@check
def two_windows_on_one_file(user: User) -> None:
    text = TEXT + "\n" * 30 + BEGUN.removeprefix(TEXT)  # what is like it is not on the screen
    user.begin(text[:-2], "op")
    user.press("Escape")
    user.editor.nvim.command("split")
    user.press("A", "e")
    first_line = user.answer_to(text + "e").split("\n")[0]
    until("ghost text on the screen", 5, lambda: "ope" + first_line in user.editor.screen())
    equal("how often it is on the screen", 1, user.editor.screen().count(first_line))
    user.other_window()
    user.press("End", "n")
    first_line = user.answer_to(text + "en").split("\n")[0]
    until("ghost text on the screen", 5, lambda: "open" + first_line in user.editor.screen())
    equal("how often it is on the screen, from the other window", 1, user.editor.screen().count(first_line))
    user.press("Escape")
    user.editor.nvim.command("silent only!")


@check
def two_windows_on_two_files(user: User) -> None:
    user.begin(BEGUN[:-2], "op")
    first = user.editor.nvim.current.buffer
    user.press("Escape")
    user.editor.nvim.command("vsplit")
    user.begin(BEGUN[:-2], "op")
    user.other_window()
    until("the other file", 5, lambda: user.editor.nvim.current.buffer == first)
    time.sleep(UNASKED_S)
    equal("ghost text that was left behind", [], user.editor.other_ghost_texts())
    user.press("End", "e")
    ghost = user.answer_to(BEGUN + "e")
    equal("ghost text in the other one", [], user.editor.other_ghost_texts())
    user.accept("Tab", BEGUN + "e", "", ghost, "accepting in one of two windows")
    user.press("Escape")
    user.editor.nvim.command("silent only!")


@check
def two_editors_in_one_folder(user: User) -> None:
    user.begin(BEGUN[:-2], "op")
    with user.another() as other:
        ghost = other.begin(BEGUN[:-2], "op")
        user.press("e")
        user.answer_to(BEGUN + "e")
        other.accept("Tab", BEGUN, "", ghost, "accepting in the other one")
    user.press("n")
    if not (ghost := user.answer_to(BEGUN + "en")).startswith("(path"):
        raise AssertionError(f"when the other one has ended: {ghost!r}")


@check
def large_file(user: User) -> None:
    """Too large to be completed: nothing waits for it."""
    text = "".join(f"reading_{i} = measure({i}, unit='celsius')\n" for i in range(120_000))
    user.open(text + "reading_x = mea")
    size = len(user.editor.text())
    if size < 5_000_000:
        raise AssertionError(f"{size:,} characters are no large file")
    user.press("A")
    user.editor.terminal.type("sure")
    until("the keys' arrival", 10, lambda: user.editor.nvim.current.line == "reading_x = measure")
    equal("ghost text there", "", user.editor.wait_for_answer())
    ghost = user.begin(BEGUN[:-2], "op")
    if not ghost.startswith("en(path"):
        raise AssertionError(f"in another file: {ghost!r}")
    user.press("Escape")
    user.editor.nvim.command("bwipeout! #")


@check
def read_only_files(user: User) -> None:
    """Some may be typed into, and are warned about; some may not. None brings an error of ours."""
    for option in ("readonly", "nomodifiable", "readonly nomodifiable"):
        user.open(BEGUN)
        user.editor.wait_until_ready()
        user.editor.nvim.command("messages clear")
        user.editor.nvim.command(f"setlocal {option}")
        may_be_typed_into = "nomodifiable" not in option
        wanted = BEGUN + "e" if may_be_typed_into else BEGUN
        user.press("A", "e")
        if may_be_typed_into:
            user.accept("Tab", wanted, "", user.answer_to(wanted), "accepting where one is only warned")
        else:
            user.press("Tab", "C-Right", "M-]", "C-]", "Escape")
            time.sleep(UNASKED_S)
            equal(f"the text with {option}", BEGUN, user.editor.text())
            equal(f"ghost text with {option}", "", user.editor.ghost_text())
        user.press("Escape")
        said = [line for line in user.editor.said("messages").splitlines() if not line.startswith(("W10", "E21"))]
        equal(f"what was said with {option}", [], said)


@check
def trained_to_its_end(user: User) -> None:
    """On letters by chance: no memory of other letters helps, and the network, which expects words, learns at once."""
    project = user.folder.parent / "letters"  # of its own: what is trained here is for this project alone
    project.mkdir()
    (project / "pyproject.toml").touch()
    dice = Random(1)
    for i in range(10):
        rows = "".join(f'    "{"".join(dice.choices(ascii_letters, k=40))}",\n' for _ in range(44))
        (project / f"rows_{i}.py").write_text(f"ROWS = [\n{rows}]\n")
    user.press("Escape")
    user.editor.nvim.command(f"silent edit! {project}/rows_0.py")
    user.editor.wait_until_ready()
    user.editor.watch(400)  # on a busy machine; else some twenty seconds
    user.editor.lua(
        "vim.cmd('messages clear') _G.percentages = {} "
        "vim.api.nvim_create_autocmd('User', { pattern = 'TinyCopilotStatus', callback ="
        " function(event) table.insert(_G.percentages, event.data.percentage) end })"
    )
    user.editor.nvim.command(f"TinyCopilot train {TRAIN_MINUTES:g}")

    told = "return require('tinycopilot').cut or ''"  # it is longer than a line
    until("the end of training", 360, lambda: user.editor.lua(told) or "failed" in user.editor.said("messages"))
    message = user.editor.said("TinyCopilot").replace("\n", " ")
    figures = re.search(r"(\d\.\d+) -> (\d\.\d+) bits per character on 1 file .*: in use", message)
    if not figures or float(figures[2]) >= float(figures[1]):
        raise AssertionError(f"not better: {message}")
    until("being ready", 20, lambda: user.editor.status() == "tinycopilot: ready")
    percentages = user.editor.lua("return _G.percentages")
    if len(set(percentages)) < 3 or percentages != sorted(percentages):
        raise AssertionError(f"its progress: {percentages}")
    [model] = user.editor.home.rglob("workspaces/*/tiny_gpt.pth")
    log = "".join(path.read_text() for path in user.editor.home.rglob("server.log"))
    if f"loaded again: {model}" not in log:
        raise AssertionError(f"the new model {model} is not in use, says the log:\n{log}")
    user.editor.nvim.command("bwipeout")  # with it, its server starts no more


@check
def log_is_the_servers(user: User) -> None:
    user.open(TEXT)
    user.editor.wait_until_ready()
    user.editor.nvim.command("TinyCopilot log")
    until("the log", 5, lambda: user.editor.nvim.current.buffer.name.endswith("server.log"))
    user.editor.nvim.command("silent! tabonly! | silent! only!")


@check
def restarted(user: User) -> None:
    user.begin(BEGUN[:-2], "op")
    user.press("Escape")
    first = user.editor.lua("return vim.lsp.get_clients({ name = 'tinycopilot' })[1].id")
    user.editor.nvim.command("TinyCopilot restart")
    user.editor.wait_until_ready()
    ids = user.editor.lua("return vim.tbl_map(function(each) return each.id end, vim.lsp.get_clients())")
    if len(ids) != 1 or ids[0] == first:
        raise AssertionError(f"clients after a restart: {ids}, before: {first}")
    user.press("A", "e")
    if not user.editor.settled_ghost_text().startswith("n(path"):
        raise AssertionError(f"after a restart: {user.editor.ghost_text()!r}")


@check
def health(user: User) -> None:
    user.open(TEXT)
    user.editor.wait_until_ready()
    user.editor.nvim.command("checkhealth tinycopilot")
    until("the report", 15, lambda: "state:" in user.editor.text())
    text = user.editor.text()
    for wanted in ("ghost text", "server: `", "model:", "state: ready"):
        if wanted not in text:
            raise AssertionError(f"{wanted!r} is not in the report:\n{text}")
    if "ERROR" in text:
        raise AssertionError(f"an error in the report:\n{text}")
    user.editor.nvim.command("tabonly! | enew")


@check
def killed_and_started_again(user: User) -> None:
    user.begin(BEGUN[:-2], "op")
    client = "vim.lsp.get_clients({ name = 'tinycopilot' })[1]"
    first = user.editor.lua(f"return {client}.id")
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(user.editor.lua("return vim.fn.getpid()"))], capture_output=True, text=True
    )
    for process in children.stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGKILL)
    until("Neovim's message, which waits for a key", 10, user.editor.waits_for_a_key)
    user.press("Enter")
    again = f"local client = {client} return client and client.id ~= {first} and client.initialized"
    until("a new server", 20, lambda: user.editor.lua(again))
    user.press("Escape")
    user.editor.wait_until_ready()
    user.press("A", "e")
    if not user.editor.settled_ghost_text().startswith("n(path"):
        raise AssertionError(f"from the new server: {user.editor.ghost_text()!r}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Use tinycopilot in real Neovim as its users do.")
    parser.add_argument("nvim", help="the program")
    parser.add_argument("--only", default="", help="the checks whose names contain this")
    parser.add_argument("--server", nargs=argparse.REMAINDER, default=["tinycopilot-server"], help="its command")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ghost"))  # a short path: sockets lie in it
    project = folder / "project"
    project.mkdir()
    (project / "pyproject.toml").touch()
    n_failed, editor = 0, None
    try:
        (project / "start.py").write_text(TEXT)
        program, *options = arguments.server
        editor = Editor(folder, found(arguments.nvim), project / "start.py", [found(program), *options])
        editor.wait_until_ready()
        user = User(editor, project)
        for one in (one for one in CHECKS if arguments.only in one.__name__):
            since = time.monotonic()
            editor.watch(60)
            try:
                one(user)
            except (AssertionError, TimeoutError, pynvim.NvimError) as error:
                n_failed += 1
                print(f"FAILED  {one.__name__}: {type(error).__name__}: {error}", flush=True)
            else:
                print(f"ok      {one.__name__} ({time.monotonic() - since:.1f} s)", flush=True)
    except (AssertionError, OSError, subprocess.SubprocessError, pynvim.NvimError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    finally:
        if editor:
            if n_failed and editor.log.exists():
                print(*editor.log.read_text(errors="replace").splitlines()[-15:], sep="\n", file=sys.stderr)
            editor.close()
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
