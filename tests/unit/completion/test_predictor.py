"""The mixture of three distributions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinycopilot.completion.distribution import MIN_WORD_P, spread
from tinycopilot.completion.ngram import NGramModel, context_of
from tinycopilot.completion.predictor import (
    INITIAL,
    KINDS,
    MAX_WEIGHT,
    Mixture,
    Place,
    Prediction,
    PredictionCache,
    Predictor,
    kind_of,
)
from tinycopilot.completion.suffix_array import ORDERS

KNOWN = "\nab("
P_NETWORK = [0.1, 0.4, 0.2, 0.1, 0.2]  # its unknown last
LOGITS = np.log(np.array(P_NETWORK, np.float32)) + np.float32(3)


def knowing(text: str, own: str = "") -> Predictor:
    predictor = Predictor(KNOWN)
    predictor.ngrams.hold("other", text)
    predictor.ngrams.hold("own", own)
    return predictor


def predicted(predictor: Predictor, before: str) -> Prediction:
    return predictor.predict(PredictionCache(Place("own", "", "")), LOGITS, before)


def test_without_matches_prediction_is_the_networks() -> None:
    prediction = predicted(knowing("(((((("), "aba")
    assert prediction.n_seen == 0
    assert prediction.log_probs == pytest.approx(np.log(P_NETWORK), rel=1e-5)


def test_prediction_is_the_normalized_weighted_log_sum() -> None:
    predictor = knowing("a(a(a(" * 3, "a(a(")
    prediction = predicted(predictor, "a(a(")
    file = NGramModel(predictor.alphabet)
    file.hold("own", "a(a(")
    context, possible = context_of(predictor.alphabet, "a(a("), predictor.ngrams.possible()
    rows = [np.array(P_NETWORK), *(model.predict(context, possible)[0] for model in (predictor.ngrams, file))]
    order = ORDERS[prediction.n_seen - 1]
    product = np.prod([row**weight for row, weight in zip(rows, INITIAL[order], strict=True)], axis=0)
    assert np.exp(prediction.log_probs) == pytest.approx(product / product.sum(), rel=1e-5)
    assert order == ORDERS[2]  # with the newline that precedes each document


def test_characters_unknown_to_the_network_share_its_unknown() -> None:
    possible = np.array([True] * 4 + [True, False, True])  # two further characters, one of them dropped, and all others
    row = np.empty(len(possible))
    spread(LOGITS, possible, row)
    assert np.exp(row) == pytest.approx([0.1, 0.4, 0.2, 0.1, 0.1, 0, 0.1], rel=1e-5)


def test_character_known_only_to_the_workspace_is_predicted() -> None:
    predictor = knowing("name = \N{GREEK SMALL LETTER LAMDA}\n" * 5)
    character, _ = predictor.likeliest(PredictionCache(Place("own", "", "")), LOGITS, "name = ")
    assert character == "\N{GREEK SMALL LETTER LAMDA}"


def test_character_that_completes_a_word_is_probable() -> None:
    predictor, before = knowing("abab"), "(aba"
    predictor.mixture.by_order[:] = (1, 0, 0)  # the network alone, which prefers "a"
    completed = predicted(predictor, before)
    mixed = predictor.mixture.mix(completed)
    assert np.exp(mixed) == pytest.approx(P_NETWORK, rel=1e-5)
    assert completed.log_p("b", predictor.alphabet) == pytest.approx(math.log(MIN_WORD_P))
    assert np.exp(completed.log_probs).sum() == pytest.approx(1)
    others = [i for i in range(len(mixed)) if i != predictor.alphabet.symbol_of("b") - 1]
    scale = np.exp(completed.log_probs[others] - mixed[others])
    assert scale == pytest.approx(np.full(len(others), scale[0]))
    assert predictor.likeliest(PredictionCache(Place("own", "", "")), LOGITS, before)[0] == "b"


def test_completed_word_is_learned_from_the_mixture_before() -> None:
    predictor, before = knowing("babab"), "(bab"
    cache = PredictionCache(Place("own", "", ""))
    prediction = predictor.predict(cache, LOGITS, before)
    expected = Mixture()
    expected.learn(prediction._replace(log_probs=expected.mix(prediction)), predictor.alphabet.symbol_of("a") - 1)
    assert predictor.learn(cache, Place("own", before, ""), "a")
    assert predictor.mixture.as_rows() == expected.as_rows()


def test_learning_raises_the_weight_of_the_better_model() -> None:
    predictor, before = knowing("ababab" * 30), "ababababab"
    first = predicted(predictor, before)
    index, order, kind = predictor.alphabet.symbol_of("a") - 1, ORDERS[first.n_seen - 1], KINDS[first.kind]
    for _ in range(50):
        cache = PredictionCache(Place("own", "", ""))
        predictor.predict(cache, LOGITS, before)
        assert predictor.learn(cache, Place("own", before, ""), "a")
        assert not predictor.learn(cache, Place("own", before, ""), "a")  # once
    assert predicted(predictor, before).log_probs[index] > first.log_probs[index]
    rows = predictor.mixture.as_rows()
    assert rows[order][1] > INITIAL[order][1]
    assert rows[kind][1] > INITIAL[kind][1]
    elsewhere = predicted(predictor, "ababa(")
    assert (elsewhere.n_seen, KINDS[elsewhere.kind]) == (0, "opening")


@pytest.mark.parametrize(
    ("character", "kind"),
    [("a", "lower"), ("é", "lower"), ("A", "upper"), ("漢", "upper"), ("7", "digit"), ("\n", "line"), ("\t", "blank"),
     (")", "closing"), ("'", "quote"), ("=", "other"), ("\ud800", "other"), ("\0", "other")],
)  # fmt: skip
def test_each_character_has_a_kind(character: str, kind: str) -> None:
    assert kind_of(character) == kind
    assert kind in KINDS


@pytest.mark.slow
@settings(max_examples=6)
@given(st.lists(st.sampled_from("ab(\n\ud800"), min_size=200, max_size=200))
def test_weights_stay_in_bounds(stream: list[str]) -> None:
    predictor = knowing("ababab" * 30, "(((" * 10)
    for character in stream:
        for before in ("abab", "((((", "babababab"):
            cache = PredictionCache(Place("own", "", ""))
            prediction = predictor.predict(cache, LOGITS, before)
            assert np.exp(prediction.log_probs).sum() == pytest.approx(1)
            predictor.learn(cache, Place("own", before, ""), character)
    mixture: Mixture = predictor.mixture
    for weights, least in ((mixture.by_order, 0.0), (mixture.by_kind, -MAX_WEIGHT)):
        assert ((least <= weights) & (weights <= MAX_WEIGHT)).all()
    assert all(math.isfinite(x) for row in mixture.as_rows().values() for x in row)
