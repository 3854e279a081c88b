"""Terminal: the key bindings, screen and buffer of `play`, on top of GhostText and EngineWorker.

Ghost text is drawn where it would be inserted, and pushes the text below it down.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition, has_selection
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import (
    ConditionalContainer,
    FormattedTextControl,
    HSplit,
    Layout,
    ScrollOffsets,
    VSplit,
    Window,
    WindowAlign,
)
from prompt_toolkit.layout.controls import BufferControl, UIContent
from prompt_toolkit.layout.processors import TabsProcessor
from prompt_toolkit.layout.utils import explode_text_fragments
from prompt_toolkit.lexers import PygmentsLexer
from prompt_toolkit.styles import Style

from tinycopilot import UserError
from tinycopilot.tui.engine import EngineWorker, Status, SuggestionResponse
from tinycopilot.tui.ghost_text import ALL, LINE, WORD, GhostText
from tinycopilot.tui.indentation import indentation_unit, line_break, n_for_backspace, n_for_outdent, tab
from tinycopilot.tui.text_file import TextFile

ESCAPE_WAIT_S = 0.05
"""Time to wait after Esc for the rest of a key sequence, and then for a key combined with Alt."""

KEYS = " Tab accept  Alt-F word{}  Alt-N next  Esc hide  ^S save  ^Q quit"  # at most 80 columns
KEY_OF_LINE = "  Alt-Down line"
MAX_NAME_CHARS, MAX_PATH_CHARS = 24, 70
"""Limits for 80 columns: of a name in the status line, and of a path after "Saved"."""
MAX_ROOM_LINES = 8
"""Lines kept visible below the cursor, for long suggestions."""
TAB_WIDTH = 4

STYLE = Style.from_dict(
    {
        "ghost": "#808080 italic",
        "status": "reverse",
        "status.note": "bold",
        "keys": "#808080",
        # The terminal's own colors, which fit its background.
        "pygments.comment": "ansicyan",
        "pygments.keyword": "ansimagenta nobold",
        "pygments.literal.string": "ansigreen noitalic",
        "pygments.literal.number": "ansiyellow",
        "pygments.name": "nobold noitalic",
        "pygments.name.builtin": "fg:default",
        "pygments.name.class": "ansiblue",
        "pygments.name.decorator": "ansiyellow",
        "pygments.name.function": "ansiblue",
        "pygments.name.namespace": "fg:default nobold",
        "pygments.operator": "fg:default",
        "pygments.operator.word": "ansimagenta nobold",
    }
)


class Terminal:
    """An editor for one file, or for none."""

    def __init__(self, engine: EngineWorker, file: TextFile | None, max_lines: int = 1) -> None:
        self.ghost = GhostText()
        self._engine = engine
        self._file = file
        self._status = Status("")
        self._note = ""
        self._answer_ms: float | None = None
        self._may_quit = False  # the warning about unsaved changes was shown
        self._opened = text = file.text if file else ""
        self._unit = indentation_unit(text)
        self.buffer = Buffer(
            document=Document(text),  # the cursor is at the end
            multiline=True,
            accept_handler=lambda _buffer: True,  # keep the text
            on_text_changed=lambda _buffer: self._on_text(),
            on_cursor_position_changed=lambda _buffer: self.ghost.cursor_moved(*self._sides()),
        )
        self.application: Application[None] = Application(
            layout=self._layout(max_lines), key_bindings=self._key_bindings(), style=STYLE, full_screen=True
        )
        self.application.ttimeoutlen = self.application.timeoutlen = ESCAPE_WAIT_S

    @property
    def is_changed(self) -> bool:
        """Whether there are unsaved changes."""
        return self._file is not None and self.buffer.text != self._file.text

    async def run(self) -> None:
        """Run until the user quits. Raises UserError if the engine fails before the first keystroke."""
        try:
            with contextlib.suppress(EOFError):
                await self.application.run_async(pre_run=self._start)
        finally:
            self._engine.close()

    def _start(self) -> None:
        loop = asyncio.get_running_loop()

        def tell(news: SuggestionResponse | Status) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, because the user has quit
                loop.call_soon_threadsafe(self._on_message, news)

        self._engine.start(tell)
        self._on_text()

    def _on_message(self, news: SuggestionResponse | Status) -> None:
        if isinstance(news, SuggestionResponse):
            if self.ghost.on_response(news.request, *news.suggestions):
                self._answer_ms = news.took_ms
        else:
            self._status = news
            if news.has_failed and self.buffer.text == self._opened and not self.application.is_done:
                self.application.exit(exception=UserError(news.message))
        self.application.invalidate()

    def _on_text(self) -> None:
        self._note, self._may_quit = "", False
        self._engine.request_suggestion(self.ghost.text_changed(*self._sides()))

    def _sides(self) -> tuple[str, str]:
        document = self.buffer.document
        return document.text_before_cursor, document.text_after_cursor

    def _layout(self, max_lines: int) -> Layout:
        name = self._file.path.name if self._file else "untitled.py"
        text = Window(
            GhostControl(self.buffer, lambda: self.ghost.text, name),
            wrap_lines=True,
            scroll_offsets=ScrollOffsets(bottom=min(max_lines - 1, MAX_ROOM_LINES)),
            allow_scroll_beyond_bottom=True,  # else the text would jump when ghost text disappears
        )
        state = Window(FormattedTextControl(self._status_line), height=1, style="class:status")
        place = Window(FormattedTextControl(self._position), height=1, style="class:status", align=WindowAlign.RIGHT)
        keys = KEYS.format(KEY_OF_LINE if max_lines > 1 else "")
        beside = ConditionalContainer(place, Condition(lambda: not self._note))  # a note takes the whole row
        help_line = Window(FormattedTextControl(keys), height=1, style="class:keys")
        return Layout(HSplit([text, VSplit([state, beside]), help_line]), focused_element=text)

    def _status_line(self) -> StyleAndTextTuples:
        """Return engine status, latency and confidence; or a note."""
        if self._note:
            return [("class:status.note", f" {self._note}")]
        shown = self.ghost.shown
        parts = [
            self._status.message,
            "" if self._answer_ms is None else f"{self._answer_ms:.1f} ms",
            f"{100 * shown.confidence:.0f} % sure" if shown else "",
        ]
        return [("", " " + "   ".join(part for part in parts if part))]

    def _position(self) -> StyleAndTextTuples:
        """Return keys saved, file name and cursor position."""
        name = shortened(self._file.path.name, MAX_NAME_CHARS) if self._file else "no file"
        document = self.buffer.document
        place = f"{document.cursor_position_row + 1}:{document.cursor_position_col + 1}"
        return [("", f"{self.ghost.n_keys_saved} keys saved   {name}{' *' * self.is_changed}   {place} ")]

    def _key_bindings(self) -> KeyBindings:
        keys = KeyBindings()
        shown = Condition(lambda: bool(self.ghost.text))

        def accepting(part: re.Pattern[str]) -> Callable[[KeyPressEvent], None]:
            return lambda _event: self.buffer.insert_text(self.ghost.accept(part))

        keys.add("tab")(lambda _event: self.buffer.insert_text(tab(self._line, self._unit)))
        keys.add("tab", filter=shown)(accepting(ALL))
        for words in (("c-right",), ("escape", "f"), ("escape", "right")):
            keys.add(*words, filter=shown)(accepting(WORD))
        keys.add("escape", "down", filter=shown)(accepting(LINE))
        keys.add("escape", "n", filter=shown)(lambda _event: self._show_another())
        keys.add("escape", filter=shown)(lambda _event: self.ghost.dismiss())
        keys.add("enter", filter=~has_selection)(lambda _event: self._replace(*line_break(self._line, self._unit)))
        keys.add("backspace", filter=~has_selection)(lambda _event: self._backspace())
        keys.add("s-tab")(lambda _event: self._outdent())
        keys.add("c-z", save_before=lambda _event: False)(lambda _event: self.buffer.undo())
        keys.add("c-y", save_before=lambda _event: False)(lambda _event: self.buffer.redo())
        keys.add("c-s")(lambda _event: self._save())
        for word in ("c-q", "c-c", "<sigint>"):
            keys.add(word)(lambda _event: self._quit())
        return keys

    def _show_another(self) -> None:
        if request := self.ghost.next():
            self._engine.request_suggestion(request)

    @property
    def _line(self) -> str:
        """The line up to the cursor."""
        return self.buffer.document.current_line_before_cursor

    def _replace(self, n_chars: int, text: str) -> None:
        """Replace `n_chars` before the cursor by `text`, as a single change."""
        before, after = self._sides()
        before = before[: len(before) - n_chars] + text
        self.buffer.document = Document(before + after, len(before))

    def _backspace(self) -> None:
        before, _ = self._sides()
        self._replace(min(len(before), n_for_backspace(self._line, self._unit)), "")

    def _outdent(self) -> None:
        document = self.buffer.document
        n_chars = n_for_outdent(document.current_line, self._unit)
        start = document.cursor_position - document.cursor_position_col
        text = document.text[:start] + document.text[start + n_chars :]
        self.buffer.document = Document(text, max(start, document.cursor_position - n_chars))

    def _save(self) -> None:
        if self._file is None:
            self._note = "No file to save to; start with: tinycopilot play FILE"
            return
        try:
            self._file.save(self.buffer.text)
            self._note = f"Saved {shortened(str(self._file.path), MAX_PATH_CHARS)}"
        except UserError as error:
            self._note = str(error)

    def _quit(self) -> None:
        if self.is_changed and not self._may_quit:
            self._note, self._may_quit = "Unsaved changes. Ctrl-S saves; Ctrl-Q again quits without saving", True
        elif not self.application.is_done:
            self.application.exit()


def shortened(name: str, n_chars: int) -> str:
    """Shorten a name to its last `n_chars` characters."""
    return name if len(name) <= n_chars else "\N{HORIZONTAL ELLIPSIS}" + name[1 - n_chars :]


class GhostControl(BufferControl):
    """A buffer with ghost text after its cursor."""

    def __init__(self, buffer: Buffer, ghost_text: Callable[[], str], file_name: str) -> None:
        """`file_name` determines the language for syntax highlighting."""
        tabs = TabsProcessor(tabstop=TAB_WIDTH, char1=" ", char2=" ")
        # Highlighting from the start of a file for each key would be slow, so from the last function.
        lexer = PygmentsLexer.from_filename(file_name, sync_from_start=False)
        super().__init__(buffer, input_processors=[tabs], lexer=lexer)
        self._ghost_text = ghost_text

    def preferred_height(self, _width: int, max_available_height: int, *_: object) -> int | None:
        """Return the maximum, without measuring lines."""
        return max_available_height

    def create_content(self, width: int, height: int, preview_search: bool = False) -> UIContent:
        """Return the lines to draw."""
        content = super().create_content(width, height, preview_search)
        text = self._ghost_text()
        return with_ghost(content, text) if text else content


def with_ghost(content: UIContent, text: str) -> UIContent:
    """Return `content` with `text` inserted after the cursor."""
    first, n_more = content.cursor_position.y, text.count("\n")
    lines = text.expandtabs(TAB_WIDTH).split("\n")

    def get_line(i: int) -> StyleAndTextTuples:
        if not first <= i <= first + n_more:
            return content.get_line(i if i < first else i - n_more)
        around = explode_text_fragments(content.get_line(first))
        before, after = around[: content.cursor_position.x], around[content.cursor_position.x :]
        shown: StyleAndTextTuples = [*(before if i == first else []), ("class:ghost", lines[i - first])]
        return [*shown, *(after if i == first + n_more else [("", " ")])]  # the cursor needs a character

    return UIContent(
        get_line=get_line,
        line_count=content.line_count + n_more,
        cursor_position=content.cursor_position,
        menu_position=content.menu_position,
        show_cursor=content.show_cursor,
    )
