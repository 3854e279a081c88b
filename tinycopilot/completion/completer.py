"""Completer: one suggestion for the text on both sides of a cursor. The server, the demo and the tests all ask it."""

import math
from collections.abc import Callable

import torch

from tinycopilot.completion.decode import Reader, decode, never
from tinycopilot.completion.keys import Keys
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

    def __init__(
        self,
        model: TinyGPT,
        tokenizer: SimpleTokenizer,
        settings: CompleterSettings | None = None,
        max_workspace_chars: float = math.inf,
    ) -> None:
        self.settings = settings or CompleterSettings()
        self.tokenizer = tokenizer
        self.workspace = Workspace(tokenizer.alphabet, max_chars=max_workspace_chars)
        self._reader = Reader(model, tokenizer)
        self._keys = Keys()
        # document, before, after, what was suggested there
        self._shown: tuple[str | None, str, str, Suggestion] | None = None

    @classmethod
    def load(cls, paths: ModelPaths, settings: CompleterSettings, max_workspace_chars: float = math.inf) -> "Completer":
        """From the two files; call it in the thread that will ask. Raises ModelFileError."""
        torch.set_num_threads(settings.threads)
        return cls(*load_pair(paths.model, paths.tokenizer), settings, max_workspace_chars)

    def warm_up(self) -> None:
        """Read a little: the first time is slow, and here nobody waits for it."""
        text = "import os\n"
        for before in (text * 99, text * 99 + "i"):  # so long that the second look is an edit
            self.workspace.look_at("", before, text)
        self.workspace.likeliest(self._reader.read(text), text)
        self.workspace.memory.drop("")

    def hold(self, document: str, text: str) -> None:
        """Another document of the workspace is this now."""
        self.workspace.memory.hold(document, _plain_line_ends(text))

    def prepare(self, document: str, text: str) -> Callable[[], None]:
        """What takes time before a long document can be looked at. For any thread; call the answer in this one."""
        text = _plain_line_ends(text)
        page = self.workspace.memory.prepare(document, text)
        return lambda: self.workspace.memory.offer(document, text, page)

    def learn_from_key(self, before: str, after: str, document: str) -> bool:
        """If one key led here from the last text that was shown to this, learn from it; True if it did.

        Keys that Keys does not count teach nothing, nor does one that may have been a suggestion's last character
        accepted. Suggestions between two calls depend on nothing that changes.
        """
        before, after = _plain_line_ends(before), _plain_line_ends(after)
        character = self._keys.typed(document, before, after)
        rest = self._rest_of_shown(before[:-1], after, document) if character else None
        if not character or (rest is not None and rest.text == character):
            return False
        return self.workspace.learn(document, before[:-1], after, character)

    def suggest(
        self, before: str, after: str = "", cancelled: Callable[[], bool] = never, document: str | None = ""
    ) -> Suggestion | None:
        """What to insert between `before` and `after`, or None to stay silent. Raises Cancelled when `cancelled()`.

        `document` names the text, which the workspace's memory holds from now on as it is here; None: it does not. Line
        ends may be of any kind in `before` and `after`; the suggestion's are `\\n`.
        """
        if not has_room(after):
            return None
        before, after = _plain_line_ends(before), _plain_line_ends(after)
        if rest := self._rest_of_shown(before, after, document):
            return rest
        if document is None:
            self.workspace.look_away()
        else:
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

    def _rest_of_shown(self, before: str, after: str, document: str | None) -> Suggestion | None:
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
