"""The panel of n-grams and mixture: counts by order, weights, and the result with one of the three switched off."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.distribution import interpolate
from tinycopilot.completion.ngram import DISCOUNT_ROW, DISCOUNTS
from tinycopilot.completion.predictor import KINDS
from tinycopilot.completion.suffix_array import ORDERS
from tinycopilot.explain.distributions import likeliest
from tinycopilot.explain.subject import Subject
from tinycopilot.explain.trace import TracedPrediction
from tinycopilot.page.arrays import significant
from tinycopilot.page.words import name_of

N_LIKELIEST: Final = 6
N_FOLLOWERS: Final = 3


def mixture(subject: Subject) -> dict[str, Any]:
    """One entry for each position; where the longest context before the cursor was seen."""
    trace, following = subject.trace, subject.next_characters
    pairs = zip(subject.predictions, following, strict=True)
    seen = [[one.document, one.line, one.text, one.column] for one in trace.seen]
    return {
        "positions": [_position(subject, traced, character) for traced, character in pairs],
        "discounts": DISCOUNTS,
        "seen": seen,
        "context": trace.context,
        "n_occurrences": trace.n_occurrences,
        "n_chars": trace.n_ngram_chars,
    }


def _position(subject: Subject, traced: TracedPrediction, following: str | None) -> dict[str, Any]:
    prediction, alphabet = traced.prediction, subject.trace.alphabet
    without = [subject.trace.mixture.mix(prediction, without=row) for row in range(3)]
    log_probs = [*prediction.rows, prediction.log_probs, *without]
    likely = int(prediction.log_probs[:-1].argmax())
    entry = likely if following is None else prediction.entry_of(following, alphabet)
    return {
        "weights": [significant(w) for w in subject.trace.mixture.weights(prediction)],
        "order": ORDERS[prediction.n_seen - 1] if prediction.n_seen else 0,
        "kind": KINDS[prediction.kind],
        "top": [
            [[name_of(one.character), significant(one.p)] for one in likeliest(row, alphabet, N_LIKELIEST)]
            for row in log_probs
        ],
        "p": [significant(math.exp(row[entry])) for row in log_probs],
        "workspace": _orders(subject, traced, traced.workspace, entry),
        "file": _orders(subject, traced, traced.file, entry),
    }


def _orders(subject: Subject, traced: TracedPrediction, counts: NDArray[np.int64], entry: int) -> list[list[Any]]:
    """Of each order seen: how often, followed by how many different characters, the most frequent, p(next) so far."""
    rows, alphabet = list[list[Any]](), subject.trace.alphabet
    possible = traced.prediction.log_probs > -math.inf
    p = np.empty(len(possible))
    for row, order in enumerate(ORDERS):
        n = int(counts[row].sum())
        if not n:
            break
        most = [int(symbol) for symbol in np.argsort(-counts[row], kind="stable")[:N_FOLLOWERS] if counts[row, symbol]]
        followers = [[name_of(alphabet.character_of(symbol)), int(counts[row, symbol])] for symbol in most]
        interpolate(counts[: row + 1], possible, DISCOUNT_ROW, p)
        rows.append([order, n, int((counts[row] > 0).sum()), followers, significant(float(p[entry]))])
    return rows
