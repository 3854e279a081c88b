"""Engine: answer a request with suggestions (the best one and alternatives), or with the reason for silence.

The entry point of completion/.

All state between requests is in SessionState.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final, Self

from tinycopilot.completion import compiled
from tinycopilot.completion.decoding import Cancelled, Decoded, Reader, decode, never
from tinycopilot.completion.network import Network, load_pair
from tinycopilot.completion.ngram import NGramModel
from tinycopilot.completion.predictor import Continuation, Mixture, Place, Prediction, PredictionCache, Predictor
from tinycopilot.completion.request import (
    CompleterSettings,
    Request,
    Result,
    ScoredCharacter,
    Silence,
    Suggestion,
    Why,
    plain_line_ends,
)
from tinycopilot.completion.session_state import SessionState, Shown
from tinycopilot.completion.syntaxes import language_of
from tinycopilot.completion.truncation import (
    MIN_FIRST_LOG_P,
    SUFFIX_CHARS,
    Prefix,
    adds_secret,
    infill,
    insertions,
    is_at_line_end,
    is_worth_showing,
    postprocess,
    truncate,
)
from tinycopilot.files.masking import MASK, mask
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import ModelPaths

__all__ = ["Engine", "Request", "Result", "ScoredCharacter", "Silence", "Why"]

N_ALTERNATIVES: Final = 2
"""Number of alternatives on request."""
SPARE_FORKS: Final = 2
"""Number of additional forks to decode, since some give no suggestion, or the same one as another fork."""
MIN_FORK_P: Final = 0.01
"""Minimum probability of an alternative's first different character."""


class Engine:
    """Completes with a network and n-gram models of the workspace. Not thread-safe.

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
        self.network = network
        """The compiled network."""
        self.settings = settings or CompleterSettings()
        """The user's settings."""
        self.predictor = predictor or Predictor(tokenizer.alphabet, max_workspace_chars)
        """N-gram model and mixture."""
        self._state = SessionState(Reader(network, tokenizer))

    @classmethod
    def load(cls, paths: ModelPaths, settings: CompleterSettings, max_workspace_chars: float = math.inf) -> Self:
        """Load an engine from the two files of a model. Raises ModelFileError."""
        return cls(*load_pair(paths.model, paths.tokenizer), settings, max_workspace_chars)

    @property
    def ngrams(self) -> NGramModel:
        """The n-gram model of the workspace."""
        return self.predictor.ngrams

    @property
    def mixture(self) -> Mixture:
        """The mixture's weights, learned from keystrokes."""
        return self.predictor.mixture

    def configure(self, settings: CompleterSettings) -> None:
        """Use these settings from now on."""
        if settings != self.settings:
            self.settings, self._state.shown = settings, None

    def restore(self, mixture: Mixture) -> None:
        """Use these weights, from an earlier session."""
        self.predictor.mixture = mixture

    def forget(self) -> None:
        """Forget everything except the network and the settings."""
        self.predictor = Predictor(self.tokenizer.alphabet, self.ngrams.max_chars)
        self._state = SessionState(Reader(self.network, self.tokenizer))

    def copy(self) -> "Engine":
        """Return an independent engine with the same index and weights, and without state of earlier requests."""
        return Engine(self.network, self.tokenizer, self.settings, predictor=self.predictor.copy())

    def continued_by(self, other: "Engine") -> "Engine | None":
        """An engine with the network and settings of `other` and the state of this one, which replaces both.

        None if the alphabets differ. While the last suggestion is typed through, its rest stays.
        """
        if self.tokenizer.alphabet != other.tokenizer.alphabet:
            return None
        engine = Engine(other.network, other.tokenizer, other.settings, predictor=self.predictor)
        engine._state = replace(self._state, reader=engine._state.reader, predictions=None)
        return engine

    @property
    def is_compiled(self) -> bool:
        """Whether compiled code for this network is cached, so that `warm_up` is fast."""
        return compiled.is_compiled(self.network.variant)

    def warm_up(self) -> None:
        """Compile all functions, or load them from the cache. Does not change any result."""
        engine, text = Engine(self.network, self.tokenizer), "import os\n"
        engine.complete(Request(text * 99, document="warm up"))
        engine.hold("warm up", text * 50 + "i" + text * 49)  # an edit, which the index of the first text is updated for
        compiled.mark_compiled(self.network.variant)

    def hold(self, document: str, text: str) -> None:
        """Index another document of the workspace with this text."""
        self.ngrams.hold(document, mask(plain_line_ends(text)))

    def prepare(self, document: str, text: str) -> Callable[[], None]:
        """Sort a long document before its first request, in any thread. Call the result in the engine's thread."""
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
        bits = self.predictor.bits(self._predict(predictions, place), character)
        self.predictor.learn(predictions, place, character)
        return bits

    def log_probs(self, request: Request, text: str, n_likeliest: int = 0) -> list[ScoredCharacter]:
        """Score `text` as the continuation at the request's place, character by character. Nothing is learned.

        Each with the `n_likeliest` most probable characters there. `document` is indexed as for `complete`.
        """
        place, scored = self._place(request, request.before, request.after), list[ScoredCharacter]()
        predictions, alphabet = self._predictions_at(place), self.predictor.alphabet
        for i, character in enumerate(text):
            prediction = self._predict(predictions, place._replace(before=place.before + text[:i]))
            log_p, likeliest = prediction.log_p(character, alphabet), prediction.likeliest(n_likeliest, alphabet)
            scored.append(ScoredCharacter(character, log_p, likeliest))
        return scored

    def _predict(self, predictions: PredictionCache, place: Place) -> Prediction:
        """The prediction of the character at `place`, computed unless it is in `predictions`."""
        if place.before in predictions:
            return predictions.at(place.before)
        return self.predictor.predict(predictions, self._state.reader.read(place.before)[0], place.before)

    def _place(self, request: Request, before: str, after: str) -> Place:
        before, after = self._state.maskers.mask(request.document, plain_line_ends(before), plain_line_ends(after))
        return Place(request.document, before, after, language_of(request.document, request.language))

    def _learn_from_key(self, request: Request, place: Place) -> bool:
        """Learn from the keystroke since the last request, if there was exactly one; return whether it was used.

        The last character of a suggestion is ignored, since it may have been accepted instead of typed.
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
        return self.predictor.learn(predictions, typed_at, character)

    def _suggestions(self, request: Request, place: Place, cancelled: Callable[[], bool]) -> list[Suggestion]:
        """The best one first. Raises Cancelled."""
        if request.selected is not None:
            best = self._decode_best(self._predictions_at(place), self._place(request, *request.selected), cancelled)
        elif (best := self._rest_of_shown(place)) is None:
            best = self._decode_best(self._new_predictions(place), place, cancelled)
            self._state.shown = Shown(place, best, self.ngrams.n_dropped) if best else None
        if best is None:
            return []
        is_invoked = request.why is Why.INVOKED and request.selected is None and is_at_line_end(place.after)
        return [best, *(self._alternatives(place, best, cancelled) if is_invoked else ())]

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
            if before not in predictions:
                break
            (_, log_p_best), (second, log_p_second) = predictions.at(before).likeliest(2, self.predictor.alphabet)
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
        found = infill(prefixes, self.settings, place.before, place.after, place.language)
        is_secret = place.before.endswith(MASK) or (found and adds_secret(found.text, place.before, place.after))
        return None if is_secret else found

    def _insertions(
        self, predictions: PredictionCache, decoded: Iterable[Decoded], place: Place, cancelled: Callable[[], bool]
    ) -> list[Prefix]:
        return insertions(decoded, partial(self._suffix_log_p, predictions, place, cancelled), self.settings)

    def _suffix_log_p(
        self, predictions: PredictionCache, place: Place, cancelled: Callable[[], bool], text: str
    ) -> float:
        """log p of the first SUFFIX_CHARS after the cursor if `text` is inserted before them; -inf if it is low."""
        before, suffix, alphabet = place.before + text, place.after[:SUFFIX_CHARS], self.predictor.alphabet
        if before in predictions and predictions.at(before).log_p(suffix[0], alphabet) < MIN_FIRST_LOG_P:
            return -math.inf
        logits = self._state.reader.read(before, suffix[:-1], cancelled)
        total = 0.0
        for i, character in enumerate(suffix):
            end = before + suffix[:i]
            if end not in predictions:
                self.predictor.predict(predictions, logits[i], end)
            total += predictions.at(end).log_p(character, alphabet)
        return total

    def _decode(self, predictions: PredictionCache, place: Place, cancelled: Callable[[], bool]) -> Iterator[Decoded]:
        reader = self._state.reader
        return decode(reader, Continuation(self.predictor, predictions, place.before), place.before, cancelled)

    def _best_of(self, decoded: Iterable[Decoded], place: Place) -> Suggestion | None:
        """The suggestion from decoded characters; None if it would be, or continue, a secret."""
        if place.before.endswith(MASK):
            return None
        suggestion = truncate(decoded, self.settings, place.before, place.after, place.language)
        if suggestion is None:
            return None
        text = postprocess(suggestion.text, place.before, place.after, place.language)
        is_shown = is_worth_showing(text) and not adds_secret(text, place.before, place.after)
        return replace(suggestion, text=text) if is_shown else None

    def _predictions_at(self, place: Place) -> PredictionCache:
        """The predictions of the last request if it was for this place; otherwise new ones."""
        predictions = self._state.predictions
        return predictions if predictions is not None and predictions.place == place else self._new_predictions(place)

    def _new_predictions(self, place: Place) -> PredictionCache:
        """Index the current document as it is; return an empty cache."""
        if place.document is not None:
            self.ngrams.hold(place.document, place.before, place.after)
        self._state.predictions = PredictionCache(place)
        return self._state.predictions

    def _rest_of_shown(self, place: Place) -> Suggestion | None:
        shown = self._state.shown
        return shown.rest_at(place, self.ngrams.n_dropped) if shown is not None else None
