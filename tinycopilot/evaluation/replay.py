"""Replay: type existing code character by character, as an ideal user would, and count the keystrokes saved.

Before each character, the engine may show one suggestion. The user accepts it with one key if all of it is correct;
otherwise, the user types one character. The engine sees only the text before the cursor. A second count is for a user
who also accepts suggestions word by word, with one key for each word.
"""

import re
import time
from array import array
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tinycopilot.completion.engine import Engine, Request, Why
from tinycopilot.completion.lexical import lexical_context
from tinycopilot.completion.request import Suggestion, common_prefix_len
from tinycopilot.completion.syntaxes import language_of
from tinycopilot.evaluation.excerpts import Excerpt
from tinycopilot.evaluation.score import CalibrationBin, Score, calibration, calibration_error
from tinycopilot.evaluation.workspace import in_workspaces

WORD: Final = re.compile(r"\s*(?:\w+|[^\w\s]+)")
"""The next word of a suggestion, as the editors' key for partial accepts defines it."""


@dataclass(frozen=True)
class ShownSuggestion:
    """A new suggestion, and the number of its correct characters."""

    name: str
    at: int
    """Offset of the cursor."""
    line: int
    """Line number, from 1."""
    before: str
    """The line up to the cursor."""
    context: str
    """`line start`, before the first word of a line; otherwise `code`, `comment` or `string`."""
    suggestion: Suggestion
    n_correct: int
    """Number of correct characters."""

    @property
    def accepted(self) -> bool:
        """Whether all of it was correct."""
        return self.n_correct == len(self.suggestion.text)


@dataclass(frozen=True)
class ReplayResult:
    """The result of replaying an excerpt."""

    excerpt: Excerpt
    score: Score
    shown: list[ShownSuggestion]
    """New suggestions, in order of offset."""
    bits: "dict[str, array[float]]"
    """-log2 p of each character of the excerpt, by predictor (`network`, `memory`, `mixed`)."""


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


def replay(engine: Engine, excerpt: Excerpt) -> ReplayResult:
    """Type `excerpt`; return score, suggestions and bits."""
    score, shown = Score(), list[ShownSuggestion]()
    bits: defaultdict[str, array[float]] = defaultdict(lambda: array("f"))
    text, expected, accepted_end, word_end = excerpt.text, "", 0, 0  # word_end: of those accepted by word
    for at in range(excerpt.first, excerpt.last):
        before, typed = text[:at], text[at]
        if is_indentation(text, at):
            expected = ""  # editors insert it, so neither it nor suggestions in it count
        elif at >= accepted_end:
            suggestion = _suggested(engine, Request(before, document=excerpt.name, why=Why.REPLAYED), score)
            offered = suggestion.text if suggestion else ""
            score.n_typed_through += expected != ""
            score.n_flickers += expected not in ("", offered)
            if suggestion and offered != expected:
                shown.append(_shown(excerpt, at, suggestion))
                score.n_shown += 1
                if at >= word_end and not shown[-1].accepted:
                    n_saved, word_end = saved_by_word(shown[-1], text)
                    score.n_keys_by_word -= n_saved
            score.n_keys += 1
            score.n_keys_by_word += 1
            n_accepted = len(offered) if offered and text.startswith(offered, at) else 0
            if n_accepted:
                score.accepted_chars.append(n_accepted)
                score.n_keys_by_word += max(0, min(word_end - at, n_accepted - 1))  # saved already, by word
                accepted_end, expected = at + n_accepted, ""
            else:
                expected = offered[1:] if offered.startswith(typed) else ""
            score.n_chars += max(1, sum(not is_indentation(text, i) for i in range(at, at + n_accepted)))
        cost = engine.observe(Request(before, document=excerpt.name, why=Why.REPLAYED), typed)
        score.count_bits(cost)
        for source, cost_bits in cost.items():
            bits[source].append(cost_bits)
    return ReplayResult(excerpt, score, shown, dict(bits))


def saved_by_word(shown: ShownSuggestion, text: str) -> tuple[int, int]:
    """Return the keys saved if the correct words of a suggestion are accepted one by one, and where these words end."""
    n_saved, at = 0, shown.at
    while (word := WORD.match(shown.suggestion.text, at - shown.at)) and word.end() <= shown.n_correct:
        end = shown.at + word.end()
        n_saved += max(0, sum(not is_indentation(text, i) for i in range(at, end)) - 1)
        at = end
    return n_saved, at


def is_indentation(text: str, at: int) -> bool:
    """Whether the character at `at` is part of the leading whitespace of its line."""
    return text[at] in " \t" and not text[text.rfind("\n", 0, at) + 1 : at].strip()


def _suggested(engine: Engine, request: Request, score: Score) -> Suggestion | None:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    suggestion = engine.complete(request).suggestion
    score.latencies_ms.append(1e3 * (time.perf_counter() - wall_s))
    score.cpu_s += time.process_time() - cpu_s
    return suggestion


def _shown(excerpt: Excerpt, at: int, suggestion: Suggestion) -> ShownSuggestion:
    text, offered = excerpt.text, suggestion.text
    n_correct = common_prefix_len(offered, text[at : at + len(offered)])
    line = text[text.rfind("\n", 0, at) + 1 : at]
    context = lexical_context(text[:at], language_of(excerpt.name)) if line.strip() else "line start"
    return ShownSuggestion(excerpt.name, at, text.count("\n", 0, at) + 1, line, context, suggestion, n_correct)
