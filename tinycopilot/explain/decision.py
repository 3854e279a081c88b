"""Why a suggestion ends where it does, or why there is none, in one or two sentences."""

from tinycopilot.completion.trace import Decision, Trace
from tinycopilot.explain.words import quoted
from tinycopilot.masking import MASK


def in_words(trace: Trace, decision: Decision) -> str:
    """What is shown at the cursor by one decision of a trace, and why."""
    if not trace.has_room:
        return "Nothing is shown: text follows the cursor on its line."
    if trace.place.before.endswith(MASK):
        return "Nothing is shown: the text before the cursor ends with a masked secret."
    if decision.truncated is None:
        return _no_cut(decision)
    if decision.suggestion is None:
        return (
            f"Nothing is shown: the best cut is {quoted(decision.truncated.text)}, but post-processing removes it. "
            "It would repeat the next line, break a string or bracket, or show a secret."
        )
    shown, best = decision.suggestion, decision.truncated
    why = f"{quoted(best.text)} has the highest expected gain of all cuts, {best.gain:.2f} keys"
    if shown.text != best.text:
        why += "; post-processing shortens it, so that it repeats nothing and breaks no string or bracket"
    return f"{quoted(shown.text)} is shown, at a confidence of {shown.confidence:.0%}: {why}. {_stop(decision)}"


def _no_cut(decision: Decision) -> str:
    allowed = [cut.prefix for cut in decision.cuts if cut.obstacle is None]
    if not allowed:
        return f"Nothing is shown: there is no place where a suggestion may end. {_stop(decision)}"
    best = max(allowed, key=lambda prefix: prefix.gain)
    return (
        f"Nothing is shown: no cut is worth reading. The best one, {quoted(best.text)}, has an expected gain of "
        f"{best.gain:.2f} keys. {_stop(decision)}"
    )


def _stop(decision: Decision) -> str:
    return f"There is no longer cut: {decision.stop.value}."
