"""Replay several excerpts, each with the rest of its workspace indexed, and aggregate the results."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tinycopilot.completion.engine import Engine
from tinycopilot.evaluation.replay import Excerpt, ReplayResult, ShownSuggestion, replay
from tinycopilot.evaluation.score import CalibrationBin, Score, calibration, calibration_error
from tinycopilot.evaluation.workspace import in_workspaces


@dataclass(frozen=True)
class EvaluationResult:
    """The results of all replays."""

    replays: list[ReplayResult]

    @property
    def scores(self) -> dict[str, Score]:
        """Name of each file -> its score."""
        scores = dict[str, Score]()
        for replayed in self.replays:
            name = replayed.excerpt.name
            scores[name] = scores.get(name, Score()) + replayed.score
        return scores

    @property
    def total(self) -> Score:
        """The score of all files together."""
        return sum(self.scores.values(), Score())

    @property
    def shown(self) -> list[ShownSuggestion]:
        """All suggestions that were shown."""
        return [shown for replayed in self.replays for shown in replayed.shown]

    @property
    def calibration(self) -> list[CalibrationBin]:
        """The calibration: confidence against accuracy of all suggestions."""
        return calibration([(shown.suggestion.confidence, shown.accepted) for shown in self.shown])

    @property
    def calibration_errors(self) -> dict[str, float | None]:
        """Calibration error by context (see ShownSuggestion)."""
        pairs = dict[str, list[tuple[float, bool]]]()
        for shown in self.shown:
            pairs.setdefault(shown.context, []).append((shown.suggestion.confidence, shown.accepted))
        return {context: calibration_error(calibration(pairs[context])) for context in sorted(pairs)}

    def to_json(self) -> dict[str, Any]:
        """Return the metrics over all files."""
        error = calibration_error(self.calibration)
        return {
            "files": len(self.scores), **self.total.figures(),
            "calibration_error": error, "calibration_error_by_context": self.calibration_errors,
        }  # fmt: skip


def replay_all(
    engine: Engine, excerpts: Sequence[Excerpt], suffixes: Sequence[str], say: Callable[[str], None]
) -> EvaluationResult:
    """Replay each excerpt while the rest of its workspace, without near-duplicates of it, is indexed."""
    return EvaluationResult(
        [replay(engine, excerpt) for excerpt in in_workspaces(engine.ngrams, excerpts, suffixes, say)]
    )
