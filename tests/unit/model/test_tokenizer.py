from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycopilot.model.tokenizer import BASIC_CHARACTERS, COMMON_SHARE, MAX_VOCAB, SimpleTokenizer

TOKENIZER = SimpleTokenizer(BASIC_CHARACTERS)


@pytest.mark.slow
@given(st.text())
def test_encoding_any_text_gives_one_id_per_character(text: str) -> None:
    ids = TOKENIZER.encode(text)
    assert len(ids) == len(text)
    assert all((i == TOKENIZER.unknown_id) == (c not in BASIC_CHARACTERS) for i, c in zip(ids, text, strict=True))


@given(st.text(alphabet=BASIC_CHARACTERS))
def test_known_text_round_trips(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


def test_lone_surrogates_and_unknown() -> None:
    assert TOKENIZER.encode("\ud83d") == [TOKENIZER.unknown_id]
    assert TOKENIZER.decode([TOKENIZER.unknown_id]) == "\ufffd"
    with pytest.raises(IndexError):
        TOKENIZER.decode([TOKENIZER.vocab_size])


def test_rare_characters_are_mapped_to_unknown() -> None:
    common, rare = "\N{LATIN SMALL LETTER E WITH ACUTE}", "\N{SNOWMAN}"
    trained = SimpleTokenizer.of_common(Counter("x" * COMMON_SHARE * 2 + common * 10 + rare))
    assert trained.alphabet == BASIC_CHARACTERS + common
    assert trained.encode(rare) == [trained.unknown_id]


def test_basic_characters_need_no_slots() -> None:
    others = "".join(map(chr, range(0x4E00, 0x4E00 + 2 * MAX_VOCAB)))
    trained = SimpleTokenizer.of_common(Counter(BASIC_CHARACTERS * 4 + others[:MAX_VOCAB] * 3 + others * 2))
    assert trained.vocab_size == MAX_VOCAB
    assert set(trained.alphabet) <= {*BASIC_CHARACTERS, *others[:MAX_VOCAB]}


def test_digest_identifies_the_vocabulary() -> None:
    assert SimpleTokenizer("ab").digest != SimpleTokenizer("ba").digest


@pytest.mark.parametrize("alphabet", ["", "aa"])
def test_invalid_vocabulary_is_refused(alphabet: str) -> None:
    with pytest.raises(ValueError, match="at least one character"):
        SimpleTokenizer(alphabet)
