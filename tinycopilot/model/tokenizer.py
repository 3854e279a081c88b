"""SimpleTokenizer: text <-> ids, one id per character, and one for all unknown characters. Imports no PyTorch."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinycopilot.model.storage import ModelFileError, load_data

# Always known, whatever the corpus: a model that is adapted later should not lack a bracket.
BASIC_CHARACTERS = "\t\n" + "".join(map(chr, range(32, 127)))
# A character is worth an id of its own when it is at least one in this many; the rest teach the network the unknown id.
COMMON_SHARE = 20_000
MAX_VOCAB = 1_024
MAX_FILE_BYTES = 1_000_000

DOCUMENT_START = "\n"
"""What stands before a document's first character: the network reads it, and so an empty file has a context."""


class SimpleTokenizer:
    """Characters <-> ids. Ids 0 ... V-2 are the alphabet's characters in order, id V-1 stands for every other.

    Encoding never fails; decoding the unknown id gives U+FFFD, which is why the network is never allowed to emit it.
    """

    def __init__(self, alphabet: str) -> None:
        if len(set(alphabet)) != len(alphabet) or not alphabet:
            raise ValueError("an alphabet holds at least one character, and each character once")
        self.alphabet = alphabet
        self.unknown_id = len(alphabet)
        self.vocab_size = len(alphabet) + 1
        self._id_of = {character: i for i, character in enumerate(alphabet)}

    @classmethod
    def of_common(cls, counts: Counter[str]) -> "SimpleTokenizer":
        """The printable ASCII characters, tab and newline, and whatever else is common where there are these counts."""
        n_chars = counts.total()
        common = [
            character
            for character, n in counts.most_common()
            if n * COMMON_SHARE >= n_chars and n > 1 and character not in BASIC_CHARACTERS and character != "\r"
        ]
        return cls(BASIC_CHARACTERS + "".join(sorted(common[: MAX_VOCAB - 1 - len(BASIC_CHARACTERS)])))

    def encode(self, text: str) -> list[int]:
        """One id for each character of `text`."""
        unknown_id = self.unknown_id
        return [self._id_of.get(character, unknown_id) for character in text]

    @cached_property
    def id_table(self) -> NDArray[np.int16]:
        """The id of each code point below 65,536, (65536,): `encode` for text by the million characters."""
        table = np.full(1 << 16, self.unknown_id, np.int16)
        for character, i in self._id_of.items():
            if ord(character) < len(table):
                table[ord(character)] = i
        return table

    def decode(self, ids: Iterable[int]) -> str:
        """The characters of `ids`; U+FFFD for the unknown id. Raises IndexError for an id outside the vocabulary."""
        characters = self.alphabet + "\ufffd"
        return "".join(characters[i] for i in ids)

    @property
    def digest(self) -> str:
        """SHA-256 of the alphabet, in hexadecimal: a model's file stores it, so that the two cannot be mixed up."""
        return hashlib.sha256(self.alphabet.encode("utf-8", "surrogatepass")).hexdigest()

    def save(self, path: Path | str) -> None:
        """Write the tokenizer, atomically. Raises OSError. Imports PyTorch, which reading does without."""
        from tinycopilot.model.writing import save_atomically  # noqa: PLC0415

        save_atomically({"kind": "tokenizer", "alphabet": self.alphabet}, Path(path))

    @classmethod
    def load(cls, path: Path | str) -> "SimpleTokenizer":
        """Read the file at `path` that `save` wrote. Raises ModelFileError."""
        alphabet = load_data(Path(path), "tokenizer", {"alphabet": str}, max_bytes=MAX_FILE_BYTES)["alphabet"]
        if len(alphabet) >= MAX_VOCAB:
            raise ModelFileError(
                f"{path}: the tokenizer claims {len(alphabet)} characters, at most {MAX_VOCAB - 1} are allowed"
            )
        try:
            return cls(alphabet)
        except ValueError as error:
            raise ModelFileError(f"{path}: not a tokenizer: {error}") from None
