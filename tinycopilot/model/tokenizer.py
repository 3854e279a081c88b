"""SimpleTokenizer: text <-> ids, one id per character, and one for all unknown characters. Imports no PyTorch."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinycopilot.model.config import MAX_VOCAB
from tinycopilot.model.storage import ModelFileError, load_data

# In every vocabulary, even if the corpus lacks them: a model that is fine-tuned later needs every bracket.
BASIC_CHARACTERS = "\t\n" + "".join(map(chr, range(32, 127)))
# Any other character gets an id if its share of the corpus is at least 1 / COMMON_SHARE; the rest are unknown.
COMMON_SHARE = 20_000
MAX_FILE_BYTES = 1_000_000

DOCUMENT_START = "\n"
"""Precedes every document, so that its first character has a context, too."""


class SimpleTokenizer:
    """Characters <-> ids. Ids 0 ... V-2 are the alphabet's characters in order; id V-1 is the unknown id.

    Encoding never fails. The unknown id decodes to U+FFFD, so the network is never allowed to generate it.
    """

    def __init__(self, alphabet: str) -> None:
        if len(set(alphabet)) != len(alphabet) or not alphabet:
            raise ValueError("an alphabet has at least one character, and each only once")
        self.alphabet = alphabet
        self.unknown_id = len(alphabet)
        self.vocab_size = len(alphabet) + 1
        self._id_of = {character: i for i, character in enumerate(alphabet)}

    @classmethod
    def of_common(cls, counts: Counter[str]) -> "SimpleTokenizer":
        """Return a tokenizer of printable ASCII, tab, newline, and all other characters that are common in `counts`."""
        n_chars = counts.total()
        common = [
            character
            for character, n in counts.most_common()
            if n * COMMON_SHARE >= n_chars and n > 1 and character not in BASIC_CHARACTERS and character != "\r"
        ]
        return cls(BASIC_CHARACTERS + "".join(sorted(common[: MAX_VOCAB - 1 - len(BASIC_CHARACTERS)])))

    def encode(self, text: str) -> list[int]:
        """Return one id for each character of `text`."""
        unknown_id = self.unknown_id
        return [self._id_of.get(character, unknown_id) for character in text]

    @cached_property
    def id_table(self) -> NDArray[np.int16]:
        """The id of each code point below 65,536, (65536,): `encode` for millions of characters."""
        table = np.full(1 << 16, self.unknown_id, np.int16)
        for character, i in self._id_of.items():
            if ord(character) < len(table):
                table[ord(character)] = i
        return table

    def decode(self, ids: Iterable[int]) -> str:
        """Return the characters of `ids`. Raises IndexError for an id outside the vocabulary."""
        characters = self.alphabet + "\ufffd"
        return "".join(characters[i] for i in ids)

    @property
    def digest(self) -> str:
        """SHA-256 of the alphabet, in hexadecimal; stored in the model file, to detect a tokenizer of another model."""
        return hashlib.sha256(self.alphabet.encode("utf-8", "surrogatepass")).hexdigest()

    def save(self, path: Path | str) -> None:
        """Write the tokenizer, atomically. Raises OSError. Imports PyTorch."""
        from tinycopilot.model.storage.writing import save_atomically  # noqa: PLC0415

        save_atomically({"kind": "tokenizer", "alphabet": self.alphabet}, Path(path))

    @classmethod
    def load(cls, path: Path | str) -> "SimpleTokenizer":
        """Return the tokenizer that `save` wrote. Raises ModelFileError."""
        data = load_data(Path(path), "tokenizer", {"alphabet": str}, max_bytes=MAX_FILE_BYTES)
        alphabet: str = data["alphabet"]
        if len(alphabet) >= MAX_VOCAB:
            raise ModelFileError(
                f"{path}: the tokenizer claims {len(alphabet)} characters, at most {MAX_VOCAB - 1} are allowed"
            )
        try:
            return cls(alphabet)
        except ValueError as error:
            raise ModelFileError(f"{path}: not a tokenizer: {error}") from None
