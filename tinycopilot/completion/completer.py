"""Completer: one suggestion for the text on both sides of a cursor. The server, the demo and the tests all ask it."""

from collections.abc import Callable

import torch

from tinycopilot.completion.decode import Reader, decode, never
from tinycopilot.completion.stopping import CompleterSettings, Suggestion, is_worth_showing, take
from tinycopilot.completion.tidy import has_room, without_what_follows
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
        self._reader = Reader(model, tokenizer)
        self._shown: tuple[str, str, Suggestion] | None = None  # before, after, and what was suggested there

    @classmethod
    def load(cls, paths: ModelPaths, settings: CompleterSettings) -> "Completer":
        """From the two files; call it in the thread that will ask. Raises ModelFileError."""
        torch.set_num_threads(settings.threads)
        return cls(*load_pair(paths.model, paths.tokenizer), settings)

    def warm_up(self) -> None:
        """Read a little: the first forward is slow, and here nobody waits for it."""
        self._reader.read("import os\n")

    def suggest(self, before: str, after: str = "", cancelled: Callable[[], bool] = never) -> Suggestion | None:
        """What to insert between `before` and `after`, or None to stay silent. Raises Cancelled when `cancelled()`.

        Line ends may be of any kind in `before` and `after`; the suggestion's are `\\n`.
        """
        if not has_room(after):
            return None
        before, after = _plain_line_ends(before), _plain_line_ends(after)
        if rest := self._rest_of_shown(before, after):
            return rest
        suggestion = take(decode(self._reader, before, cancelled), self.settings)
        if suggestion is not None:
            text = without_what_follows(suggestion.text, before, after)
            suggestion = Suggestion(text, suggestion.confidence) if is_worth_showing(text) else None
        self._shown = (before, after, suggestion) if suggestion else None
        return suggestion

    def _rest_of_shown(self, before: str, after: str) -> Suggestion | None:
        """What is left of the last suggestion, if all that was typed since is its beginning."""
        if self._shown is None:
            return None
        then_before, then_after, shown = self._shown
        n_typed = len(before) - len(then_before)
        along = 0 <= n_typed < len(shown.text) and after == then_after and before == then_before + shown.text[:n_typed]
        return Suggestion(shown.text[n_typed:], shown.confidence) if along else None


def _plain_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
