"""Request and Result: the engine's input and output. Imports nothing heavy."""

from dataclasses import dataclass
from enum import Enum

from tinycopilot.completion.truncation import Suggestion


def plain_line_ends(text: str) -> str:
    """`text` with \\n for every line end."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


class Why(Enum):
    """Why a completion is requested."""

    TYPED = "typed"
    """After a possible keystroke, from which the mixture learns."""
    INVOKED = "invoked"
    """Explicit request, which includes alternatives. Nothing is learned."""
    REPLAYED = "replayed"
    """Like TYPED, without learning, which `Engine.observe` does."""


@dataclass(frozen=True)
class Request:
    """A request for text to insert between `before` and `after`. Line ends may be of any kind."""

    before: str
    after: str = ""
    document: str | None = ""
    """Name under which the text is indexed; None: not indexed."""
    why: Why = Why.TYPED
    selected: tuple[str, str] | None = None
    """Text before and after the cursor as they would be after accepting the selected menu entry. They are completed
    instead; since the user may not accept the entry, they are not indexed, learned from or kept."""
    language: str = ""
    """LSP's language identifier, such as "javascript"; "": given by the document's name."""


class Silence(Enum):
    """Why there is no suggestion."""

    UNSURE = "no suggestion is worth reading"
    CANCELLED = "the request was cancelled"


@dataclass(frozen=True)
class Result:
    """Suggestions, the best first; or the reason for silence."""

    suggestions: tuple[Suggestion, ...] = ()
    silence: Silence | None = None
    has_learned: bool = False
    """Whether the keystroke that led to the request changed the weights of the mixture."""

    @property
    def suggestion(self) -> Suggestion | None:
        """The best suggestion; None if there is none."""
        return self.suggestions[0] if self.suggestions else None


@dataclass(frozen=True)
class ScoredCharacter:
    """A character of a continuation, and its probability."""

    character: str
    log_p: float
    """Natural logarithm of its probability, given what precedes it."""
    likeliest: tuple[tuple[str, float], ...] = ()
    """The most probable characters in its place, with their log p, the most probable first."""
