"""Request and Result: what goes into the engine, and what comes out. Imports nothing heavy."""

import dataclasses
from dataclasses import dataclass
from enum import Enum

from tinycopilot.completion.truncation import Suggestion


def plain_line_ends(text: str) -> str:
    """`text` with \\n for every line end."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


class Why(Enum):
    """Why a completion is requested."""

    TYPED = "typed"
    """The text may have changed by one keystroke, which is learned from."""
    INVOKED = "invoked"
    """The user asks to see alternatives, too. Nothing is learned."""
    AHEAD = "ahead"
    """This may be requested soon, in the same document. The answer is kept; nothing is shown, held or learned."""
    REPLAYED = "replayed"
    """As TYPED, but nothing is learned: `Engine.observe` does that."""


@dataclass(frozen=True)
class Request:
    """What to insert between `before` and `after`? Line ends may be of any kind."""

    before: str
    after: str = ""
    document: str | None = ""
    """Its name: the text is held in the n-gram model from now on. None: it is not."""
    why: Why = Why.TYPED
    selected: tuple[str, str] | None = None
    """The texts on both sides of the cursor as they would be if the selected entry of a menu were accepted: that is
    what to complete. It may never come true, and so nothing of it is held, shown or learned."""
    language: str = ""
    """LSP's identifier of its language, such as "javascript"; "": by the document's name."""

    def after_accepting(self, suggestion: Suggestion) -> "Request":
        """The request that follows if `suggestion` is accepted, to be answered ahead."""
        before = plain_line_ends(self.before) + suggestion.text
        return dataclasses.replace(self, before=before, why=Why.AHEAD)


class Silence(Enum):
    """Why there is no suggestion."""

    UNSURE = "no suggestion is worth reading"
    CANCELLED = "the request was cancelled"


@dataclass(frozen=True)
class Result:
    """Suggestions, the best one first; or why there is none."""

    suggestions: tuple[Suggestion, ...] = ()
    silence: Silence | None = None
    has_learned: bool = False
    """Whether the keystroke that led to the request changed the weights of the mixture."""

    @property
    def suggestion(self) -> Suggestion | None:
        """The best one."""
        return self.suggestions[0] if self.suggestions else None
