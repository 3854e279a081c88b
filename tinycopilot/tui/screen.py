"""Render ghost text: show its lines where they would be inserted, and push the text below them down."""

from collections.abc import Callable

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout.controls import BufferControl, UIContent
from prompt_toolkit.layout.processors import TabsProcessor
from prompt_toolkit.layout.utils import explode_text_fragments
from prompt_toolkit.lexers import PygmentsLexer
from prompt_toolkit.styles import Style

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
