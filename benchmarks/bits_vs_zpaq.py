"""Bits per character of the mixture of network and n-gram models, compared with zpaq -m5.

    python benchmarks/bits_vs_zpaq.py [--model_path FILE] [--packages FOLDER] [--jobs 2] [--only zpaq]

Both predict the characters from `first` to `last` of each file of heldout.json, given the network's training text, the
rest of the file's package (without copies of the file) and the file up to there. Ours has the first in its weights, the
second in its n-gram models, the third in both. zpaq reads all three as one stream, in this order; its bits are what the
excerpt adds to its output (zpaq_bits.py explains why that is a code length).

Each excerpt is a separate run for zpaq. So ours is measured twice: `mixed` learns the mixture's weights along the list,
as `tinycopilot eval` does; `afresh` starts each file with the initial weights. The target is for the latter.

The packages are fetched by pip (see heldout_bits.py). zpaq makes two archives for each file, --jobs at a time, each on
one core. Prints a table and one JSON line.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch
from heldout_bits import LISTING, PACKAGES, excerpts
from zpaq_bits import STANDARD_ERROR_BITS, cost_after, need_zpaq, plain_model

from tinycopilot import UserError
from tinycopilot.completion.engine import Engine, Request
from tinycopilot.completion.ngram import NGramModel
from tinycopilot.completion.predictor import Mixture
from tinycopilot.completion.request import CompleterSettings
from tinycopilot.evaluation.excerpts import Excerpt, WorkspaceIndex, from_list, texts_in
from tinycopilot.files.left_out import LeftOut
from tinycopilot.model.tokenizer import DOCUMENT_START
from tinycopilot.paths import model_to_load
from tinycopilot.training.corpus import prepare_corpus

WANTED_LOWER = 0.12
"""Target: ours is at least this share below zpaq."""
CORPUS = (str(Path(__file__).resolve().parents[1] / "corpus.txt"), "stdlib")
PEERS = ("ours", "zpaq")
COLUMNS = ("network", "memory", "mixed", "afresh", "zpaq")
HEADINGS = {"memory": "n-grams"}
ALL = "all"

Bits = dict[str, Counter[str]]
"""Sums of -log2 p by package and predictor."""


class Learned(NamedTuple):
    """The training text of a network."""

    text: str
    """All documents, each after its DOCUMENT_START."""
    digest: str
    """As recorded in the model's file."""


class TextsHeld(NGramModel):
    """Stands in for an n-gram model, and keeps the texts that it would index."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def hold(self, name: str, *document: str, last_used_s: float | None = None) -> None:  # noqa: ARG002 (as in NGramModel)
        """Keep a text."""
        self.texts[name] = "".join(document)

    def drop(self, name: str) -> bool:
        """Drop a text; return whether it was kept."""
        return self.texts.pop(name, None) is not None

    def compact(self) -> None:
        """Nothing to compact."""


def learned_text(names: Sequence[str]) -> Learned:
    """The text that `tinycopilot train --corpus NAMES` trains on, without the held-out part. Raises UserError."""
    with tempfile.TemporaryDirectory(prefix="tinycopilot-corpus-") as folder:
        corpus = prepare_corpus(names, Path(folder))
        units = corpus.train.read().astype("<u2").tobytes()
    return Learned(units.decode("utf-16-le", "surrogatepass"), corpus.digest)


def with_surroundings(listed: Sequence[Excerpt], memory: NGramModel) -> Iterator[Excerpt]:
    """Yield each excerpt while `memory` contains only the rest of its package."""
    index, folder = WorkspaceIndex(memory), None
    try:
        for excerpt in listed:
            if excerpt.workspace != folder:
                folder = excerpt.workspace
                index.load(texts_in(folder, (".py",), LeftOut()))
            with index.excluding_duplicates_of(excerpt):
                yield excerpt
    finally:
        index.load({})


def our_bits(engine: Engine, listed: Sequence[Excerpt], afresh: bool) -> Iterator[Counter[str]]:
    """Bits of each excerpt by predictor; with `afresh`, the mixture is reset for each."""
    engine.restore(Mixture())
    for excerpt in with_surroundings(listed, engine.ngrams):
        if afresh:
            engine.restore(Mixture())
        bits = Counter[str]()
        for at in range(excerpt.first, excerpt.last):
            bits.update(engine.observe(Request(excerpt.text[:at], document=excerpt.name), excerpt.text[at]))
        yield Counter({"afresh": bits["mixed"]}) if afresh else bits


class Job(NamedTuple):
    """A measurement by zpaq: the cost of the excerpt after all text before it."""

    excerpt: Excerpt
    others: tuple[str, ...]
    """The rest of its package, sorted by name."""
    is_first: bool
    """For one excerpt per package, also find out which model -m5 would choose."""

    def stream(self, learned: str) -> tuple[bytes, bytes]:
        """The text before the excerpt, and the excerpt, as zpaq reads them."""
        text, first, last = self.excerpt.text, self.excerpt.first, self.excerpt.last
        before = learned + "".join(DOCUMENT_START + document for document in (*self.others, text[:first]))
        return as_bytes(before), as_bytes(text[first:last])


def jobs(listed: Sequence[Excerpt]) -> list[Job]:
    """One job per excerpt."""
    held, packages, found = TextsHeld(), set[str](), list[Job]()
    for excerpt in with_surroundings(listed, held):
        others = tuple(held.texts[name] for name in sorted(held.texts))
        found.append(Job(excerpt, others, package_of(excerpt) not in packages))
        packages.add(package_of(excerpt))
    return found


def zpaq_bits(listed: Sequence[Excerpt], learned: str, n_jobs: int, other_models: set[str]) -> Iterator[Counter[str]]:
    """Bits of each excerpt. Packages for which -m5 itself would choose another model are added to `other_models`."""

    def measure(job: Job) -> Counter[str]:
        before, text = job.stream(learned)
        cost = cost_after(before, text)
        if job.is_first and plain_model(before) != cost.model:
            other_models.add(package_of(job.excerpt))
        return Counter({"zpaq": cost.n_bits})

    pool = ThreadPoolExecutor(n_jobs)
    try:
        yield from pool.map(measure, jobs(listed))
    finally:
        pool.shutdown(cancel_futures=True)


def as_bytes(text: str) -> bytes:
    """The text in UTF-8, including lone surrogates."""
    return text.encode("utf-8", "surrogatepass")


def package_of(excerpt: Excerpt) -> str:
    """The package of a file, by name."""
    return excerpt.workspace.name


def add(totals: Bits, excerpt: Excerpt, bits: Mapping[str, float]) -> None:
    """Add to the sums of its package, and of all."""
    for name in (package_of(excerpt), ALL):
        totals.setdefault(name, Counter()).update(bits)


def counted(name: str, listed: Sequence[Excerpt], found: Iterable[Counter[str]], totals: Bits) -> float:
    """Sum up the results of all excerpts, reporting progress; return the duration in seconds."""
    started = time.perf_counter()
    for number, (excerpt, bits) in enumerate(zip(listed, found, strict=True), start=1):
        add(totals, excerpt, bits)
        n_chars, file = excerpt.last - excerpt.first, Path(excerpt.name).relative_to(excerpt.workspace.parent)
        figures = ", ".join(f"{column} {n / n_chars:.3f}" for column, n in bits.items())
        say(f"{name}: {number} of {len(listed)}, {time.perf_counter() - started:.0f} s: {file.as_posix()}: {figures}")
    return time.perf_counter() - started


def n_chars_by_package(listed: Sequence[Excerpt]) -> Counter[str]:
    """Number of characters by package and in total."""
    n_chars = Counter[str]()
    for excerpt in listed:
        for name in (package_of(excerpt), ALL):
            n_chars[name] += excerpt.last - excerpt.first
    return n_chars


def table(totals: Bits, n_chars: Mapping[str, int]) -> str:
    """Rows of bits per character: one per package, and one for all."""
    headings = "".join(f"{HEADINGS.get(column, column):>9}" for column in COLUMNS)
    lines = [f"{'package':12}{'chars':>8}{headings}{'afresh/zpaq':>13}"]
    for name in sorted(totals, key=lambda name: (name == ALL, name)):
        bits = totals[name]
        figures = [f"{bits[column] / n_chars[name]:9.3f}" if column in bits else f"{'-':>9}" for column in COLUMNS]
        ratio = f"{bits['afresh'] / bits['zpaq']:13.3f}" if {"afresh", "zpaq"} <= bits.keys() else f"{'-':>13}"
        lines.append(f"{name:12}{n_chars[name]:8,}" + "".join(figures) + ratio)
    return "\n".join(lines)


def bar(bits: Mapping[str, float]) -> dict[str, Any] | None:
    """How far ours is below zpaq, as a share; None if one of them was not measured."""
    if not {"afresh", "zpaq"} <= bits.keys():
        return None
    lower = 1 - bits["afresh"] / bits["zpaq"]
    along = 1 - bits["mixed"] / bits["zpaq"]
    return {
        "wanted_lower": WANTED_LOWER,
        "lower": round(lower, 4),
        "lower_learning_along": round(along, 4),
        "met": lower >= WANTED_LOWER,
    }


def standard_error(listed: Sequence[Excerpt]) -> float:
    """Standard error of zpaq's total, in bits per character: its sizes are whole bytes."""
    return STANDARD_ERROR_BITS * len(listed) ** 0.5 / n_chars_by_package(listed)[ALL]


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure everything requested, print the table, and return the JSON line's content. Raises UserError."""
    if "zpaq" in arguments.only:
        need_zpaq()  # before anything takes time
    excerpts(arguments.packages)  # fetched if missing
    listed = from_list(LISTING, arguments.packages.resolve(), None)
    totals, seconds, report = Bits(), dict[str, float](), dict[str, Any]()
    paths = model_to_load(arguments.model_path, arguments.tokenizer_path)
    if "zpaq" in arguments.only:
        learned = learned_text(arguments.corpus)
        report["zpaq_read_what_the_network_learned"] = learned.digest == learned_by(paths.model)
    if "ours" in arguments.only:
        engine = Engine.load(paths, CompleterSettings())
        for name, afresh in (("ours", False), ("ours, weights afresh", True)):
            seconds[name] = counted(name, listed, our_bits(engine, listed, afresh), totals)
    if "zpaq" in arguments.only:
        found = zpaq_bits(listed, learned.text, arguments.jobs, other_models := set[str]())
        seconds["zpaq"] = counted("zpaq", listed, found, totals)
        report |= {
            "zpaq_standard_error": round(standard_error(listed), 5),
            "zpaq_m5_would_differ_for": sorted(other_models),
        }
    n_chars = n_chars_by_package(listed)
    print(table(totals, n_chars))
    return {
        "chars": n_chars[ALL],
        "files": len(listed),
        "bits_per_char": {name: round(bits / n_chars[ALL], 4) for name, bits in totals[ALL].items()},
        "bar": bar(totals[ALL]),
        **report,
        "seconds": {name: round(number) for name, number in seconds.items()},
        "jobs": arguments.jobs,
        "processor": platform.processor() or platform.machine(),
    }


def learned_by(model: Path) -> str | None:
    """Digest of the text that a model was trained on, if its file records it."""
    digest: str | None = torch.load(model, weights_only=True)["training"].get("corpus_sha256")
    return digest


def say(line: str) -> None:
    """Report progress on stderr."""
    print(line, file=sys.stderr, flush=True)


def parsed() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model_path")
    parser.add_argument("--tokenizer_path")
    parser.add_argument("--packages", type=Path, default=PACKAGES, help="packages of heldout.json (fetched if missing)")
    parser.add_argument("--corpus", nargs="+", default=CORPUS, help="training text of the network, for zpaq")
    parser.add_argument("--jobs", type=int, default=2, help="concurrent archives (default: 2)")
    parser.add_argument("--only", nargs=1, choices=PEERS, default=PEERS)
    return parser.parse_args()


def main() -> int:
    """Measure and print; return 2 for errors that the user can fix."""
    try:
        print(json.dumps(measure(parsed())))
    except UserError as error:
        say(f"bits_vs_zpaq: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
