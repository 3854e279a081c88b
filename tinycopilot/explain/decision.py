"""The verdict of `explain` in words: why a suggestion ends where it does, or why there is none."""

import math

import numpy as np

from tinycopilot.completion.predictor import Prediction
from tinycopilot.completion.truncation import SUFFIX_CHARS, Obstacle, is_at_line_end
from tinycopilot.explain.trace import Cut, Decision, Trace
from tinycopilot.files.masking import MASK
from tinycopilot.page.words import name_of, quoted


def in_words(trace: Trace, decision: Decision) -> str:
    """Describe what a decision shows at the cursor, and why."""
    if trace.place.before.endswith(MASK):
        return "Nothing is shown: the text before the cursor ends with a masked secret."
    if not is_at_line_end(trace.place.after):
        return _in_line(trace, decision)
    if decision.truncated is None:
        return _no_cut(decision)
    if decision.suggestion is None:
        return (
            f"Nothing is shown: post-processing removes the best suggestion, {quoted(decision.truncated.text)}. "
            "It would repeat the next line, break a string or bracket, or show a secret."
        )
    shown, best = decision.suggestion, decision.truncated
    is_whole = shown.text == best.text
    why = (
        f"of all prefixes of the decoded text, {'it' if is_whole else quoted(best.text)} has the highest expected gain"
    )
    shortened = (
        "" if is_whole else " Post-processing shortens it, so that it repeats nothing and breaks no string or bracket."
    )
    return (
        f"{quoted(shown.text)} is shown, at a confidence of {shown.confidence:.0%}: {why}, {best.gain:.2f} keystrokes."
        f"{shortened} {_stop(decision)}"
    )


def _in_line(trace: Trace, decision: Decision) -> str:
    """Describe a decision in the middle of a line."""
    following = quoted(trace.place.after[:SUFFIX_CHARS])
    if decision.suggestion is not None:
        shown = decision.suggestion
        sure = f"the probability that exactly this text is missing before {following} is {shown.confidence:.0%}"
        return f"{quoted(shown.text)} is shown: {sure}."
    best = max(decision.cuts, key=lambda cut: cut.prefix.confidence)
    text, p = best.prefix.text, f"{best.prefix.confidence:.0%}"
    missing = f"{quoted(text)} is missing there ({p}), but {_why_not(best)}" if text else f"nothing is missing ({p})"
    is_other = best.prefix.confidence < 1 - sum(cut.prefix.confidence for cut in decision.cuts)
    verdict = "The text that the model expects does not fit" if is_other else f"Most likely, {missing}"
    return (
        f"Nothing is shown: on this line, {following} follows the cursor, and a suggestion must fit before it. "
        f"{verdict}."
    )


def _why_not(best: Cut) -> str:
    """Say why the most likely insertion is not shown."""
    reasons = {
        Obstacle.TOO_SHORT: "that is too short to be worth reading",
        Obstacle.NOT_MISSING: "that is not likely enough",
        Obstacle.UNSAFE: "that would leave a string or bracket open",
    }
    if best.obstacle is not None:
        return reasons[best.obstacle]
    return "that is not worth reading" if best.prefix.gain <= 0 else "that may be a secret"


def _no_cut(decision: Decision) -> str:
    allowed = [cut.prefix for cut in decision.cuts if cut.obstacle is None]
    if not allowed:
        return f"Nothing is shown: there is no position where a suggestion may end. {_stop(decision)}"
    best = max(allowed, key=lambda prefix: prefix.gain)
    return (
        f"Nothing is shown: no suggestion is worth reading. The best one, {quoted(best.text)}, has an expected gain of "
        f"{best.gain:.2f} keystrokes. {_stop(decision)}"
    )


def _stop(decision: Decision) -> str:
    return f"Decoding stopped because {decision.stop.value}." if decision.stop else ""


def completion_note(trace: Trace, prediction: Prediction) -> str:
    """Say which character has a higher probability than in the mixture, because it completes a word; "" if none."""
    log_probs = prediction.log_probs[:-1]
    [raised] = np.nonzero(log_probs > trace.engine.mixture.mix(prediction)[:-1] + 1e-9)
    if not len(raised):
        return ""
    character = name_of(trace.alphabet.character_of(int(raised[0]) + 1))
    return (
        f"All words in the workspace that begin like this one continue with {character}. Therefore its probability is "
        f"raised to {100 * math.exp(log_probs[raised[0]]):.0f} %."
    )
