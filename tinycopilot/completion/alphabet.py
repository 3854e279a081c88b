"""Alphabet: map characters to numbers, called symbols. The network's come first; others follow as they occur."""

import threading

import numpy as np

from tinycopilot.completion.suffix_array import BREAK, Symbols
from tinycopilot.files.masking import MASK

N_CODE_POINTS = 0x110000
MAX_CHARACTERS = 2**16 - 2
"""Further characters share the last number."""


class Alphabet:
    """Maps characters to symbols, from 1 on, and back. MASK is BREAK: no context crosses it.

    A new character gets the next number, which never changes. Thread-safe.
    """

    def __init__(self, known: str) -> None:
        self.n_known = len(known)
        self._characters = list(known)
        self._symbol_of = np.zeros(N_CODE_POINTS, np.uint16)
        self._symbol_of[_code_points(known)] = np.arange(1, len(known) + 1)
        self._growing = threading.Lock()

    def __len__(self) -> int:
        return len(self._characters)

    @property
    def met(self) -> str:
        """The characters that are not in the network's alphabet, in the order of their symbols."""
        return "".join(self._characters[self.n_known :])

    def symbols_of(self, text: str) -> Symbols:
        """The symbols of a text; lone surrogates are allowed."""
        points = _code_points(text)
        symbols = self._symbol_of[points]
        if (new := symbols == BREAK).any() and (unknown := np.setdiff1d(points[new], ord(MASK))).size:
            with self._growing:
                for point in unknown:
                    self._add(point)
            symbols = self._symbol_of[points]
        return symbols

    def _add(self, point: int) -> None:
        if self._symbol_of[point] == BREAK:  # unless another thread has just added it
            if len(self) < MAX_CHARACTERS:
                self._characters.append(chr(point))
            self._symbol_of[point] = len(self)

    def symbol_of(self, character: str) -> int:
        """The symbol of a character; BREAK if it is new."""
        return int(self._symbol_of[ord(character)])

    def character_of(self, symbol: int) -> str:
        """The character of a symbol."""
        return self._characters[symbol - 1]


def _code_points(text: str) -> "np.ndarray[tuple[int], np.dtype[np.uint32]]":
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
