"""Keys are sent through a pipe, and the screen is compared; suggestions are scripted."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from tinycopilot import UserError
from tinycopilot.completion.engine import Request, Result, Silence, Why
from tinycopilot.completion.indexing import Project
from tinycopilot.completion.request import Suggestion
from tinycopilot.tui.engine import EngineWorker
from tinycopilot.tui.terminal import Terminal
from tinycopilot.tui.text_file import TextFile

KEYS = {
    "Tab": "\t", "Enter": "\r", "Esc": "\x1b", "Backspace": "\x7f", "Shift-Tab": "\x1b[Z", "Left": "\x1b[D",
    "Shift-Left": "\x1b[1;2D",
    "Right": "\x1b[C", "Up": "\x1b[A", "Home": "\x1b[H", "End": "\x1b[F", "Ctrl-Right": "\x1b[1;5C", "Alt-F": "\x1bf",
    "Alt-Right": "\x1b[1;3C", "Alt-Down": "\x1b[1;3B", "Ctrl-C": "\x03", "Ctrl-O": "\x0f", "Ctrl-Q": "\x11",
    "Ctrl-S": "\x13", "Ctrl-Y": "\x19", "Ctrl-Z": "\x1a", "Alt-Enter": "\x1b\r", "Alt-#": "\x1b#",
    "Alt-N": "\x1bn",
}  # fmt: skip
GHOST, COLUMNS, ROWS = "class:ghost", 80, 12


class ScriptedEngine:
    """Suggests the scripted text after a matching suffix, after permission to answer."""

    def __init__(self, **suggestions: str) -> None:
        self.suggestions = suggestions
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.asked: list[str] = []
        self.on_response: list[str] = []

    def complete(self, request: Request, _cancelled: Callable[[], bool]) -> Result:
        self.asked.append(request.before)
        assert self.may_answer.wait(60)
        self.on_response.append(request.before)
        ends = [end for end in self.suggestions if request.before.endswith(end)]
        if not ends:
            return Result(silence=Silence.UNSURE)
        alternatives = [Suggestion(f"other {i}", 0.1) for i in range(2)] if request.why is Why.INVOKED else []
        return Result((Suggestion(self.suggestions[ends[0]], 0.71), *alternatives))


class Output(DummyOutput):
    def get_size(self) -> Size:
        return Size(rows=ROWS, columns=COLUMNS)


class User:
    """Presses keys and checks the screen."""

    def __init__(self, terminal: Terminal, task: "asyncio.Task[None]", send: Callable[[str], None]) -> None:
        self.terminal = terminal
        self.task = task
        self._send = send
        self.engine_works = True
        """Whether an error of the engine fails the test."""

    async def press(self, *words: str) -> None:
        """Press keys, given by name or as text, one at a time, and wait for the effect of each."""
        for word in words:
            self._send(KEYS.get(word, word))
            await asyncio.sleep(0.01)

    async def until(self, holds: Callable[[], Any]) -> None:
        for _ in range(6000):
            if holds():
                return
            if self.task.done():
                self.task.result()
            assert not (self.engine_works and self.terminal._status.has_failed), self.terminal._status
            await asyncio.sleep(0.01)
        raise AssertionError(f"not within a minute; the screen: {self.screen}")

    async def sees(self, *lines: str) -> None:
        """Wait for this screen, from the top, with ghost text in brackets."""
        await self.until(lambda: self.screen[: len(lines)] == [*lines])

    @property
    def screen(self) -> list[str]:
        screen = self.terminal.application.renderer.last_rendered_screen
        rows = [[screen.data_buffer[y][x] for x in range(COLUMNS)] for y in range(ROWS)] if screen else []
        return [
            "".join(f"[{cell.char}]" if GHOST in cell.style else cell.char for cell in row).replace("][", "").rstrip()
            for row in rows
        ]

    async def sees_buffer(self, text: str) -> None:
        """Wait for this buffer, with a bar for the cursor."""
        await self.until(lambda: self.text == text)

    async def sees_status(self, words: str) -> None:
        """Wait for this status line."""
        await self.until(lambda: words in self.screen[-2])

    @property
    def text(self) -> str:
        document = self.terminal.buffer.document
        return document.text_before_cursor + "|" + document.text_after_cursor


@contextlib.asynccontextmanager
async def using(completer: object, file: TextFile | None = None, max_lines: int = 1) -> AsyncIterator[User]:
    with create_pipe_input() as keys, create_app_session(input=keys, output=Output()):
        engine = EngineWorker(lambda: completer, Project())  # type: ignore[arg-type, return-value]
        terminal = Terminal(engine, file, max_lines)
        task = asyncio.create_task(terminal.run())
        user = User(terminal, task, keys.send_text)
        try:
            await user.until(lambda: "ready" in "".join(user.screen))
            yield user
        finally:
            if not task.done():
                terminal.application.exit()
            await task


async def test_tab_accepts_or_indents() -> None:
    async with using(ScriptedEngine(imp="ort os", os="")) as user:
        await user.press("Tab")
        await user.sees_buffer("    |")
        await user.press("imp")
        await user.sees("    imp[ort os]")
        await user.sees_status("71 % sure")
        await user.press("Tab")
        await user.sees_buffer("    import os|")
        await user.sees("    import os")
        await user.sees_status("5 keys saved")
        await user.press("Ctrl-Z")
        await user.sees_buffer("    imp|")  # one undo removes it
        await user.press("Ctrl-Y")
        await user.sees_buffer("    import os|")


async def test_typing_through_keeps_the_rest_without_a_new_result() -> None:
    engine = ScriptedEngine(imp="ort os")
    async with using(engine) as user:
        await user.press("imp")
        await user.sees("imp[ort os]")
        engine.may_answer.clear()
        await user.press("o")
        await user.sees("impo[rt os]")
        await user.press("x")
        await user.sees("impox")
        engine.may_answer.set()


async def test_result_for_outdated_text_is_not_shown() -> None:
    engine = ScriptedEngine(i="f x")
    async with using(engine) as user:
        await user.until(lambda: engine.on_response == [""])
        engine.may_answer.clear()
        await user.press("i")
        await user.until(lambda: engine.asked == ["", "i"])
        await user.press("a")
        await user.sees_buffer("ia|")  # typing does not wait for a result
        engine.may_answer.set()
        await user.until(lambda: engine.on_response == ["", "i", "ia"])
        await user.press("b")
        await user.until(lambda: engine.on_response[-1] == "iab")
        await user.sees("iab")


@pytest.mark.parametrize("key", ["Ctrl-Right", "Alt-F", "Alt-Right"])
async def test_accept_word_by_word_or_move(key: str) -> None:
    async with using(ScriptedEngine(imp="ort os.path")) as user:
        await user.press("imp")
        await user.sees("imp[ort os.path]")
        await user.press(key, key)
        await user.sees("import os[.path]")
        await user.press("Esc")
        await user.sees("import os")
        await user.press("Left", "Left", key)
        await user.sees_buffer("import os|")


async def test_escape_dismisses_and_typing_requests_again() -> None:
    async with using(ScriptedEngine(imp="ort os", impx="y z")) as user:
        await user.press("imp")
        await user.sees("imp[ort os]")
        await user.press("Esc")
        await user.sees("imp")
        await user.press("x")
        await user.sees("impx[y z]")


async def test_rest_of_the_line_follows_the_ghost_text() -> None:
    async with using(ScriptedEngine(a="bc")) as user:
        await user.press("print()", "Enter", "x", "Up", "End", "Left", "a")
        await user.sees("print(a[bc])", "x")


async def test_multi_line_ghost_text_moves_lines_down() -> None:
    async with using(ScriptedEngine(a=":\n    b\n\tc"), max_lines=3) as user:
        await user.press("if ()", "Enter", "x", "Up", "End", "Left", "a")
        await user.sees("if (a[:]", "[    b]", "[    c])", "x")
        assert "Alt-Down line" in user.screen[-1]
        assert user.screen[-1].endswith("quit")  # all of it is visible
        await user.press("Alt-Down", "Alt-Down")
        await user.sees_buffer("if (a:\n    b|)\nx")
        await user.sees("if (a:", "    b", "[    c])", "x")


async def test_enter_and_backspace_as_in_an_editor() -> None:
    async with using(ScriptedEngine()) as user:
        await user.press("def f():", "Enter", "if x:", "Enter", "Enter")
        await user.sees_buffer("def f():\n    if x:\n\n        |")
        await user.press("Backspace", "y", "Shift-Tab")
        await user.sees_buffer("def f():\n    if x:\n\ny|")
        await user.press("Home", "Backspace")
        await user.sees_buffer("def f():\n    if x:\n|y")


@pytest.mark.parametrize(("key", "text"), [("Backspace", "a|"), ("Enter", "a\n|"), ("x", "ax|")])
async def test_typing_replaces_the_selection(key: str, text: str) -> None:
    async with using(ScriptedEngine()) as user:
        await user.press("abc", "Shift-Left", "Shift-Left", key)
        await user.sees_buffer(text)


@pytest.mark.parametrize("key", ["Alt-Enter", "Alt-#", "Ctrl-O"])
async def test_shell_keys_do_not_quit(key: str) -> None:
    async with using(ScriptedEngine()) as user:
        await user.press("x", key, "y")
        await user.until(lambda: "x" in user.text and "y" in user.text)


async def test_file_is_written_only_on_save(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"x = 1\r\n")
    async with using(ScriptedEngine(y="es"), TextFile(path)) as user:
        await user.sees("x = 1", "")
        await user.sees_buffer("x = 1\n|")
        await user.press("y")
        await user.sees("x = 1", "y[es]")
        await user.press("Tab")
        await user.sees_status("a.py *")
        assert path.read_bytes() == b"x = 1\r\n"
        await user.press("Ctrl-Q")
        await user.sees_status("Unsaved changes")
        await user.press("!")
        await user.sees_status("ready")
        await user.press("Ctrl-Q")  # after further typing it must be confirmed again
        await user.sees_status("Unsaved changes")
        await user.press("Ctrl-S")
        await user.sees_status("Saved")
        assert path.read_bytes() == b"x = 1\r\nyes!"
        await user.press("Ctrl-C")
        await user.task


async def test_unsaveable_file_reports_an_error(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    file = TextFile(tmp_path / "folder" / "a.py")
    (tmp_path / "folder").rmdir()
    async with using(ScriptedEngine(), file) as user:
        await user.press("x", "Ctrl-S")
        await user.sees_status("not saved")
    async with using(ScriptedEngine()) as user:
        await user.press("x", "Ctrl-S")
        await user.sees_status("No file to save")


async def test_warning_about_unsaved_changes_fits_any_file_name(tmp_path: Path) -> None:
    path = tmp_path / ("a_file_with_a_long_name_" * 5 + "and_an_end.py")
    path.write_text("x = 1\n")
    async with using(ScriptedEngine(y="es"), TextFile(path)) as user:
        await user.press("y")
        await user.sees_status("% sure")
        await user.sees_status(" 0 keys saved   …long_name_and_an_end.py *   2:2")
        await user.press("Ctrl-Q")
        await user.sees_status(" Unsaved changes. Ctrl-S saves; Ctrl-Q again quits without saving")
        path.write_text("another = 1\n")
        await user.press("Ctrl-S")
        await user.sees_status(" not saved: another program changed the file; save again to overwrite it")
        await user.press("Ctrl-S")
        await user.sees_status("Saved …")


class Broken(ScriptedEngine):
    def complete(self, request: Request, _cancelled: Callable[[], bool]) -> Result:
        if request.before:
            raise ValueError("it broke")
        return Result(silence=Silence.UNSURE)


async def test_failed_engine_quits_only_without_unsaved_changes() -> None:
    async with using(Broken()) as user:
        user.engine_works = False
        await user.press("x")
        await user.sees_status("it broke")
        await user.press("y")
        await user.sees_buffer("xy|")

    def load() -> Any:
        raise UserError("no model")

    session = create_pipe_input()
    with session as keys, create_app_session(input=keys, output=Output()), pytest.raises(UserError, match="no model"):
        await Terminal(EngineWorker(load, Project()), None).run()


async def test_closed_terminal_quits() -> None:
    with create_pipe_input() as keys, create_app_session(input=keys, output=Output()):
        task = asyncio.create_task(Terminal(EngineWorker(ScriptedEngine, Project()), None).run())  # type: ignore[arg-type]
        await asyncio.sleep(0)
        keys.close()
        await task


async def test_next_alternative_replaces_the_suggestion() -> None:
    async with using(ScriptedEngine(imp="ort os")) as user:
        await user.press("imp")
        for shown in ("ort os", "other 0", "other 1", "ort os", "other 0"):
            await user.sees(f"imp[{shown}]")
            await user.press("Alt-N")
        await user.sees("imp[other 1]")
        await user.press("Tab")
        await user.sees_buffer("impother 1|")
