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
from tinycopilot.completion.predictor import Prediction
from tinycopilot.completion.suffix_array import ORDERS
from tinycopilot.completion.trace import EAGERNESS
from tinycopilot.completion.truncation import CompleterSettings
from tinycopilot.masking import MASK
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


def same(a: Prediction, b: Prediction) -> None:
    assert (a.n_seen, a.kind) == (b.n_seen, b.kind)
    n = min(len(a.log_probs), len(b.log_probs)) - 1  # the alphabet may have grown
    assert a.log_probs[:n] == pytest.approx(b.log_probs[:n], abs=1e-4)


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
    trace, result = engine.trace(request), engine.complete(request)
    found, wanted = trace.suggestion, result.suggestion
    assert (found and found.text) == (wanted and wanted.text)
    if found and wanted:
        assert (found.confidence, found.gain) == pytest.approx((wanted.confidence, wanted.gain), rel=1e-3)
    predictions = engine._state.predictions
    assert predictions is not None
    text = before
    for (character, log_p), traced in zip(trace.decoded, trace.ahead, strict=True):
        if text in predictions:  # decoded as far as the engine's own settings need
            same(traced.prediction, predictions.at(text))
        assert log_p == traced.prediction.log_probs[:-1].max()
        text += character
    for other, decision in trace.by_eagerness.items():
        fresh = engine_for(network, tokenizer, dataclasses.replace(chosen, eagerness=other)).complete(request)
        shown = decision.suggestion
        assert (shown and shown.text) == (fresh.suggestion and fresh.suggestion.text)


def test_cuts_are_the_candidates_of_the_suggestion(network: Network, tokenizer: SimpleTokenizer) -> None:
    engine = engine_for(network, tokenizer)
    for before in ("tot", "total = add(", "print(", "x", ""):
        trace = engine.trace(Request(before, document="own.py"))
        good = [cut.prefix for cut in trace.decision.cuts if cut.obstacle is None and cut.prefix.gain > 0]
        best = max(good, key=lambda prefix: prefix.gain, default=None)
        assert (best and best.text) == (trace.decision.truncated and trace.decision.truncated.text)
        assert [cut.prefix.text for cut in trace.decision.cuts] == [
            "".join(c for c, _ in trace.decoded[:i]) for i in range(len(trace.decision.cuts))
        ]
        assert list(trace.by_eagerness) == list(EAGERNESS)  # among them the engine's own
        accepted = [decoded for step in trace.steps for decoded in step.accepted]
        assert accepted[: len(trace.decoded)] == trace.decoded


def test_masked_secret_gives_predictions_but_no_suggestion(network: Network, tokenizer: SimpleTokenizer) -> None:
    trace = engine_for(network, tokenizer).trace(Request(f"password = '{MASK}", document="own.py"), n_typed=3)
    assert trace.suggestion is None
    assert len(trace.ahead) == len(trace.decoded) > 0


def test_trace_changes_nothing(network: Network, tokenizer: SimpleTokenizer) -> None:
    engine, untouched = engine_for(network, tokenizer), engine_for(network, tokenizer)
    for text in ("t", "to", "tot", "total ", "total ="):
        engine.trace(Request(text + "zzz", "\nend", "own.py"), n_typed=5)
        engine.trace(Request(text, document="third.py"), n_typed=2)
        assert engine.complete(Request(text, document="own.py")) == untouched.complete(Request(text, document="own.py"))
        assert engine.mixture.as_rows() == untouched.mixture.as_rows()
        assert engine.ngrams.n_chars == untouched.ngrams.n_chars
        assert "third.py" not in engine.ngrams
        assert engine.settings == EVERYTHING


def test_bits_of_typed_characters_equal_the_engine(network: Network, tokenizer: SimpleTokenizer) -> None:
    before = "total = add(one)\nto\N{SNOWMAN}tal"
    engine = engine_for(network, tokenizer)
    trace = engine.trace(Request(before, "\nafter", "own.py"), n_typed=12)
    assert len(trace.typed) == 12
    for n, traced in enumerate(trace.typed, len(before) - 12):
        fresh = engine_for(network, tokenizer)
        index = fresh.predictor.alphabet.symbol_of(before[n]) - 1
        bits = fresh.observe(Request(before[:n], document="own.py", why=Why.REPLAYED), before[n])
        if before[n] not in tokenizer.alphabet:
            continue  # whether the alphabet has it depends on what was met before
        assert -traced.prediction.log_probs[index] / math.log(2) == pytest.approx(bits["mixed"], abs=1e-3)


def test_mix_equals_the_prediction_and_depends_on_each_row(network: Network, tokenizer: SimpleTokenizer) -> None:
    engine = engine_for(network, tokenizer)
    prediction = engine.trace(Request("total = a\ntotal = a", document="own.py")).ahead[0].prediction
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
