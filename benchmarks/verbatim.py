"""How much a model copies: the share of generated text that occurs, character for character, in its training text.

    python benchmarks/verbatim.py CORPUS [CORPUS ...] [--ext py js ...] [--model_path FILE] [--packages FOLDER]

Each excerpt of heldout.json is a prompt, continued by 500 characters: greedily, and sampled at temperature 1. The
baseline is what people wrote there: code has idioms, so it occurs elsewhere too. Prints a table and one JSON line: for
each length, the share of characters that are part of a passage of that length which the corpus contains.
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from heldout_bits import PACKAGES, excerpts
from numpy.typing import NDArray

from tinycopilot.completion.decoding import generate
from tinycopilot.completion.network import load_pair
from tinycopilot.files.left_out import LeftOut
from tinycopilot.paths import model_to_load
from tinycopilot.training.sources import documents

LENGTHS = (20, 30, 40, 60, 80, 120, 160, 240)
N_CHARS = 500
PROMPT_CHARS = 1_000
CHUNK_CHARS = 4_000_000
BASE = 0x9E3779B97F4A7C15
"""Odd, so that it has an inverse modulo 2 ** 64."""

Hashes = NDArray[np.uint64]


def hashes(text: str, length: int) -> Hashes:
    """A hash of each passage of `length` characters: sums of code x BASE ** position, shifted to position 0."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    codes = (codes + np.uint64(1)) * np.uint64(0xBF58476D1CE4E5B9)
    codes ^= codes >> np.uint64(29)
    sums = np.append(np.uint64(0), np.cumsum(codes * powers(BASE, len(codes)), dtype=np.uint64))
    inverse = powers(pow(BASE, -1, 1 << 64), len(codes))
    n = max(0, len(codes) - length + 1)
    return (sums[length : length + n] - sums[:n]) * inverse[:n]


def powers(base: int, n: int) -> Hashes:
    """`base` ** 0 ... n - 1, modulo 2 ** 64."""
    factors = np.full(n, base, np.uint64)
    factors[:1] = 1
    return np.cumprod(factors, dtype=np.uint64)


def chunks(texts: Iterable[str]) -> Iterator[str]:
    """The texts, joined to about CHUNK_CHARS each."""
    waiting, n_chars = list[str](), 0
    for text in texts:
        waiting.append(text)
        n_chars += len(text)
        if n_chars >= CHUNK_CHARS:
            yield "\0".join(waiting)
            waiting, n_chars = [], 0
    yield "\0".join(waiting)


def covered(text: str, length: int, known: Hashes) -> int:
    """The number of characters of `text` in a passage of `length` whose hash is in `known`."""
    inside = np.zeros(len(text) + 1, np.int64)
    starts = np.flatnonzero(np.isin(hashes(text, length), known))
    np.add.at(inside, starts, 1)
    np.add.at(inside, starts + length, -1)
    return int((np.cumsum(inside)[:-1] > 0).sum())


def copied(samples: dict[str, list[str]], corpus: Iterable[str]) -> dict[str, dict[int, float]]:
    """Share of the characters of each group of samples in passages of LENGTHS that `corpus` contains."""
    wanted = {
        length: np.unique(np.concatenate([hashes(text, length) for texts in samples.values() for text in texts]))
        for length in LENGTHS
    }
    found = {length: np.zeros(len(wanted[length]), np.bool_) for length in LENGTHS}
    for chunk in chunks(corpus):
        for length, sought in wanted.items():
            there = hashes(chunk, length)
            places = np.searchsorted(sought, there).clip(max=len(sought) - 1)
            found[length][places[sought[places] == there]] = True
    return {
        group: {
            length: sum(covered(text, length, wanted[length][found[length]]) for text in texts) / sum(map(len, texts))
            for length in LENGTHS
        }
        for group, texts in samples.items()
    }


def samples_of(model_path: str | None, packages: Path) -> dict[str, list[str]]:
    """Continuations of the prompts by the model and by their authors."""
    paths = model_to_load(model_path)
    network, tokenizer = load_pair(paths.model, paths.tokenizer, int8=False)
    rng = np.random.default_rng(0)
    samples: dict[str, list[str]] = {"greedy": [], "temperature 1": [], "people": []}
    for excerpt in excerpts(packages):
        ids = tokenizer.encode(excerpt.text[max(0, excerpt.first - PROMPT_CHARS) : excerpt.first])
        for group, temperature in (("greedy", 0.0), ("temperature 1", 1.0)):
            continuation = islice(generate(network, ids, temperature=temperature, rng=rng), N_CHARS)
            samples[group].append(tokenizer.decode(list(continuation)))
        samples["people"].append(excerpt.text[excerpt.first : excerpt.first + N_CHARS])
    return samples


def table(shares: dict[str, dict[int, float]]) -> Iterator[str]:
    """The lines of a Markdown table."""
    yield "| | " + " | ".join(f"{length} characters" for length in LENGTHS) + " |"
    yield "|---" * (1 + len(LENGTHS)) + "|"
    for group, by_length in shares.items():
        yield f"| {group} | " + " | ".join(f"{share:.1%}" for share in by_length.values()) + " |"


def corpus_texts(names: Sequence[str], suffixes: Sequence[str]) -> Iterator[str]:
    """The texts of the sources, read as `train` reads them."""
    for name in names:
        yield from (text for _, text in documents(name, suffixes, LeftOut()))


def main() -> None:
    """Generate, search, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="+", help="as --corpus of train")
    parser.add_argument("--ext", nargs="+", default=["py"])
    parser.add_argument("--model_path")
    parser.add_argument("--packages", type=Path, default=PACKAGES)
    arguments = parser.parse_args()
    samples = samples_of(arguments.model_path, arguments.packages)
    shares = copied(samples, corpus_texts(arguments.corpus, [f".{ext.lstrip('.')}" for ext in arguments.ext]))
    print("\n".join(table(shares)))
    print(json.dumps(shares))


if __name__ == "__main__":
    main()
