"""Secrets never reach the n-gram models, and no suggestion completes one."""

import numpy as np

from tinycopilot.completion.ngram import NGramModel, context_of
from tinycopilot.completion.segments import Alphabet
from tinycopilot.completion.suffix_array import BREAK
from tinycopilot.completion.truncation import adds_secret
from tinycopilot.files.masking import MASK, mask

TOKEN = "gh" + "p_" + "a1B2c3D4e5F6" * 3


def test_masked_character_is_a_break_without_an_id() -> None:
    alphabet = Alphabet("ab")
    assert alphabet.symbols_of(f"a{MASK}bx").tolist() == [1, BREAK, 2, 3]
    assert alphabet.met == "x"
    assert context_of(alphabet, f"ab{MASK}ba").tolist() == [2, 1]


def test_text_of_a_file_is_predicted_and_its_secret_is_not() -> None:
    alphabet = Alphabet("".join(map(chr, range(32, 127))) + "\n")
    memory = NGramModel(alphabet)
    memory.hold("a", mask(f'hidden = "{TOKEN}"\nplain_name = 1\n'))
    memory.compact()
    possible = memory.possible()

    def follows(before: str) -> tuple[str, int]:
        p, order = memory.predict(context_of(alphabet, before), possible)
        return alphabet.character_of(int(np.argmax(p[:-1])) + 1), order

    assert follows("plain_na") == ("m", 8)
    assert follows('hidden = "')[1] == 0
    assert all(follows(TOKEN[:n])[1] == 0 for n in range(3, len(TOKEN)))


def test_suggestion_that_completes_a_secret_is_masked() -> None:
    assert adds_secret('x8Kq2LmZp0Rt"', 'password = "', "\n")
    assert adds_secret(TOKEN[10:] + '"', 'a = "' + TOKEN[:10], "")
    assert not adds_secret('get("X")', "password = os.environ.", "\n")
    assert not adds_secret("b", f'password = "{MASK * 12}"\na = ', "\n")
