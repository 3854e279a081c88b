"""Completer: one suggestion for the text on both sides of a cursor. The server, the demo and the tests all ask it."""

from collections.abc import Callable

import torch

from tinycopilot.completion.decode import Reader, decode, never
from tinycopilot.completion.stopping import CompleterSettings, Suggestion, is_worth_showing, take
from tinycopilot.completion.tidy import has_room, without_what_follows
from tinycopilot.completion.workspace import Workspace
from tinycopilot.model.gpt import TinyGPT, load_pair
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.places import ModelPaths


class Completer:
    """Keeps what the network has read from one keystroke to the next. For one thread at a time.

    A suggestion depends on the text and the cursor alone, with one exception that people want: who types along a
    suggestion is shown the rest of it, and not another one.
    """

    def __init__(self, model: TinyGPT, tokenizer: SimpleTokenizer, settings: CompleterSettings | None = None) -> None:
        self.settings = settings or CompleterSettings()
        self.workspace = Workspace(tokenizer.alphabet)
        self._reader = Reader(model, tokenizer)
        self._shown: tuple[str, str, str, Suggestion] | None = None  # document, before, after, what was suggested there

    @classmethod
    def load(cls, paths: ModelPaths, settings: CompleterSettings) -> "Completer":
        """From the two files; call it in the thread that will ask. Raises ModelFileError."""
        torch.set_num_threads(settings.threads)
        return cls(*load_pair(paths.model, paths.tokenizer), settings)

    def warm_up(self) -> None:
        """Read a little: the first time is slow, and here nobody waits for it."""
        text = "import os\n"
        self.workspace.look_at("", text, "")
        self.workspace.likeliest(self._reader.read(text), text)

    def suggest(
        self, before: str, after: str = "", cancelled: Callable[[], bool] = never, document: str = ""
    ) -> Suggestion | None:
        """What to insert between `before` and `after`, or None to stay silent. Raises Cancelled when `cancelled()`.

        `document` names the text, which the workspace's memory holds from now on as it is here. Line ends may be of any
        kind in `before` and `after`; the suggestion's are `\\n`.
        """
        if not has_room(after):
            return None
        before, after = _plain_line_ends(before), _plain_line_ends(after)
        if rest := self._rest_of_shown(before, after, document):
            return rest
        self.workspace.look_at(document, before, after)
        suggestion = take(decode(self._reader, self.workspace.likeliest, before, cancelled), self.settings)
        if suggestion is not None:
            text = without_what_follows(suggestion.text, before, after)
            suggestion = Suggestion(text, suggestion.confidence) if is_worth_showing(text) else None
        self._shown = (document, before, after, suggestion) if suggestion else None
        return suggestion

    def typed(self, character: str, before: str, after: str = "", document: str = "") -> dict[str, float]:
        """`character` was typed after `before`: learn from it, and say what it cost, -log2 p, by whose prediction."""
        before, after = _plain_line_ends(before), _plain_line_ends(after)
        self.workspace.look_at(document, before, after)
        return self.workspace.bits_of(self._reader.read(before), before, character)

    def _rest_of_shown(self, before: str, after: str, document: str) -> Suggestion | None:
        """What is left of the last suggestion, if all that was typed since is its beginning."""
        if self._shown is None:
            return None
        then_document, then_before, then_after, shown = self._shown
        n_typed = len(before) - len(then_before)
        same_place = 0 <= n_typed < len(shown.text) and (document, after) == (then_document, then_after)
        along = same_place and before == then_before + shown.text[:n_typed]
        return Suggestion(shown.text[n_typed:], shown.confidence) if along else None


def _plain_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
