"""Engine: takes a request for a completion and returns a result. The only public entry of completion/."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final, Self

import numpy as np

from tinycopilot.completion import compiled
from tinycopilot.completion.decoding import Cancelled, Decoded, Readers, decode, never
from tinycopilot.completion.infill import MIN_FIRST_LOG_P, SUFFIX_CHARS, infill, insertions, obstacle
from tinycopilot.completion.masker import adds_secret
from tinycopilot.completion.network import Floats, Network, load_pair
from tinycopilot.completion.ngram import NGramModel, context_of
from tinycopilot.completion.postprocess import is_at_line_end, postprocess
from tinycopilot.completion.predictor import Mixture, Place, Prediction, PredictionCache, Predictor
from tinycopilot.completion.request import Request, Result, ScoredCharacter, Silence, Why, plain_line_ends
from tinycopilot.completion.session import FoundAhead, SessionState, Shown
from tinycopilot.completion.suffix_array import ORDERS
from tinycopilot.completion.syntaxes import language_of
from tinycopilot.completion.trace import (
    EAGERNESS,
    MAX_SEEN,
    Cut,
    Decision,
    Recorder,
    Seen,
    Trace,
    TracedPrediction,
    recorded,
)
from tinycopilot.completion.truncation import (
    CompleterSettings,
    Prefix,
    Prefixes,
    Suggestion,
    is_worth_showing,
    truncate,
)
from tinycopilot.masking import MASK, mask
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer
from tinycopilot.paths import ModelPaths

__all__ = ["Engine", "Request", "Result", "ScoredCharacter", "Silence", "Why"]

N_ALTERNATIVES: Final = 2
"""Number of alternatives on request."""
SPARE_FORKS: Final = 2
"""Number of additional forks that are continued, since some give no suggestion or the same as another."""
MIN_FORK_P: Final = 0.01
"""Minimum probability of an alternative's first different character."""


class Engine:
    """Completes with a network and n-gram models of the workspace. For one thread at a time.

    A suggestion is a function of the text, the cursor, and the current n-gram model and mixture, with one exception:
    while the last suggestion is typed through, its rest stays.
    """

    def __init__(
        self,
        network: Network,
        tokenizer: SimpleTokenizer,
        settings: CompleterSettings | None = None,
        max_workspace_chars: float = math.inf,
        *,
        predictor: Predictor | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self._network = network
        self._settings = settings or CompleterSettings()
        self._predictor = predictor or Predictor(tokenizer.alphabet, max_workspace_chars)
        self._state = SessionState(Readers(network, tokenizer))

    @classmethod
    def load(cls, paths: ModelPaths, settings: CompleterSettings, max_workspace_chars: float = math.inf) -> Self:
        """Load an engine from the two files of a model. Raises ModelFileError."""
        return cls(*load_pair(paths.model, paths.tokenizer), settings, max_workspace_chars)

    @property
    def settings(self) -> CompleterSettings:
        """The user's settings."""
        return self._settings

    @property
    def network(self) -> Network:
        """What predicts besides the n-gram models."""
        return self._network

    @property
    def predictor(self) -> Predictor:
        """The predictor: n-gram model and mixture."""
        return self._predictor

    @property
    def ngrams(self) -> NGramModel:
        """The n-gram model of the workspace."""
        return self._predictor.ngrams

    @property
    def mixture(self) -> Mixture:
        """The mixture's weights, learned from keystrokes."""
        return self._predictor.mixture

    def configure(self, settings: CompleterSettings) -> None:
        """Use these settings from now on."""
        if settings != self._settings:
            self._settings, self._state.shown, self._state.ahead = settings, None, None

    def restore(self, mixture: Mixture) -> None:
        """Use the weights of an earlier session."""
        self._predictor.restore(mixture)

    def forget(self) -> None:
        """Forget everything except the network and the settings."""
        self._predictor = Predictor(self.tokenizer.alphabet, self.ngrams.max_chars)
        self._state = SessionState(Readers(self._network, self.tokenizer))

    def copy(self) -> "Engine":
        """An engine that knows the same and has answered nothing yet: its use doesn't change this one."""
        return Engine(self._network, self.tokenizer, self._settings, predictor=self._predictor.copy())

    def continued_by(self, other: "Engine") -> "Engine | None":
        """An engine with the network and settings of `other` and the state of this one, which replaces both.

        None if the alphabets differ. While the last suggestion is typed through, its rest stays.
        """
        if self.tokenizer.alphabet != other.tokenizer.alphabet:
            return None
        engine = Engine(other._network, other.tokenizer, other._settings, predictor=self._predictor)
        engine._state = dataclasses.replace(self._state, readers=engine._state.readers, predictions=None, ahead=None)
        return engine

    @property
    def is_compiled(self) -> bool:
        """Whether compiled code for this network is cached, so that `warm_up` is fast."""
        return compiled.is_compiled(self._network.variant)

    def warm_up(self) -> None:
        """Compile all functions, or load them from the cache. Does not change any result."""
        engine, text = Engine(self._network, self.tokenizer), "import os\n"
        for before in (text * 99, text * 99 + "i"):  # long enough that the second is an edit of the first
            engine.complete(Request(before, "\n" + text))
        compiled.mark_compiled(self._network.variant)

    def hold(self, document: str, text: str) -> None:
        """Index another document of the workspace with this text."""
        self.ngrams.hold(document, mask(plain_line_ends(text)))

    def prepare(self, document: str, text: str) -> Callable[[], None]:
        """Sort a long document before its first request. For any thread; call the result in the engine's thread."""
        text, ngrams = mask(plain_line_ends(text)), self.ngrams  # it may have been replaced by then, with other symbols
        segment = ngrams.prepare(document, text)
        return lambda: ngrams.offer(document, text, segment)

    def complete(self, request: Request, cancelled: Callable[[], bool] = never) -> Result:
        """Answer a request; `cancelled` is checked before each forward pass."""
        place = self._place(request, request.before, request.after)
        has_learned = self._learn_from_key(request, place) if request.why is Why.TYPED else False
        try:
            suggestions = self._suggestions(request, place, cancelled)
        except Cancelled:
            return Result(silence=Silence.CANCELLED, has_learned=has_learned)
        return Result(tuple(suggestions), None if suggestions else Silence.UNSURE, has_learned)

    def observe(self, request: Request, character: str) -> dict[str, float]:
        """Learn that `character` was typed at the request's place; return its cost in bits by each predictor."""
        place = self._place(request, request.before, request.after)
        predictions = self._predictions_at(place)
        if place.before not in predictions:
            self._predict(predictions, place)
        bits = self._predictor.bits(predictions, place.before, character)
        self._predictor.learn(predictions, place, character)
        return bits

    def log_probs(self, request: Request, text: str, n_likeliest: int = 0) -> list[ScoredCharacter]:
        """Score `text` as the continuation at the request's place, character by character. Nothing is learned.

        Each with the `n_likeliest` most probable characters there. `document` is indexed as for `complete`.
        """
        place, scored = self._place(request, request.before, request.after), list[ScoredCharacter]()
        predictions, alphabet = self._predictions_at(place), self._predictor.alphabet
        for i, character in enumerate(text):
            then = place._replace(before=place.before + text[:i])
            if then.before not in predictions:
                self._predict(predictions, then)
            prediction = predictions.at(then.before)
            scored.append(
                ScoredCharacter(
                    character, prediction.log_p(character, alphabet), prediction.likeliest(n_likeliest, alphabet)
                )
            )
        return scored

    def trace(self, request: Request, n_typed: int = 0) -> Trace:
        """How a fresh request is answered, step by step; nothing is learned, held or shown by this.

        Also predicts each of the last `n_typed` characters before the cursor from what precedes it, as if they had been
        typed at the end of the document.
        """
        return self.copy()._trace(request, n_typed)

    def _trace(self, request: Request, n_typed: int) -> Trace:
        place, typed = self._place(request, request.before, request.after), list[TracedPrediction]()
        for n in range(max(0, len(place.before) - n_typed), len(place.before)):
            then = place._replace(before=place.before[:n], after="")
            predictions = self._new_predictions(then)
            logits = self._predict(predictions, then)
            typed.append(self._traced(then, logits, predictions.at(then.before)))
        predictions = self._new_predictions(place)
        recorder = Recorder(self._predictor.continuation(predictions, place.before))
        reader, decoded = self._state.readers.of(place.document), list[Decoded]()
        decisions, settings = dict[float, Decision](), self._settings
        source = decode(reader, recorder, place.before)
        next(recorded(decoded, source))  # the distribution at the cursor, even if nothing may be shown
        for eagerness in sorted({*EAGERNESS, settings.eagerness}, reverse=True):  # the highest reaches furthest
            self.configure(dataclasses.replace(settings, eagerness=eagerness))
            decisions[eagerness] = self._decision(recorded(decoded, source), predictions, place)
        ahead = list[TracedPrediction]()
        for i, logits in enumerate(recorder.logits[: len(decoded)]):
            then = place._replace(before=place.before + "".join(character for character, _ in decoded[:i]))
            ahead.append(self._traced(then, logits, predictions.at(then.before)))
        return Trace(
            place, typed, recorder.steps, decoded, ahead, dict(sorted(decisions.items())), settings,
            is_at_line_end=is_at_line_end(place.after),
            n_ngram_chars=self.ngrams.n_chars, mixture=self.mixture.copy(), alphabet=self._predictor.alphabet,
            **self._seen(place, ahead[0].prediction),
        )  # fmt: skip

    def _decision(self, decoded: Iterable[Decoded], predictions: PredictionCache, place: Place) -> Decision:
        known = list[Decoded]()
        settings, language = self._settings, language_of(place.document, place.language)
        where = (place.before, place.after, language)
        if not is_at_line_end(place.after):
            found = self._insertions(predictions, recorded(known, decoded), place, never)
            cuts = [Cut(prefix, obstacle(prefix, settings, *where)) for prefix in found]
            suggestion = self._infill(found, place)
            return Decision(settings, cuts, None, suggestion, suggestion)
        suggestion = self._best_of(recorded(known, decoded), place)
        prefixes = Prefixes(known, settings, *where)
        cuts = [Cut(prefix, prefixes.obstacle()) for prefix in prefixes]
        return Decision(settings, cuts, prefixes.stop, truncate(known, settings, *where), suggestion)

    def _traced(self, place: Place, logits: Floats, prediction: Prediction) -> TracedPrediction:
        """`place.before` must be held but for what was decoded."""
        context, n_symbols = context_of(self._predictor.alphabet, place.before), len(prediction.log_probs)
        workspace = self.ngrams.counts(context, n_symbols)
        has_own = place.document is not None
        file = self.ngrams.counts(context, n_symbols, place.document) if has_own else np.zeros_like(workspace)
        return TracedPrediction(prediction, logits, workspace, file)

    def _seen(self, place: Place, prediction: Prediction) -> dict[str, Any]:
        """The longest context before the cursor, and where it was seen; the document at hand first."""
        if not prediction.n_seen:
            return {"context": "", "n_occurrences": 0, "seen": []}
        symbols, order = context_of(self._predictor.alphabet, place.before), ORDERS[prediction.n_seen - 1]
        found = self.ngrams.occurrences(symbols, order)
        found.sort(key=lambda one: (one.document != place.document, one.document, -one.offset))
        texts = {one.document: self.ngrams.text(one.document) or "" for one in found[:MAX_SEEN]}
        seen = [Seen.at(one.document, texts[one.document], one.offset) for one in found[:MAX_SEEN]]
        context = (DOCUMENT_START + place.before)[-order:]
        return {"context": context, "n_occurrences": len(found), "seen": seen}

    def _predict(self, predictions: PredictionCache, place: Place) -> Floats:
        """Predict the character at `place`; returns the network's logits, (V,)."""
        logits = self._state.readers.of(place.document).read(place.before)[0]
        self._predictor.predict(predictions, logits, place.before)
        return logits

    def _place(self, request: Request, before: str, after: str) -> Place:
        before, after = self._state.maskers.mask(request.document, plain_line_ends(before), plain_line_ends(after))
        return Place(request.document, before, after, request.language)

    def _learn_from_key(self, request: Request, place: Place) -> bool:
        """Learn from the keystroke since the last request, if there was exactly one; return whether it taught
        something.

        A character that may have been the last of an accepted suggestion teaches nothing.
        """
        predictions = self._state.predictions
        if place.document is None or self.ngrams.max_chars == 0:
            return False
        before, after = plain_line_ends(request.before), plain_line_ends(request.after)
        character = self._state.keystrokes.typed(Place(place.document, before, after))
        if not character or predictions is None:
            return False
        typed_at = place._replace(before=place.before[:-1])
        rest = self._rest_of_shown(typed_at)
        if rest is not None and rest.text == character:
            return False
        return self._predictor.learn(predictions, typed_at, character)

    def _suggestions(self, request: Request, place: Place, cancelled: Callable[[], bool]) -> list[Suggestion]:
        """The best one first. Raises Cancelled."""
        then = place if request.selected is None else self._place(request, *request.selected)
        if request.selected is not None:
            best = self._decode_best(self._predictions_at(place), then, cancelled)
        elif request.why is Why.AHEAD:
            best = self._find_ahead(place, cancelled)
        else:
            best = self._rest_of_shown(place) or self._suggest(place, cancelled)
        if best is None:
            return []
        is_invoked = request.why is Why.INVOKED and request.selected is None and is_at_line_end(place.after)
        return [best, *(self._alternatives(place, best, cancelled) if is_invoked else ())]

    def _suggest(self, place: Place, cancelled: Callable[[], bool]) -> Suggestion | None:
        state = self._state
        if state.ahead is not None and state.ahead.is_for(place, self.ngrams.edition):
            self._hold(place)
            suggestion, state.predictions = state.ahead.suggestion, state.ahead.predictions
        else:
            suggestion = self._decode_best(self._new_predictions(place), place, cancelled)
        state.shown = Shown(place, suggestion, self.ngrams.n_dropped) if suggestion else None
        return suggestion

    def _find_ahead(self, place: Place, cancelled: Callable[[], bool]) -> Suggestion | None:
        """The suggestion for `place`, which is kept. Only for the current document, whose indexed text is unchanged."""
        state = self._state
        if state.ahead is not None and state.ahead.is_for(place, self.ngrams.edition):
            return state.ahead.suggestion
        here = state.predictions
        if here is None or here.place.document != place.document:
            return None
        try:
            self._hold(place)
            predictions = PredictionCache(place)
            suggestion = self._decode_best(predictions, place, cancelled)
            state.ahead = FoundAhead(suggestion, predictions, self.ngrams.edition)
        finally:
            self._hold(here.place)
        return suggestion

    def _alternatives(self, place: Place, shown: Suggestion, cancelled: Callable[[], bool]) -> Iterator[Suggestion]:
        """Suggestions that differ from `shown`: each takes a second choice at one position, the most probable first."""
        predictions = self._predictions_at(place)
        if not predictions.by_end:
            self._decode_best(predictions, place, cancelled)
        texts = [shown.text]
        for fork in self._forks(predictions, shown)[: N_ALTERNATIVES + SPARE_FORKS]:
            then = place._replace(before=place.before + fork.text)
            decoded = itertools.chain(((c, 0.0) for c in fork.text), self._decode(predictions, then, cancelled))
            suggestion = self._best_of(decoded, place)
            if suggestion and not any(text.startswith(suggestion.text) for text in texts):
                texts.append(suggestion.text)
                confidence = suggestion.confidence * fork.confidence
                yield Suggestion(suggestion.text, confidence, suggestion.gain * fork.confidence)
            if len(texts) > N_ALTERNATIVES:
                break

    def _forks(self, predictions: PredictionCache, shown: Suggestion) -> list[Suggestion]:
        """Prefixes of other suggestions, which differ from `shown` in their last character; the most probable first."""
        forks, log_p = list[Suggestion](), 0.0
        for i in range(len(shown.text)):
            before = predictions.place.before + shown.text[:i]
            if (likeliest := predictions.two_likeliest(before, self._predictor.alphabet)) is None:
                break
            (_, log_p_best), (second, log_p_second) = likeliest
            if (p := math.exp(log_p + log_p_second)) >= MIN_FORK_P:
                forks.append(Suggestion(shown.text[:i] + second, p))
            log_p += log_p_best
        return sorted(forks, key=lambda fork: -fork.confidence)

    def _decode_best(
        self, predictions: PredictionCache, place: Place, cancelled: Callable[[], bool]
    ) -> Suggestion | None:
        decoded = self._decode(predictions, place, cancelled)
        if is_at_line_end(place.after):
            return self._best_of(decoded, place)
        return self._infill(self._insertions(predictions, decoded, place, cancelled), place)

    def _infill(self, prefixes: list[Prefix], place: Place) -> Suggestion | None:
        """The suggestion in the middle of a line; None if it would be, or continue, a secret."""
        language = language_of(place.document, place.language)
        found = infill(prefixes, self._settings, place.before, place.after, language)
        is_secret = place.before.endswith(MASK) or (found and adds_secret(found.text, place.before, place.after))
        return None if is_secret else found

    def _insertions(
        self, predictions: PredictionCache, decoded: Iterable[Decoded], place: Place, cancelled: Callable[[], bool]
    ) -> list[Prefix]:
        return insertions(decoded, partial(self._suffix_log_p, predictions, place, cancelled), self._settings)

    def _suffix_log_p(
        self, predictions: PredictionCache, place: Place, cancelled: Callable[[], bool], text: str
    ) -> float:
        """log p of the first SUFFIX_CHARS after the cursor if `text` is inserted before them; -inf if it is low."""
        before, suffix, alphabet = place.before + text, place.after[:SUFFIX_CHARS], self._predictor.alphabet
        if before in predictions and predictions.at(before).log_p(suffix[0], alphabet) < MIN_FIRST_LOG_P:
            return -math.inf
        logits = self._state.readers.of(place.document).read(before, suffix[:-1], cancelled)
        total = 0.0
        for i, character in enumerate(suffix):
            end = before + suffix[:i]
            if end not in predictions:
                self._predictor.predict(predictions, logits[i], end)
            total += predictions.at(end).log_p(character, alphabet)
        return total

    def _decode(self, predictions: PredictionCache, place: Place, cancelled: Callable[[], bool]) -> Iterator[Decoded]:
        reader = self._state.readers.of(place.document)
        return decode(reader, self._predictor.continuation(predictions, place.before), place.before, cancelled)

    def _best_of(self, decoded: Iterable[Decoded], place: Place) -> Suggestion | None:
        """The suggestion from decoded characters; None if it would be, or continue, a secret."""
        if place.before.endswith(MASK):
            return None
        language = language_of(place.document, place.language)
        suggestion = truncate(decoded, self._settings, place.before, place.after, language)
        if suggestion is None:
            return None
        text = postprocess(suggestion.text, place.before, place.after, language)
        is_shown = is_worth_showing(text) and not adds_secret(text, place.before, place.after)
        return dataclasses.replace(suggestion, text=text) if is_shown else None

    def _predictions_at(self, place: Place) -> PredictionCache:
        """The predictions of the last request if it was for this place; otherwise new ones."""
        predictions = self._state.predictions
        return predictions if predictions is not None and predictions.place == place else self._new_predictions(place)

    def _new_predictions(self, place: Place) -> PredictionCache:
        """Index the current document as it is; return an empty cache."""
        self._hold(place)
        self._state.predictions = PredictionCache(place)
        return self._state.predictions

    def _hold(self, place: Place) -> None:
        if place.document is not None:
            self.ngrams.hold(place.document, place.before, place.after)

    def _rest_of_shown(self, place: Place) -> Suggestion | None:
        shown = self._state.shown
        return shown.rest_at(place, self.ngrams.n_dropped) if shown is not None else None
