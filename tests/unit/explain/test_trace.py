"""A trace records what the engine does, and changes nothing."""

import copy
import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import EVERYTHING, compiled, sure

from tinycopilot.completion.engine import Engine, Request, Why
from tinycopilot.completion.network import Network
from tinycopilot.completion.ngram import context_of
from tinycopilot.completion.request import CompleterSettings
from tinycopilot.completion.suffix_array import ORDERS
from tinycopilot.completion.truncation import Obstacle, Prefix
from tinycopilot.explain.decision import in_words
from tinycopilot.explain.trace import EAGERNESS, Cut, Decision, trace
from tinycopilot.files.masking import MASK
from tinycopilot.model.gpt import TinyGPT
from tinycopilot.model.tokenizer import SimpleTokenizer

OTHER = "total = add(one, two)\nprint(total)\n" * 5
TEXTS = st.text(alphabet="abdeilnoprt ()=,\n\N{SNOWMAN}", max_size=30)


@pytest.fixture(scope="module")
def network(model: TinyGPT) -> Network:
    model = copy.deepcopy(model)
    model.ln.weight[:], model.ln.bias[:] = 1, 0
    return compiled(sure(model))


def engine_for(network: Network, tokenizer: SimpleTokenizer, settings: CompleterSettings = EVERYTHING) -> Engine:
    engine = Engine(network, tokenizer, settings)
    engine.hold("other.py", OTHER)
    return engine


@settings(max_examples=20)
@given(
    before=TEXTS,
    after=st.sampled_from(["", ")", "\nx = 1\n", "text", "(one, two)\n"]),
    eagerness=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_decision_and_distribution_equal_the_engine(
    network: Network, tokenizer: SimpleTokenizer, before: str, after: str, eagerness: float
) -> None:
    chosen = CompleterSettings(eagerness=eagerness, min_confidence=0.05, max_chars=12)
    engine = engine_for(network, tokenizer, chosen)
    request = Request(before, after, "own.py", Why.REPLAYED)
    traced, result = trace(engine, request), engine.complete(request)
    found, wanted = traced.suggestion, result.suggestion
    assert (found and found.text) == (wanted and wanted.text)
    if found and wanted:
        assert (found.confidence, found.gain) == pytest.approx((wanted.confidence, wanted.gain), rel=1e-3)
    prediction = traced.ahead[0].prediction
    for character in "ab(\n":
        entry = prediction.entry_of(character, traced.alphabet)
        costs = [-row[entry] / math.log(2) for row in (*prediction.rows[:2], prediction.log_probs)]
        bits = engine_for(network, tokenizer, chosen).observe(request, character)
        assert costs == pytest.approx(list(bits.values()), abs=1e-3)
    for (_, log_p), ahead in zip(traced.decoded, traced.ahead, strict=True):
        assert log_p == ahead.prediction.log_probs[:-1].max()
    for other, decision in traced.by_eagerness.items():
        fresh = engine_for(network, tokenizer, dataclasses.replace(chosen, eagerness=other)).complete(request)
        shown = decision.suggestion
        assert (shown and shown.text) == (fresh.suggestion and fresh.suggestion.text)


def test_cuts_are_the_candidates_of_the_suggestion(network: Network, tokenizer: SimpleTokenizer) -> None:
    engine = engine_for(network, tokenizer)
    for before in ("tot", "total = add(", "print(", "x", ""):
        traced = trace(engine, Request(before, document="own.py"))
        good = [cut.prefix for cut in traced.decision.cuts if cut.obstacle is None and cut.prefix.gain > 0]
        best = max(good, key=lambda prefix: prefix.gain, default=None)
        assert (best and best.text) == (traced.decision.truncated and traced.decision.truncated.text)
        assert [cut.prefix.text for cut in traced.decision.cuts] == [
            "".join(c for c, _ in traced.decoded[:i]) for i in range(len(traced.decision.cuts))
        ]
        assert list(traced.by_eagerness) == list(EAGERNESS)  # among them the engine's own
        accepted = [decoded for step in traced.steps for decoded in step.accepted]
        assert accepted[: len(traced.decoded)] == traced.decoded


def test_masked_secret_gives_predictions_but_no_suggestion(network: Network, tokenizer: SimpleTokenizer) -> None:
    traced = trace(engine_for(network, tokenizer), Request(f"password = '{MASK}", document="own.py"), n_typed=3)
    assert traced.suggestion is None
    assert len(traced.ahead) == len(traced.decoded) > 0


def test_trace_changes_nothing(network: Network, tokenizer: SimpleTokenizer) -> None:
    engine, untouched = engine_for(network, tokenizer), engine_for(network, tokenizer)
    for text in ("t", "to", "tot", "total ", "total ="):
        trace(engine, Request(text + "zzz", "\nend", "own.py"), n_typed=5)
        trace(engine, Request(text, document="third.py"), n_typed=2)
        assert engine.complete(Request(text, document="own.py")) == untouched.complete(Request(text, document="own.py"))
        assert engine.mixture.as_rows() == untouched.mixture.as_rows()
        assert engine.ngrams.n_chars == untouched.ngrams.n_chars
        assert "third.py" not in engine.ngrams
        assert engine.settings == EVERYTHING


def test_bits_of_typed_characters_equal_the_engine(network: Network, tokenizer: SimpleTokenizer) -> None:
    before = "total = add(one)\nto\N{SNOWMAN}tal"
    engine = engine_for(network, tokenizer)
    typed = trace(engine, Request(before, "\nafter", "own.py"), n_typed=12).typed
    assert len(typed) == 12
    for n, traced in enumerate(typed, len(before) - 12):
        fresh = engine_for(network, tokenizer)
        index = fresh.predictor.alphabet.symbol_of(before[n]) - 1
        bits = fresh.observe(Request(before[:n], document="own.py", why=Why.REPLAYED), before[n])
        if before[n] not in tokenizer.alphabet:
            continue  # whether the alphabet has it depends on what was met before
        assert -traced.prediction.log_probs[index] / math.log(2) == pytest.approx(bits["mixed"], abs=1e-3)


def test_mix_equals_the_prediction_and_depends_on_each_row(network: Network, tokenizer: SimpleTokenizer) -> None:
    engine = engine_for(network, tokenizer)
    prediction = trace(engine, Request("total = a\ntotal = a", document="own.py")).ahead[0].prediction
    assert prediction.n_seen
    assert engine.mixture.mix(prediction) == pytest.approx(prediction.log_probs)
    for row in range(3):
        mixed = engine.mixture.mix(prediction, without=row)
        assert np.exp(mixed).sum() == pytest.approx(1)
        assert mixed != pytest.approx(prediction.log_probs)


@given(before=TEXTS, after=TEXTS)
def test_occurrences_equal_the_counts(network: Network, tokenizer: SimpleTokenizer, before: str, after: str) -> None:
    engine = engine_for(network, tokenizer)
    engine.ngrams.compact()
    engine.hold("other.py", OTHER + "total = 3\n")  # counted with sign -1 in the merged segment
    engine.ngrams.hold("own.py", before, after)
    context = context_of(engine.predictor.alphabet, before)
    counts = engine.ngrams.counts(context, len(engine.predictor.alphabet) + 1)
    texts = {"other.py": OTHER + "total = 3\n", "own.py": before + after}
    for row, order in enumerate(ORDERS):
        found = engine.ngrams.occurrences(context, order) if len(context) >= order else []
        assert len(found) == counts[row].sum()
        for document, offset in found:
            seen = ("\n" + texts[document])[: offset + 1]
            assert seen.endswith(("\n" + before)[-order:])


@settings(max_examples=20)
@given(before=TEXTS, text=st.text(alphabet="abdeilnoprt ()=,\n", min_size=1, max_size=6))
def test_scores_of_a_text_are_its_log_probabilities(
    network: Network, tokenizer: SimpleTokenizer, before: str, text: str
) -> None:
    """Compare with `observe`, one character at a time, in another engine; its weights change only afterwards."""
    scored = engine_for(network, tokenizer).log_probs(Request(before, "", "own.py", Why.REPLAYED), text, 2)
    assert "".join(one.character for one in scored) == text
    first = scored[0]
    bits = engine_for(network, tokenizer).observe(Request(before, "", "own.py", Why.REPLAYED), text[0])["mixed"]
    assert first.log_p == pytest.approx(-bits * math.log(2), abs=1e-4)
    for one in scored:
        (_, log_p), (_, second) = one.likeliest
        assert one.log_p <= log_p + 1e-9
        assert second <= log_p


def test_scores_of_a_suggestion_multiply_to_its_confidence(network: Network, tokenizer: SimpleTokenizer) -> None:
    engine = engine_for(network, tokenizer)
    requests = (Request(OTHER[:n], "", "own.py", Why.REPLAYED) for n in range(len(OTHER)))
    request, suggestion = next((one, found) for one in requests if (found := engine.complete(one).suggestion))
    for asked in (engine, engine_for(network, tokenizer)):  # after the suggestion, and from nothing
        scored = asked.log_probs(request, suggestion.text)
        assert math.exp(sum(one.log_p for one in scored)) == pytest.approx(suggestion.confidence, rel=1e-3)
    assert engine.complete(request).suggestion == suggestion


@pytest.mark.parametrize(
    ("text", "confidence", "obstacle", "verdict"),
    [
        ("", 0.9, Obstacle.TOO_SHORT, "Most likely, nothing is missing (90%)."),
        ("n", 0.9, Obstacle.TOO_SHORT, "“n” is missing there (90%), but that is too short to be worth reading."),
        ("none", 0.6, Obstacle.NOT_MISSING, "“none” is missing there (60%), but that is not likely enough."),
        ("f(x", 0.9, Obstacle.UNSAFE, "but that would leave a string or bracket open."),
        ("none", 0.9, None, "but that may be a secret."),
        ("none", 0.3, Obstacle.NOT_MISSING, "The text that the model expects does not fit."),
    ],
)
def test_verdict_in_the_middle_of_a_line_says_why_nothing_is_shown(
    network: Network,
    tokenizer: SimpleTokenizer,
    text: str,
    confidence: float,
    obstacle: Obstacle | None,
    verdict: str,
) -> None:
    traced = trace(engine_for(network, tokenizer), Request("x = ", "(a)\n", "own.py"))
    cuts = [Cut(Prefix(text, confidence, 2.0, 0.5, 0.0), obstacle)]
    assert in_words(traced, Decision(EVERYTHING, cuts, None, None, None)).endswith(verdict)
