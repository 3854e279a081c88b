"""Subject: the explained text, and everything computed for it that the panels show."""

from dataclasses import dataclass

from tinycopilot.completion.engine import Engine
from tinycopilot.completion.network import Network
from tinycopilot.completion.request import Request
from tinycopilot.explain.instrumented import Pass, read
from tinycopilot.explain.trace import Trace, TracedPrediction, trace
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer

MAX_CHARS = 200
"""Number of characters before the cursor that are explained. The model reads more."""


@dataclass(frozen=True)
class Subject:
    """N shown positions: the last characters before the cursor, and the one before them."""

    network: Network
    tokenizer: SimpleTokenizer
    trace: Trace
    text: str
    """(N,): the characters that were read."""
    predictions: list[TracedPrediction]
    """(N,): prediction of the character after each; the last one is at the cursor."""
    passed: Pass

    @property
    def next_characters(self) -> list[str | None]:
        """(N,): the character that follows each; None at the cursor."""
        return [*self.text[1:], None]


def subject(engine: Engine, request: Request, max_chars: int) -> Subject:
    """Return the explanation of the last `max_chars` characters before the cursor of `request`."""
    traced = trace(engine, request, max_chars)
    network, tokenizer = engine.network, engine.tokenizer
    whole = DOCUMENT_START + traced.place.before
    n = len(traced.typed) + 1
    start = min(network.config.context_start(len(whole)), len(whole) - n)
    passed = read(network, tokenizer.encode(whole[start:]), n)
    return Subject(network, tokenizer, traced, whole[-n:], [*traced.typed, traced.ahead[0]], passed)
