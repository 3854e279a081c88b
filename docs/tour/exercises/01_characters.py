"""Exercise 1: turn text into ids.

Fill in `encode`, then run this file.
"""

from collections.abc import Callable

from checking import require, run

from tinycopilot.api import load


def encode(text: str, alphabet: str) -> list[int]:
    """Return one id per character: its index in `alphabet`, or len(alphabet) if it is not there."""
    raise NotImplementedError


def check(encode: Callable[[str, str], list[int]]) -> None:
    """Compare with SimpleTokenizer.encode."""
    tokenizer = load().tokenizer
    alphabet = tokenizer.alphabet
    require(encode("", alphabet) == [], "an empty text has no ids: return an empty list")
    known = "def area(width):\n\treturn 3.14"
    answer = encode(known, alphabet)
    require(isinstance(answer, list), "return a list of ids, one for each character")
    require(len(answer) == len(known), "return exactly one id for each character, line breaks and tabs included")
    require(answer == tokenizer.encode(known), "the id of a character is its index in the alphabet, counted from 0")
    require(
        encode("a\U0001f600b", alphabet) == tokenizer.encode("a\U0001f600b"),
        "a character that is not in the alphabet has the id len(alphabet)",
    )


if __name__ == "__main__":
    run(check, encode)
