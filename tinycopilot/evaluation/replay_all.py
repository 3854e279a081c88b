"""Evaluation: excerpts typed one after another, each while the rest of its workspace is known, and what came of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tinycopilot.completion.engine import Engine
from tinycopilot.evaluation.excerpts import texts_in
from tinycopilot.evaluation.replay import Excerpt, ReplayResult, ShownSuggestion, replay
from tinycopilot.evaluation.score import CalibrationBin, Score, calibration, calibration_error
from tinycopilot.evaluation.workspace import MAX_CHARS, WorkspaceIndex
from tinycopilot.files import LeftOut


@dataclass(frozen=True)
class EvaluationResult:
    """All that was replayed."""

    replays: list[ReplayResult]

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
    def shown(self) -> list[ShownSuggestion]:
        """All that was shown, in all files."""
        return [shown for replayed in self.replays for shown in replayed.shown]

    @property
    def calibration(self) -> list[CalibrationBin]:
        """How sure it was of what it showed, and how right."""
        return calibration([(shown.suggestion.confidence, shown.accepted) for shown in self.shown])

    def to_json(self) -> dict[str, Any]:
        """The measures of all files together."""
        error = calibration_error(self.calibration)
        return {"files": len(self.scores), **self.total.figures(), "calibration_error": error}


def replay_all(
    engine: Engine, excerpts: Sequence[Excerpt], suffixes: Sequence[str], say: Callable[[str], None]
) -> EvaluationResult:
    """Replay one after another, while the rest of its workspace is known, but for copies of what is replayed."""
    replays = list[ReplayResult]()
    index, folder = WorkspaceIndex(engine.ngrams), None
    for number, excerpt in enumerate(excerpts, start=1):
        say(f"{number} of {len(excerpts)}: {excerpt.name}, {excerpt.last - excerpt.first:,} characters")
        if excerpt.workspace != folder:
            folder = excerpt.workspace
            n_without_room = index.load(texts_in(folder, suffixes, LeftOut()))
            if n_without_room:
                say(f"{folder}: {n_without_room:,} files are not indexed: the limit is {MAX_CHARS // 1_000_000} MB")
        with index.excluding_duplicates_of(excerpt):
            replays.append(replay(engine, excerpt))
    return EvaluationResult(replays)
