"""Exercise 8: verify a draft.

Fill in `verified`, then run this file.
"""

from collections.abc import Callable, Iterator

from checking import require, run

from tinycopilot.api import load
from tinycopilot.completion.decoding import (
    Decoded,
    Reader,
    decode,
    log_softmax,
    network_alone,
    network_logits,
    plain_decode,
)

TEXT = "for i in range(len(items)):\n    print(items[i])\n\n\nfor j in range("


def verified(drafted: str, likeliest: str) -> str:
    """Return the text that is certain after one forward pass.

    `drafted` has n characters that were guessed. `likeliest` has n + 1: likeliest[i] is the network's choice after the
    first i drafted characters. It counts only if all i of them are right. Return the drafted characters before the
    first wrong one, followed by the network's choice at that place. If none is wrong, return the whole draft, followed
    by the network's last choice.
    """
    raise NotImplementedError


class Speculator:
    """Drafts what followed the same three characters in TEXT; verifies with the function of the exercise."""

    def __init__(self, verified: Callable[[str, str], str], alphabet: str) -> None:
        self._verified, self._alphabet = verified, alphabet
        self._text, self._drafted, self.n_passes = TEXT, "", 0

    def draft(self, max_chars: int) -> str:
        """Guess by repeating the text, at most 6 characters."""
        at = TEXT.find(self._text[-3:])
        self._drafted = TEXT[at + 3 : at + 3 + min(6, max_chars)] if at >= 0 else ""
        return self._drafted

    def verify(self, logits: object) -> list[Decoded]:
        """The correct drafted characters, and one more."""
        self.n_passes += 1
        log_probs = log_softmax(logits)[:, :-1]  # type: ignore[arg-type]
        likeliest = "".join(self._alphabet[int(i)] for i in log_probs.argmax(-1))
        accepted = self._verified(self._drafted, likeliest)
        self._text += accepted
        return [(character, 0.0) for character in accepted]


def check(verified: Callable[[str, str], str]) -> None:
    """Compare decoding with drafts (completion/decoding.py's decode) with plain_decode."""
    require(verified("abc", "abcd") == "abcd", "all of 'abc' is right, so the network's 'd' after it counts, too")
    require(
        verified("abc", "axyz") != "axyz",
        "the choices after the wrong 'b' are based on it, so they don't count: stop there",
    )
    require(verified("abc", "axyz") != "a", "add one more character: the network's own choice after the last right one")
    require(
        verified("abc", "axyz") == "ax", "'abc' with choices 'axyz': 'a' is right, 'b' is wrong, the network says 'x'"
    )
    require(
        verified("abc", "xbcd") == "x", "if the first drafted character is wrong, only the network's choice remains"
    )
    require(verified("", "x") == "x", "with an empty draft, the result is the network's choice")
    engine = load()
    network, tokenizer = engine.network, engine.tokenizer
    plain = plain_decode(network_logits(network, tokenizer, TEXT), network_alone(tokenizer.alphabet), TEXT)
    speculator = Speculator(verified, tokenizer.alphabet)
    fast = decode(Reader(network, tokenizer), speculator, TEXT)
    expected, answer = (_first(decoded, 16) for decoded in (plain, fast))
    require(
        answer == expected, f"with drafts, the network must write the same as without: {expected!r}, not {answer!r}"
    )


def _first(decoded: Iterator[Decoded], n: int) -> str:
    return "".join(next(decoded)[0] for _ in range(n))


if __name__ == "__main__":
    run(check, verified)
