"""Trace: a record of how the engine answers one request, made by a Tracer."""

import dataclasses
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.decoding import Decoded, DecodingStep, decode_steps, never
from tinycopilot.completion.engine import Engine
from tinycopilot.completion.ngram import context_of
from tinycopilot.completion.predictor import Continuation, Place, Prediction, PredictionCache
from tinycopilot.completion.request import CompleterSettings, Request, Suggestion
from tinycopilot.completion.segments import Alphabet
from tinycopilot.completion.suffix_array import ORDERS
from tinycopilot.completion.truncation import (
    Obstacle,
    Prefix,
    Prefixes,
    Stop,
    infill_obstacle,
    is_at_line_end,
    truncate,
)
from tinycopilot.model.tokenizer import DOCUMENT_START

T = TypeVar("T")

EAGERNESS: Final = tuple(i / 20 for i in range(21))
"""Values of the `eagerness` setting for which a Trace has a decision."""

MAX_CHARS: Final = 200
"""Number of characters before the cursor that are explained. The model reads more."""

MAX_SEEN: Final = 20
"""Maximum number of occurrences of the longest context in a Trace."""


class TracedPrediction(NamedTuple):
    """The prediction of one character, and its inputs."""

    prediction: Prediction
    workspace: NDArray[np.int64]
    """How often each symbol followed the context in the workspace, (n_orders, A + 1), from BREAK on."""
    file: NDArray[np.int64]
    """The same in the current file, (n_orders, A + 1)."""


class Seen(NamedTuple):
    """A line of a document in which a context was seen."""

    document: str
    line: int
    """Line number, from 1."""
    before: str
    """The line up to the end of the context."""
    after: str
    """The rest of it, beginning with the character that follows the context."""

    @classmethod
    def at(cls, document: str, text: str, offset: int) -> "Seen":
        """Return the line of `text` that contains `offset`."""
        start = text.rfind("\n", 0, offset) + 1
        end = text.find("\n", offset)
        n = text.count("\n", 0, offset) + 1
        return cls(document, n, text[start:offset], text[offset : end if end >= 0 else None])


class Cut(NamedTuple):
    """A prefix of the decoded text, where the suggestion could end."""

    prefix: Prefix
    obstacle: Obstacle | None
    """Why it may not end there."""


@dataclass(frozen=True)
class Decision:
    """Where the decoded text is cut, under given settings."""

    settings: CompleterSettings
    cuts: list[Cut]
    stop: Stop | None
    """Why there is no longer cut; None in the middle of a line."""
    truncated: Suggestion | None
    """The best cut, before post-processing."""
    suggestion: Suggestion | None
    """The suggestion that is shown; None if nothing is."""


@dataclass(frozen=True)
class Trace:
    """How a request was answered."""

    engine: Engine
    """The engine that answered: its network, settings and mixture."""
    place: Place
    """The text on both sides of the cursor, with secrets masked."""
    typed: list[TracedPrediction]
    """Predictions of the last characters before the cursor."""
    steps: list[DecodingStep]
    decoded: list[Decoded]
    """Decoded characters, as many as the highest eagerness needs."""
    ahead: list[TracedPrediction]
    """Predictions of the decoded characters."""
    by_eagerness: "dict[float, Decision]"
    """Eagerness -> decision, for each of EAGERNESS and the engine's own."""
    context: str
    """The longest context before the cursor that was seen in the workspace; empty if there is none."""
    n_occurrences: int
    """Number of its occurrences."""
    seen: "list[Seen]"
    """Its occurrences, up to MAX_SEEN."""

    @property
    def alphabet(self) -> Alphabet:
        """The characters of a prediction's entries: entry i is symbol i + 1."""
        return self.engine.predictor.alphabet

    @property
    def text(self) -> str:
        """The N explained characters: those of `typed`, and the one before them."""
        return (DOCUMENT_START + self.place.before)[-len(self.typed) - 1 :]

    @property
    def predictions(self) -> list[TracedPrediction]:
        """(N,): prediction of the character after each; the last one is at the cursor."""
        return [*self.typed, self.ahead[0]]

    @property
    def decision(self) -> Decision:
        """The decision under the engine's own settings."""
        return self.by_eagerness[self.engine.settings.eagerness]

    @property
    def suggestion(self) -> Suggestion | None:
        """The suggestion that is shown; None if nothing is."""
        return self.decision.suggestion


def recorded(known: list[T], source: Iterable[T]) -> Iterator[T]:
    """Yield `known`, then the rest of `source`, which is appended to `known`."""
    yield from tuple(known)
    for one in source:
        known.append(one)
        yield one


class Tracer(Engine):
    """An engine that records how it answers one request."""

    def trace(self, request: Request, n_typed: int) -> Trace:
        """Do what the function `trace` does, but change this engine."""
        place, typed = self._place(request, request.before, request.after), list[TracedPrediction]()
        for n in range(max(0, len(place.before) - n_typed), len(place.before)):
            then = place._replace(before=place.before[:n], after="")
            predictions, logits = self._new_predictions(then), self._state.reader.read(then.before)[0]
            typed.append(self._traced(then, self.predictor.predict(predictions, logits, then.before)))
        predictions = self._new_predictions(place)
        continuation = Continuation(self.predictor, predictions, place.before)
        steps, decoded = list[DecodingStep](), list[Decoded]()
        decisions, settings = dict[float, Decision](), self.settings
        taken = recorded(steps, decode_steps(self._state.reader, continuation, place.before))
        source = (one for step in taken for one in step.accepted)
        next(recorded(decoded, source))  # the distribution at the cursor, even if nothing may be shown
        for eagerness in sorted({*EAGERNESS, settings.eagerness}, reverse=True):  # the highest reaches furthest
            self.configure(dataclasses.replace(settings, eagerness=eagerness))
            decisions[eagerness] = self._decision(recorded(decoded, source), predictions, place)
        ahead = list[TracedPrediction]()
        self.configure(settings)
        for i in range(len(decoded)):
            then = place._replace(before=place.before + "".join(character for character, _ in decoded[:i]))
            ahead.append(self._traced(then, predictions.at(then.before)))
        seen = self._seen(place, ahead[0].prediction)
        return Trace(self, place, typed, steps, decoded, ahead, dict(sorted(decisions.items())), **seen)

    def _decision(self, decoded: Iterable[Decoded], predictions: PredictionCache, place: Place) -> Decision:
        known = list[Decoded]()
        settings, where = self.settings, (place.before, place.after, place.language)
        if not is_at_line_end(place.after):
            found = self._insertions(predictions, recorded(known, decoded), place, never)
            cuts = [Cut(prefix, infill_obstacle(prefix, settings, *where)) for prefix in found]
            suggestion = self._infill(found, place)
            return Decision(settings, cuts, None, suggestion, suggestion)
        suggestion = self._best_of(recorded(known, decoded), place)
        prefixes = Prefixes(known, settings, *where)
        cuts = [Cut(prefix, prefixes.obstacle()) for prefix in prefixes]
        return Decision(settings, cuts, prefixes.stop, truncate(known, settings, *where), suggestion)

    def _traced(self, place: Place, prediction: Prediction) -> TracedPrediction:
        """`place.before`, except for decoded characters, must be indexed."""
        context, n_symbols = context_of(self.predictor.alphabet, place.before), len(prediction.log_probs)
        workspace = self.ngrams.counts(context, n_symbols)
        has_own = place.document is not None
        file = self.ngrams.counts(context, n_symbols, place.document) if has_own else np.zeros_like(workspace)
        return TracedPrediction(prediction, workspace, file)

    def _seen(self, place: Place, prediction: Prediction) -> dict[str, Any]:
        """The longest known context before the cursor and its occurrences, those in the current document first."""
        if not prediction.n_seen:
            return {"context": "", "n_occurrences": 0, "seen": []}
        symbols, order = context_of(self.predictor.alphabet, place.before), ORDERS[prediction.n_seen - 1]
        found = self.ngrams.occurrences(symbols, order)
        found.sort(key=lambda one: (one.document != place.document, one.document, -one.offset))
        texts = {one.document: self.ngrams.text(one.document) or "" for one in found[:MAX_SEEN]}
        seen = [Seen.at(one.document, texts[one.document], one.offset) for one in found[:MAX_SEEN]]
        context = (DOCUMENT_START + place.before)[-order:]
        return {"context": context, "n_occurrences": len(found), "seen": seen}


def trace(engine: Engine, request: Request, n_typed: int = 0) -> Trace:
    """Return how `engine` answers a new request, step by step. The engine is not changed.

    Also predicts each of the last `n_typed` characters before the cursor from what precedes it, as if they were
    typed at the end of the document.
    """
    tracer = Tracer(engine.network, engine.tokenizer, engine.settings, predictor=engine.predictor.copy())
    return tracer.trace(request, n_typed)


def likeliest(log_probs: NDArray[np.float64], alphabet: Alphabet, n: int) -> list[tuple[str, float]]:
    """Return the `n` most probable entries of log p, (A + 1,): characters with p; "" stands for all other ones."""
    order, last = np.argsort(-log_probs, kind="stable")[:n].tolist(), len(log_probs) - 1
    return [(alphabet.character_of(i + 1) if i < last else "", math.exp(log_probs[i])) for i in order]
