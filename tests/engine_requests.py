"""Shorthands for requests to an Engine in tests."""

from collections.abc import Callable

from tinycopilot.completion.decoding import never
from tinycopilot.completion.engine import Engine, Request, Result, Why
from tinycopilot.completion.request import Suggestion


def suggest(
    engine: Engine, before: str, after: str = "", document: str | None = "", cancelled: Callable[[], bool] = never
) -> Suggestion | None:
    """Return the suggestion; the engine does not learn from this request."""
    return engine.complete(Request(before, after, document, Why.REPLAYED), cancelled).suggestion


def type_at(engine: Engine, before: str, after: str = "", document: str | None = "") -> Result:
    """Send the request of an editor after a keystroke."""
    return engine.complete(Request(before, after, document))


def alternatives(engine: Engine, before: str, after: str = "", document: str | None = "") -> list[Suggestion]:
    """Return the alternatives at this position."""
    return list(engine.complete(Request(before, after, document, Why.INVOKED)).suggestions[1:])
