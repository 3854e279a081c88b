"""Replay: type existing code character by character, as an ideal user would, and count the keystrokes saved.

Before each character, the engine may show one suggestion. The user accepts it with one key if all of it is correct;
otherwise, the user types one character. The engine sees only the text before the cursor. A second count is for a user
who also accepts suggestions word by word, with one key for each word.
"""

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tinycopilot.completion.engine import Engine, Request, Why
from tinycopilot.completion.lexical import lexical_context
from tinycopilot.completion.request import Suggestion, common_prefix_len
from tinycopilot.completion.syntaxes import language_of
from tinycopilot.evaluation.excerpts import Excerpt, in_workspaces
from tinycopilot.evaluation.score import Score, ShownSuggestion

WORD: Final = re.compile(r"\s*(?:\w+|[^\w\s]+)")
"""The next word of a suggestion, as the editors' key for partial accepts defines it."""


@dataclass(frozen=True)
class ReplayResult:
    """The result of replaying an excerpt."""

    excerpt: Excerpt
    score: Score


def scores_by_file(replays: Iterable[ReplayResult]) -> dict[str, Score]:
    """Return the name of each file -> its score."""
    scores = dict[str, Score]()
    for replayed in replays:
        name = replayed.excerpt.name
        scores[name] = scores.get(name, Score()) + replayed.score
    return scores


def replay_all(
    engine: Engine, excerpts: Sequence[Excerpt], suffixes: Sequence[str], say: Callable[[str], None]
) -> list[ReplayResult]:
    """Replay each excerpt while the rest of its workspace, without near-duplicates of it, is indexed."""
    return [replay(engine, excerpt) for excerpt in in_workspaces(engine.ngrams, excerpts, suffixes, say)]


def replay(engine: Engine, excerpt: Excerpt) -> ReplayResult:
    """Type `excerpt`, and count."""
    score, text = Score(), excerpt.text
    expected, accepted_end, word_end = "", 0, 0  # word_end: of those accepted by word
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
                shown = _shown(excerpt, at, suggestion)
                score.shown.append(shown)
                if at >= word_end and not shown.accepted:
                    n_saved, word_end = saved_by_word(shown, text)
                    score.n_keys_by_word -= n_saved
            score.n_keys += 1
            score.n_keys_by_word += 1
            n_accepted = len(offered) if offered and text.startswith(offered, at) else 0
            if n_accepted:
                score.n_keys_by_word += max(0, min(word_end - at, n_accepted - 1))  # saved already, by word
                accepted_end, expected = at + n_accepted, ""
            else:
                expected = offered[1:] if offered.startswith(typed) else ""
            score.n_chars += max(1, sum(not is_indentation(text, i) for i in range(at, at + n_accepted)))
        score.bits.append(engine.observe(Request(before, document=excerpt.name, why=Why.REPLAYED), typed))
    return ReplayResult(excerpt, score)


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
