"""What the memory holds of a workspace's files, kept on disk from one session to the next: sorted, checked, private.

A file of the user's cache folder: a line with the digest of all that follows (BLAKE2, RFC 7693); a line of JSON; the
symbols of all documents, two bytes each; and their sorted positions, four bytes each. To read it takes a tenth of what
it takes to sort. Whatever does not match is not used: it is made anew.
"""

import hashlib
import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinycopilot.completion.alphabet import Alphabet
from tinycopilot.completion.contexts import ContextIndex
from tinycopilot.completion.shelves import Shelf
from tinycopilot.masking import RULES_VERSION
from tinycopilot.private import replacing

KIND = f"tinycopilot memory, 2, masked by rules {RULES_VERSION}"
MAX_HEADER_BYTES = 100_000_000

Stamp = tuple[int, int]
"""When a file was last changed, in ns since 1970, and its size in bytes."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """Documents, each as its file was at the time of the stamp."""

    shelf: Shelf
    useful_s: dict[str, float]
    """When each was last of use, in seconds since 1970."""
    stamps: dict[str, Stamp]

    def without(self, names: Collection[str]) -> "Kept":
        """All but these."""
        useful_s = {name: s for name, s in self.useful_s.items() if name not in names}
        stamps = {name: stamp for name, stamp in self.stamps.items() if name not in names}
        return Kept(self.shelf.part(stamps.keys()), useful_s, stamps)


def save(path: Path, kept: Kept, alphabet: Alphabet, tokenizer_digest: str) -> None:
    """Write the documents of `kept.shelf` that have a stamp. A failure is logged, for it is no more than a help."""
    shelf = kept.shelf.part(kept.stamps.keys())
    symbols, positions = shelf.index.arrays
    documents = [
        [name, len(symbols), kept.useful_s.get(name, 0.0), *kept.stamps[name]]
        for name, symbols in shelf.documents.items()
    ]
    header = {
        "kind": KIND, "tokenizer": tokenizer_digest, "characters": alphabet.met, "documents": documents,
        "n_symbols": len(symbols), "n_positions": len(positions),
    }  # fmt: skip
    line = json.dumps(header, allow_nan=False).encode() + b"\n"
    try:
        with replacing(path) as file:
            file.write(_digest(line, symbols, positions).encode() + b"\n" + line)
            file.write(symbols.data)
            file.write(positions.data)
    except OSError as error:
        log.warning("%s: the workspace's memory could not be kept: %s", path, error)


def load(path: Path, alphabet: Alphabet, tokenizer_digest: str) -> Kept | None:
    """What `save` wrote; None where there is nothing, or where it is damaged, foreign, or of another model."""
    try:
        return _read(path, alphabet, tokenizer_digest)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError, MemoryError) as error:
        log.warning("%s: not used, the workspace is indexed anew: %s", path, error)
        return None


def _read(path: Path, alphabet: Alphabet, tokenizer_digest: str) -> Kept:
    """Raises ValueError and more for what cannot be used."""
    with path.open("rb") as file:
        digest, line = file.readline(200).strip(), file.readline(MAX_HEADER_BYTES)
        header = json.loads(line)
        if header["kind"] != KIND or header["tokenizer"] != tokenizer_digest:
            raise ValueError("it is of another version, or of another model")
        n_symbols, n_positions = header["n_symbols"], header["n_positions"]
        n_bytes = len(digest) + 1 + len(line) + 2 * n_symbols + 4 * n_positions
        if n_symbols < 0 or n_positions < 0 or path.stat().st_size != n_bytes:  # before memory is taken for it
            raise ValueError("it is damaged: its size is wrong")
        symbols = np.fromfile(file, np.uint16, n_symbols)
        positions = np.fromfile(file, np.int32, n_positions)
    if digest.decode() != _digest(line, symbols, positions):
        raise ValueError("it is damaged: its digest is wrong")
    return _kept(header, ContextIndex.restored(symbols, positions), alphabet)


def _kept(header: Mapping[str, Any], index: ContextIndex, alphabet: Alphabet) -> Kept:
    documents = header["documents"]
    if index.symbols.max(initial=0) > alphabet.n_known + len(header["characters"]):
        raise ValueError("it is damaged: there are no such characters")
    shelf = Shelf.restored({name: n for name, n, *_ in documents}, index)
    useful_s = {name: float(useful_s) for name, _, useful_s, *_ in documents}
    stamps = {name: (int(changed_ns), int(n_bytes)) for name, _, _, changed_ns, n_bytes in documents}
    for character in header["characters"]:
        alphabet.symbols_of(character)
    if not alphabet.met.startswith(header["characters"]):  # it had met others first: the numbers are not the same
        shelf = _renumbered(shelf, header["characters"], alphabet)
    return Kept(shelf, useful_s, stamps)


def _renumbered(shelf: Shelf, characters: str, alphabet: Alphabet) -> Shelf:
    """The same documents in the numbers of `alphabet`, sorted anew."""
    same = np.arange(alphabet.n_known + 1, dtype=np.uint16)  # BREAK, and what every alphabet of this model begins with
    number_of = np.concatenate((same, alphabet.symbols_of(characters)))
    return Shelf({name: number_of[symbols] for name, symbols in shelf.documents.items()})


def _digest(header: bytes, *arrays: "np.ndarray[Any, Any]") -> str:
    digest = hashlib.blake2b(header)
    for array in arrays:
        digest.update(array.data)
    return digest.hexdigest()
