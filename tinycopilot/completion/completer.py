"""Completer: one suggestion for the text on both sides of a cursor. The server, the demo and the tests all ask it."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

import torch

from tinycopilot.completion.decode import Decoded, Readers, decode, never
from tinycopilot.completion.keys import Keys
from tinycopilot.completion.postprocess import has_room, postprocess
from tinycopilot.completion.truncation import CompleterSettings, Suggestion, is_worth_showing, truncate
from tinycopilot.completion.workspace import Thought, Workspace
from tinycopilot.model.gpt import TinyGPT, load_pair
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.places import ModelPaths

SPARE_FORKS: Final = 2
"""So many beginnings more than alternatives that are wanted are gone on with: some come to nothing, or to the same."""
LEAST_LIKELY: Final = 0.01
"""An alternative that begins less likely than this is nothing that anybody would want to see."""


class Place(NamedTuple):
    """A document, and the text on both sides of the cursor in it, with plain line ends."""

    document: str | None
    before: str
    after: str


class Shown(NamedTuple):
    """What was suggested at a place, as long as nothing that it may come from has left the memory."""

    place: Place
    suggestion: Suggestion
    n_left: int


class FoundAhead(NamedTuple):
    """What is to be suggested at a place, as long as the memory is of this edition, and what was thought of there."""

    place: Place | None = None
    suggestion: Suggestion | None = None
    edition: int = 0
    thought: Thought = Thought({}, {})


class Completer:
    """Keeps what the network has read from one keystroke to the next. For one thread at a time.

    A suggestion depends on the text, the cursor, and what the workspace holds and has taught, and not on what was asked
    before, with one exception that people want: who types along a suggestion is shown the rest of it, and not another.
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
        self._readers = Readers(model, tokenizer)
        self._keys = Keys()
        self._shown: Shown | None = None  # last
        self._current: tuple[Place, Suggestion] | None = None  # what is left of it here
        self._found_ahead = FoundAhead()

    @classmethod
    def load(cls, paths: ModelPaths, settings: CompleterSettings, max_workspace_chars: float = math.inf) -> "Completer":
        """From the two files; call it in the thread that will ask. Raises ModelFileError."""
        torch.set_num_threads(settings.threads)
        return cls(*load_pair(paths.model, paths.tokenizer), settings, max_workspace_chars)

    def configure(self, settings: CompleterSettings) -> None:
        """Suggest by these settings from now on; call it in the thread that asks."""
        torch.set_num_threads(settings.threads)
        if settings != self.settings:
            self.settings, self._shown, self._current, self._found_ahead = settings, None, None, FoundAhead()

    def forget(self) -> None:
        """Nothing is known any more but the network, as in the beginning."""
        self.workspace = Workspace(self.tokenizer.alphabet, max_chars=self.workspace.memory.max_chars)
        self._readers.forget()
        self._keys, self._shown, self._current, self._found_ahead = Keys(), None, None, FoundAhead()

    def take_over(self, other: "Completer") -> bool:
        """Know from now on what `other` knows, which is then given up; False if its network reads other characters.

        The memory, and how far it is to be trusted, have to do with the characters alone. Who types along a suggestion
        of the other one is shown the rest of it.
        """
        if self.tokenizer.alphabet != other.tokenizer.alphabet:
            return False
        self.workspace, self._keys = other.workspace, other._keys
        self._shown, self._current = other._shown, other._current
        return True

    def warm_up(self) -> None:
        """Read a little: the first time is slow, and here nobody waits for it."""
        text = "import os\n"
        for before in (text * 99, text * 99 + "i"):  # so long that the second look is an edit
            self.workspace.look_at("", before, text)
        self.workspace.likeliest(self._readers.of("").read(text), text)
        self.workspace.memory.drop("")

    def hold(self, document: str, text: str) -> None:
        """Another document of the workspace is this now."""
        self.workspace.memory.hold(document, _plain_line_ends(text))

    def prepare(self, document: str, text: str) -> Callable[[], None]:
        """What takes time before a long document can be looked at. For any thread; call the answer in this one."""
        text = _plain_line_ends(text)
        memory = self.workspace.memory  # there may be another by then, with other numbers
        page = memory.prepare(document, text)
        return lambda: memory.offer(document, text, page)

    def learn_from_key(self, before: str, after: str, document: str) -> bool:
        """If one key led here from the last text that was shown to this, learn from it; True if it did.

        Keys that Keys does not count teach nothing, nor does one that may have been a suggestion's last character
        accepted. Suggestions between two calls depend on nothing that changes.
        """
        before, after = _plain_line_ends(before), _plain_line_ends(after)
        character = self._keys.typed(document, before, after)
        rest = self._rest_of_shown(Place(document, before[:-1], after)) if character else None
        if not character or (rest is not None and rest.text == character):
            return False
        return self.workspace.learn(document, before[:-1], after, character)

    def suggest(
        self, before: str, after: str = "", cancelled: Callable[[], bool] = never, document: str | None = ""
    ) -> Suggestion | None:
        """What to insert between `before` and `after`, or None to stay silent. Raises Cancelled when `cancelled()`.

        `document` names the text, which the workspace's memory then holds (as soon as more is to be found than the rest
        of the last answer); None: it does not. Line ends may be of any kind; the suggestion's are `\\n`.
        """
        self._current = None
        if not has_room(after):
            return None
        place = Place(document, _plain_line_ends(before), _plain_line_ends(after))
        suggestion = self._rest_of_shown(place)
        if suggestion is None:
            if self._is_ahead(place):
                self._look(place)
                suggestion, self.workspace.thought = self._found_ahead.suggestion, self._found_ahead.thought
            else:
                suggestion = self._find(place, cancelled)
            self._shown = Shown(place, suggestion, self.workspace.memory.n_left) if suggestion else None
        self._current = (place, suggestion) if suggestion else None
        return suggestion

    def suggest_as_if(
        self, place: Place, as_if: tuple[str, str], cancelled: Callable[[], bool] = never
    ) -> Suggestion | None:
        """What to suggest at `place` if the texts on both sides of the cursor were `as_if` there. Raises Cancelled.

        That may never come true: it is neither held nor learned from, and what is suggested at `place` stays. (A menu's
        entry is selected, and would stand there if it were accepted.)
        """
        self._current = None
        then = Place(place.document, *map(_plain_line_ends, as_if))
        if not has_room(then.after):
            return None
        here = Place(place.document, _plain_line_ends(place.before), _plain_line_ends(place.after))
        if not self.workspace.is_at(*here):
            self._look(here)
        return self._taken(self._decoded(then, cancelled), then)

    def _look(self, place: Place) -> None:
        if place.document is None:
            self.workspace.look_away()
        else:
            self.workspace.look_at(place.document, place.before, place.after)

    def _find(self, place: Place, cancelled: Callable[[], bool]) -> Suggestion | None:
        self._look(place)
        return self._taken(self._decoded(place, cancelled), place)

    def _decoded(self, place: Place, cancelled: Callable[[], bool]) -> Iterator[Decoded]:
        reader = self._readers.of(place.document)
        return decode(reader, self.workspace.likeliest, place.before, cancelled, self.workspace.draft)

    def _taken(self, decoded: Iterable[Decoded], place: Place) -> Suggestion | None:
        """What is shown of that."""
        suggestion = truncate(decoded, self.settings, place.before)
        if suggestion is None:
            return None
        text = postprocess(suggestion.text, place.before, place.after)
        return Suggestion(text, suggestion.confidence) if is_worth_showing(text) else None

    def alternatives(self, n: int, cancelled: Callable[[], bool] = never) -> list[Suggestion]:
        """Up to `n` more suggestions in the place of the last one, each different. Raises Cancelled.

        Each begins as it does, and parts from it with what was second there; the likeliest of such beginnings are gone
        on with.
        """
        if self._current is None:
            return []
        place, shown = self._current
        if not self.workspace.is_at(*place):
            self._find(place, cancelled)
        found = list[Suggestion]()
        for fork in self._forks(place, shown)[: n + SPARE_FORKS]:
            after_fork = self._decoded(place._replace(before=place.before + fork.text), cancelled)
            suggestion = self._taken(itertools.chain(((character, 0.0) for character in fork.text), after_fork), place)
            if suggestion and not any(other.text.startswith(suggestion.text) for other in (shown, *found)):
                found.append(Suggestion(suggestion.text, suggestion.confidence * fork.confidence))
            if len(found) == n:
                break
        return found

    def _forks(self, place: Place, shown: Suggestion) -> list[Suggestion]:
        """Beginnings that part from a suggestion in their last character, the likeliest first."""
        forks, log_p = list[Suggestion](), 0.0
        for i in range(len(shown.text)):
            if (likeliest := self.workspace.two_likeliest(place.before + shown.text[:i])) is None:
                break
            (_, log_p_best), (second, log_p_second) = likeliest
            if (p := math.exp(log_p + log_p_second)) >= LEAST_LIKELY:
                forks.append(Suggestion(shown.text[:i] + second, p))
            log_p += log_p_best
        return sorted(forks, key=lambda fork: -fork.confidence)

    def work_ahead(self, cancelled: Callable[[], bool] = never) -> None:
        """Find what is to be suggested when the last suggestion is accepted, while nobody waits. Raises Cancelled.

        It is kept as long as nothing else changes in the workspace. (Whoever accepts a word is shown the rest.)
        """
        if self._current is None:
            return
        place, shown = self._current
        then = place._replace(before=place.before + shown.text)
        if not self._is_ahead(then):
            with self.workspace.looking_elsewhere():
                suggestion, workspace = self._find(then, cancelled), self.workspace
                self._found_ahead = FoundAhead(then, suggestion, workspace.memory.edition, workspace.thought)

    def _is_ahead(self, place: Place) -> bool:
        """Whether what is to be suggested there was found ahead, and nothing else has changed since."""
        ahead = self._found_ahead
        return (ahead.place, ahead.edition) == (place, self.workspace.memory.edition)

    def typed(self, character: str, before: str, after: str = "", document: str = "") -> dict[str, float]:
        """`character` was typed after `before`: learn from it, and say what it cost, -log2 p, by whose prediction."""
        before, after = _plain_line_ends(before), _plain_line_ends(after)
        self.workspace.look_at(document, before, after)
        return self.workspace.bits_of(self._readers.of(document).read(before), before, character)

    def _rest_of_shown(self, place: Place) -> Suggestion | None:
        """What is left of the last suggestion, if all that was typed since is its beginning."""
        if self._shown is None or self._shown.n_left != self.workspace.memory.n_left:
            return None
        then, shown, _ = self._shown
        n_typed = len(place.before) - len(then.before)
        same_place = 0 <= n_typed < len(shown.text) and (place.document, place.after) == (then.document, then.after)
        along = same_place and place.before == then.before + shown.text[:n_typed]
        return Suggestion(shown.text[n_typed:], shown.confidence) if along else None


def _plain_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
