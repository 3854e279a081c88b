"""Persistence: store a workspace's index and mixing weights on disk between sessions.

The index, in the user's cache folder: a line with the digest of the rest (BLAKE2, RFC 7693); a line of JSON; the
symbols of all documents, two bytes each; and their sorted positions, four bytes each. Reading it takes a tenth of the
time of sorting. The weights are JSON. Both files are private (mode 0600); a file that does not match is not used.
"""

import hashlib
import itertools
import json
import logging
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinycopilot.atomic import atomic_write, open_owned
from tinycopilot.completion.distribution import MAX_WEIGHT
from tinycopilot.completion.predictor import INITIAL, KINDS, Key, Mixture, Row
from tinycopilot.completion.segments import Alphabet, MergedSegment
from tinycopilot.completion.suffix_array import SuffixArray, padded
from tinycopilot.files.masking import RULES_VERSION

INDEX_KIND = f"tinycopilot memory, 2, masked by rules {RULES_VERSION}"
MAX_HEADER_BYTES = 100_000_000
WEIGHTS_KIND = "tinycopilot weights"
N_ROWS = 3
MAX_WEIGHTS_BYTES = 65_536
"""Maximum size of the file of weights; a valid one has about 2,000 bytes."""

Weights = dict[Key, list[float]]
"""The result of `Mixture.as_rows`."""

Stamp = tuple[int, int]
"""Time of a file's last change, in ns since 1970, and its size in bytes."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SavedIndex:
    """Indexed documents, each with the text that its file had at the time of its stamp."""

    merged: MergedSegment
    last_used_s: dict[str, float]
    """Name -> time of last use, in seconds since 1970."""
    stamps: dict[str, Stamp]

    def without(self, names: Set[str]) -> "SavedIndex":
        """Return a copy without these documents."""
        last_used_s = {name: s for name, s in self.last_used_s.items() if name not in names}
        stamps = {name: stamp for name, stamp in self.stamps.items() if name not in names}
        return SavedIndex(self.merged.part(stamps.keys()), last_used_s, stamps)


def save_index(path: Path, saved: SavedIndex, alphabet: Alphabet, tokenizer_digest: str) -> None:
    """Write the documents of `saved.merged` that have a stamp. A failure is logged."""
    documents, positions = saved.merged.arrays_of(saved.stamps.keys())
    rows = [
        [name, len(symbols), saved.last_used_s.get(name, 0.0), *saved.stamps[name]]
        for name, symbols in documents.items()
    ]
    pieces = [padded([]), *documents.values()]
    header = {
        "kind": INDEX_KIND, "tokenizer": tokenizer_digest, "characters": alphabet.met, "documents": rows,
        "n_symbols": sum(map(len, pieces)), "n_positions": sum(int(np.count_nonzero(piece)) for piece in pieces),
    }  # fmt: skip
    line = json.dumps(header, allow_nan=False).encode() + b"\n"
    digest = hashlib.blake2b(line)
    try:
        with atomic_write(path) as file:
            file.write(digest.hexdigest().encode() + b"\n" + line)
            for array in itertools.chain[np.ndarray[Any, Any]](pieces, positions):
                digest.update(array.data)
                file.write(array.data)
            file.seek(0)  # now the digest is known
            file.write(digest.hexdigest().encode())
    except OSError as error:
        log.warning("%s: the workspace's index could not be saved: %s", path, error)


def load_index(path: Path, alphabet: Alphabet, tokenizer_digest: str) -> SavedIndex | None:
    """Read a saved index; None if there is none, if it is damaged, or from another user or model."""
    try:
        return _read(path, alphabet, tokenizer_digest)
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever an invalid header leads to
        log.warning("%s: not used, the workspace is indexed again: %s", path, error)
        return None


def _read(path: Path, alphabet: Alphabet, tokenizer_digest: str) -> SavedIndex:
    """Read and check the file. Raises ValueError or another error that `load_index` handles."""
    with open_owned(path) as file:
        digest, line = file.readline(200).strip(), file.readline(MAX_HEADER_BYTES)
        header = json.loads(line)
        if header["kind"] != INDEX_KIND or header["tokenizer"] != tokenizer_digest:
            raise ValueError("written by another version, or for another model")
        n_symbols, n_positions = header["n_symbols"], header["n_positions"]
        n_bytes = len(digest) + 1 + len(line) + 2 * n_symbols + 4 * n_positions
        if n_symbols < 0 or n_positions < 0 or path.stat().st_size != n_bytes:  # before memory is allocated
            raise ValueError("damaged: wrong size")
        symbols = np.fromfile(file, np.uint16, n_symbols)
        positions = np.fromfile(file, np.int32, n_positions)
    if digest.decode() != digest_of(line, symbols, positions):
        raise ValueError("damaged: wrong digest")
    return _restored(header, SuffixArray.restored(symbols, positions), alphabet)


def _restored(header: Mapping[str, Any], index: SuffixArray, alphabet: Alphabet) -> SavedIndex:
    documents = header["documents"]
    if index.symbols.max(initial=0) > alphabet.n_known + len(header["characters"]):
        raise ValueError("damaged: symbol out of range")
    merged = MergedSegment({name: n for name, n, *_ in documents}, index)
    last_used_s = {name: float(last_used_s) for name, _, last_used_s, *_ in documents}
    stamps = {name: (int(changed_ns), int(n_bytes)) for name, _, _, changed_ns, n_bytes in documents}
    for character in header["characters"]:
        alphabet.symbols_of(character)
    if not alphabet.met.startswith(header["characters"]):  # other characters were added before: symbols differ
        merged = _renumbered(merged, header["characters"], alphabet)
    return SavedIndex(merged, last_used_s, stamps)


def _renumbered(merged: MergedSegment, characters: str, alphabet: Alphabet) -> MergedSegment:
    """Return the merged segment in the symbols of `alphabet`; this sorts it again."""
    same = np.arange(alphabet.n_known + 1, dtype=np.uint16)  # BREAK, and the network's characters
    number_of = np.concatenate((same, alphabet.symbols_of(characters)))
    return MergedSegment.sort_all({name: number_of[symbols] for name, symbols in merged.documents.items()})


def digest_of(header: bytes, *arrays: "np.ndarray[Any, Any]") -> str:
    """The hexadecimal BLAKE2b digest of the header and the arrays."""
    digest = hashlib.blake2b(header)
    for array in arrays:
        digest.update(array.data)
    return digest.hexdigest()


def load_weights(path: Path, tokenizer_digest: str) -> Mixture:
    """Read the mixture that `save_weights` wrote; a new one if there is no file, or if it cannot be used."""
    try:
        with open_owned(path) as file:
            content = file.read(MAX_WEIGHTS_BYTES + 1)
        if len(content) > MAX_WEIGHTS_BYTES:
            raise ValueError("the file is too large")
        return Mixture(_checked_weights(json.loads(content), tokenizer_digest))
    except FileNotFoundError:
        return Mixture()
    except Exception as error:  # whatever invalid content leads to
        log.warning("%s: not used, learning starts over: %s", path, error)
        return Mixture()


def save_weights(path: Path, weights: Weights, tokenizer_digest: str) -> None:
    """Write the weights atomically. A failure is logged."""
    data = {"kind": WEIGHTS_KIND, "tokenizer": tokenizer_digest, "weights": weights}
    try:
        content = json.dumps(data, allow_nan=False).encode()
        with atomic_write(path) as file:
            file.write(content)
    except (OSError, ValueError) as error:
        log.warning("%s: learned weights could not be saved: %s", path, error)


def _checked_weights(data: dict[str, Any], tokenizer_digest: str) -> dict[Key, Row]:
    """Validate the content of the file, and return its weights. Raises ValueError or another error."""
    if data["kind"] != WEIGHTS_KIND or data["tokenizer"] != tokenizer_digest:
        raise ValueError("not a weights file, or written for another model")
    if data["weights"].keys() != set(map(str, INITIAL)):
        raise ValueError("written for other contexts")
    rows = {key: data["weights"][str(key)] for key in INITIAL}
    for key, row in rows.items():
        least = -MAX_WEIGHT if key in KINDS else 0
        if len(row) != N_ROWS or not all(type(x) in (int, float) and least <= x <= MAX_WEIGHT for x in row):
            raise ValueError(f"damaged: each row must be {N_ROWS} numbers of at most {MAX_WEIGHT:g}")
    return rows
