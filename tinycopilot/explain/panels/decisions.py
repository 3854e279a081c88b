"""The decision panel: the cuts at each eagerness, and what is shown."""

from typing import Any

from tinycopilot.explain.decision import in_words
from tinycopilot.explain.subject import Subject
from tinycopilot.explain.trace import Decision
from tinycopilot.page.arrays import significant
from tinycopilot.page.words import name_of, visible


def decisions(subject: Subject) -> dict[str, Any]:
    """What was decoded, and for each eagerness the cuts with their gains."""
    trace = subject.trace
    return {
        "decoded": [[name_of(character), significant(log_p)] for character, log_p in trace.decoded],
        "text": visible("".join(character for character, _ in trace.decoded)),
        "actual": significant(trace.settings.eagerness),
        "by_eagerness": [
            {"eagerness": eagerness, **_decision(subject, decision)}
            for eagerness, decision in trace.by_eagerness.items()
        ],
    }


def _decision(subject: Subject, decision: Decision) -> dict[str, Any]:
    shown = decision.suggestion
    return {
        "cuts": [
            [
                len(cut.prefix.text),
                *map(significant, (cut.prefix.confidence, cut.prefix.saved_keys)),
                *map(significant, (cut.prefix.reading_keys, cut.prefix.waiting_keys, cut.prefix.gain)),
                cut.obstacle.value if cut.obstacle else "",
            ]
            for cut in decision.cuts
        ],
        "best": len(decision.truncated.text) if decision.truncated else 0,
        "shown": visible(shown.text) if shown else "",
        "n_shown": len(shown.text) if shown else 0,
        "least": significant(decision.settings.least_likely(1)),
        "why": in_words(subject.trace, decision),
    }
