"""One distribution out of three."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycopilot.completion.alphabet import Alphabet
from tinycopilot.completion.suffix_array import ORDERS
from tinycopilot.completion.ngram import NGramModel, context_of
from tinycopilot.completion.predictor import INITIAL, KINDS, MAX_WEIGHT, Mixture, kind_of, recall, spread

KNOWN = "\nab("
NETWORK = np.log(np.array([0.1, 0.4, 0.2, 0.1, 0.2]))  # its unknown last


def memories(text: str, own: str = "") -> tuple[NGramModel, NGramModel]:
    alphabet = Alphabet(KNOWN)
    memory, file = NGramModel(alphabet), NGramModel(alphabet)
    memory.hold("other", text)
    memory.hold("own", own)
    file.hold("own", own)
    return memory, file


def test_where_nothing_was_seen_it_is_the_network() -> None:
    memory, file = memories("((((((")
    prediction = Mixture().predict(NETWORK, recall(memory, file, context_of(memory.alphabet, "aba")))
    assert prediction.recalled.order == 0
    assert prediction.log_probs == pytest.approx(NETWORK)


def test_it_is_the_weighted_sum_of_logs_normalised() -> None:
    memory, file = memories("ababab" * 3, "abab")
    context = context_of(memory.alphabet, "abab")
    prediction = Mixture().predict(NETWORK, recall(memory, file, context))
    possible = memory.possible()
    rows = [np.exp(NETWORK), memory.predict(context, possible)[0], file.predict(context, possible)[0]]
    product = np.prod(
        [row**weight for row, weight in zip(rows, INITIAL[prediction.recalled.order], strict=True)], axis=0
    )
    assert np.exp(prediction.log_probs) == pytest.approx(product / product.sum())
    assert prediction.recalled.order == ORDERS[2]  # with the newline that all documents begin with


def test_what_the_network_does_not_know_shares_its_unknown() -> None:
    possible = np.array([True] * 4 + [True, False, True])  # two further characters, one of them gone, and all others
    p = np.exp(spread(NETWORK, possible))
    assert p == pytest.approx([0.1, 0.4, 0.2, 0.1, 0.1, 0, 0.1])


def test_a_character_that_only_the_workspace_knows_is_predicted() -> None:
    memory, file = memories("name = \N{GREEK SMALL LETTER LAMDA}\n" * 5)
    prediction = Mixture().predict(NETWORK, recall(memory, file, context_of(memory.alphabet, "name = ")))
    likeliest = int(prediction.log_probs[:-1].argmax()) + 1
    assert memory.alphabet.character_of(likeliest) == "\N{GREEK SMALL LETTER LAMDA}"


def test_what_is_typed_makes_whoever_was_right_weigh_more() -> None:
    memory, file = memories("ababab" * 30)
    context = context_of(memory.alphabet, "ababababab")
    mixture = Mixture()
    before = mixture.predict(NETWORK, recall(memory, file, context))
    index = memory.alphabet.symbol_of("a") - 1
    for _ in range(50):
        mixture.learn(mixture.predict(NETWORK, recall(memory, file, context)), index)
    after = mixture.predict(NETWORK, recall(memory, file, context))
    assert after.log_probs[index] > before.log_probs[index]
    assert mixture.weights[before.recalled.order][1] > INITIAL[before.recalled.order][1]
    assert mixture.weights[before.recalled.kind][1] > INITIAL[before.recalled.kind][1]
    elsewhere = mixture.predict(NETWORK, recall(memory, file, context_of(memory.alphabet, "ababa(")))
    assert (elsewhere.recalled.order, elsewhere.recalled.kind) == (0, "opening")


@pytest.mark.parametrize(
    ("character", "kind"),
    [("a", "lower"), ("é", "lower"), ("A", "upper"), ("漢", "upper"), ("7", "digit"), ("\n", "line"), ("\t", "blank"),
     (")", "closing"), ("'", "quote"), ("=", "other"), ("\ud800", "other"), ("\0", "other")],
)  # fmt: skip
def test_every_character_is_of_a_kind(character: str, kind: str) -> None:
    assert kind_of(character) == kind
    assert kind in KINDS


@given(st.lists(st.sampled_from("ab(\n\ud800"), min_size=200, max_size=200))
def test_weights_stay_in_bounds_whatever_is_typed(stream: list[str]) -> None:
    memory, file = memories("ababab" * 30, "(((" * 10)
    mixture = Mixture()
    for character in stream:
        for before in ("abab", "((((", "babababab"):
            prediction = mixture.predict(NETWORK, recall(memory, file, context_of(memory.alphabet, before)))
            assert np.exp(prediction.log_probs).sum() == pytest.approx(1)
            symbol = memory.alphabet.symbol_of(character)
            mixture.learn(prediction, symbol - 1 if symbol else -1)
    for key, weights in mixture.weights.items():
        assert (weights >= (-MAX_WEIGHT if key in KINDS else 0)).all()
        assert (weights <= MAX_WEIGHT).all()
    assert all(math.isfinite(x) for weights in mixture.weights.values() for x in weights)
