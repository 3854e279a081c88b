"""Replays for tests, with an engine that returns given suggestions and costs in bits."""

from collections.abc import Callable, Mapping
from typing import cast

from tinycopilot.completion.engine import Engine, Request, Result, Silence
from tinycopilot.completion.request import Suggestion
from tinycopilot.evaluation.excerpts import Excerpt
from tinycopilot.evaluation.replay import ReplayResult, replay


class ScriptedEngine:
    """Suggests `script[text]` after `text`; the character at `offset` costs `bits(offset)` bits."""

    def __init__(
        self, script: Mapping[str, str], bits: Callable[[int], Mapping[str, float]], confidence: float
    ) -> None:
        self._script, self._bits, self._confidence = script, bits, confidence

    def complete(self, request: Request) -> Result:
        text = self._script.get(request.before)
        return Result((Suggestion(text, self._confidence),)) if text else Result(silence=Silence.UNSURE)

    def observe(self, request: Request, _character: str) -> dict[str, float]:
        return {"network": 1.0, "memory": 1.0, "mixed": 1.0, **self._bits(len(request.before))}


def a_replay(
    text: str,
    script: Mapping[str, str] | None = None,
    *,
    network: Mapping[int, float] | None = None,
    mixed: Mapping[int, float] | None = None,
    name: str = "/code/a.py",
    first: int = 0,
    last: int | None = None,
    confidence: float = 0.5,
) -> ReplayResult:
    """Return a replay with the given bits, by offset, or else 0.125; the n-gram model's are twice the mixture's."""

    def bits(at: int) -> dict[str, float]:
        of_network, of_mixture = ((given or {}).get(at, 0.125) for given in (network, mixed))
        return {"network": of_network, "memory": 2 * of_mixture, "mixed": of_mixture}

    engine = cast(Engine, ScriptedEngine(script or {}, bits, confidence))
    return replay(engine, Excerpt(name, text, first, len(text) if last is None else last))
