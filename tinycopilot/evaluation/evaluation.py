"""Evaluation: excerpts typed one after another, each while the rest of its workspace is known, and what came of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tinycopilot.completion.engine import Engine
from tinycopilot.evaluation.replay import Excerpt, Replayed, Shown, replay
from tinycopilot.evaluation.score import Bin, Score, calibration, calibration_error
from tinycopilot.evaluation.surroundings import in_workspaces


@dataclass(frozen=True)
class Evaluation:
    """All that was replayed."""

    replays: list[Replayed]

    @property
    def scores(self) -> dict[str, Score]:
        """What each file came to, by its name."""
        scores = dict[str, Score]()
        for replayed in self.replays:
            name = replayed.excerpt.name
            scores[name] = scores.get(name, Score()) + replayed.score
        return scores

    @property
    def total(self) -> Score:
        """All files together."""
        return sum(self.scores.values(), Score())

    @property
    def shown(self) -> list[Shown]:
        """All that was shown, in all files."""
        return [shown for replayed in self.replays for shown in replayed.shown]

    @property
    def calibration(self) -> list[Bin]:
        """How sure it was of what it showed, and how right."""
        return calibration([(shown.suggestion.confidence, shown.accepted) for shown in self.shown])

    def to_json(self) -> dict[str, Any]:
        """The measures of all files together."""
        error = calibration_error(self.calibration)
        return {"files": len(self.scores), **self.total.figures(), "calibration_error": error}


def evaluate(
    engine: Engine, excerpts: Sequence[Excerpt], suffixes: Sequence[str], say: Callable[[str], None]
) -> Evaluation:
    """Replay one after another, while the rest of its workspace is known, but for copies of what is replayed."""
    return Evaluation([replay(engine, excerpt) for excerpt in in_workspaces(engine.ngrams, excerpts, suffixes, say)])
