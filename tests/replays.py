"""Replays for tests, with an engine whose suggestions and bits are given."""

from collections.abc import Callable, Mapping
from typing import cast

from tinycopilot.completion.engine import Engine, Request, Result, Silence
from tinycopilot.completion.truncation import Suggestion
from tinycopilot.evaluation.replay import Excerpt, ReplayResult, replay


class Written:
    """Suggest `script[text]`; a character costs `bits(offset)` bits."""

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
    """A replay with the given bits at an offset, 0.125 elsewhere; the n-gram model's are twice the mixture's."""

    def bits(at: int) -> dict[str, float]:
        of_both = [(given or {}).get(at, 0.125) for given in (network, mixed)]
        return {"network": of_both[0], "memory": 2 * of_both[1], "mixed": of_both[1]}

    engine = cast(Engine, Written(script or {}, bits, confidence))
    return replay(engine, Excerpt(name, text, first, len(text) if last is None else last))
