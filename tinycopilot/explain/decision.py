"""Why a suggestion ends where it does, or why there is none, in one or two sentences."""

from tinycopilot.completion.trace import Trace
from tinycopilot.explain.words import quoted
from tinycopilot.masking import MASK


def decision(trace: Trace) -> str:
    """What is shown at the cursor and why."""
    if not trace.has_room:
        return "Nothing is shown: text follows the cursor on its line."
    if trace.place.before.endswith(MASK):
        return "Nothing is shown: the text before the cursor ends with a masked secret."
    if trace.truncated is None:
        return _no_cut(trace)
    if trace.suggestion is None:
        return (
            f"Nothing is shown: the best cut is {quoted(trace.truncated.text)}, but post-processing removes it. "
            "It would repeat the next line, break a string or bracket, or show a secret."
        )
    shown, best = trace.suggestion, trace.truncated
    why = f"{quoted(best.text)} has the highest expected gain of all cuts, {best.gain:.2f} keys"
    if shown.text != best.text:
        why += "; post-processing shortens it, so that it repeats nothing and breaks no string or bracket"
    return f"{quoted(shown.text)} is shown, at a confidence of {shown.confidence:.0%}: {why}. {_stop(trace)}"


def _no_cut(trace: Trace) -> str:
    allowed = [cut.prefix for cut in trace.cuts if cut.obstacle is None]
    if not allowed:
        return f"Nothing is shown: there is no prefix at which a suggestion may end. {_stop(trace)}"
    best = max(allowed, key=lambda prefix: prefix.gain)
    return (
        f"Nothing is shown: no cut is worth reading. The best one, {quoted(best.text)}, has an expected gain of "
        f"{best.gain:.2f} keys. {_stop(trace)}"
    )


def _stop(trace: Trace) -> str:
    return f"There is no longer cut: {trace.stop.value}."
