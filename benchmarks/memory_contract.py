"""Contract of the workspace index: time and memory for 10 MB of code, and time of a prediction.

    python benchmarks/memory_contract.py [--megabytes 10] [--edits 100000]

The workspace is Python's standard library as training reads it, and as much of PyTorch's code as is missing. Everything
is measured in this process, after imports and compilation. Times are CPU times of its one working thread: on an idle
machine, the time that a user waits.

- index: as the server's indexer does; resident memory added by it, at the end and at the peak.
- predict: after contexts from all over the workspace, once it is indexed; and again after all edits, uncompacted.
- edits: the session of edit_session.py, with a prediction after each. The index is compacted when due, and after each
  tenth of the edits, when memory is measured.
- equal: after all that, predictions equal those of an index that was never edited.
- key: typing in the middle of a document, from the document's text to an updated prediction.

The contract is for 10 MB and 100,000 edits. Prints a table and one JSON line. Reads /proc: Linux only.
"""

import argparse
import json
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edit_session import Session
from memory_in_use import Live, compile_all, contexts, index, n_unequal, new_memory, prediction_us, type_into
from resident import CLEAR_REFS, Resident

from tinycopilot import UserError
from tinycopilot.completion.ngram import NGramModel
from tinycopilot.evaluation.score import percentile
from tinycopilot.files.left_out import LeftOut
from tinycopilot.training.sources import documents

INDEX_S, RESIDENT_MB, PREDICT_US = 10.0, 200.0, 60.0
"""Limits of the contract; for predictions, p95, compacted or not."""
INDEX_GROWTH, RESIDENT_GROWTH = 1.02, 1.05
"""No growth: index memory per character, relative to that after a tenth of the edits; peak resident memory of the
second half, relative to the first.
"""
N_CONTEXTS, N_UNSETTLED = 2_000, 200
"""Number of predictions, and of edits after the last compaction."""
EDITED_CHARS = (5_000, 50_000, 500_000)
LEFT_CHARS = 500
"""A workspace is full when hardly a file fits any more."""


def workspace(n_bytes: int) -> dict[str, str]:
    """Texts by name: each that still fits into `n_bytes`, in a fixed order. Raises UserError if there are too few."""
    texts, left = dict[str, str](), n_bytes
    for name, text in read_in_order(("stdlib", "package:torch")):
        size = len(text.encode("utf-8", "surrogatepass"))
        if size <= left:
            texts[name] = text
            left -= size
        if left < LEFT_CHARS:
            return texts
    raise UserError(f"only {n_bytes - left:,} bytes of Python available; lower --megabytes")


def read_in_order(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The documents of several sources."""
    for source in names:
        for name, text in documents(source, (".py",), LeftOut()):
            yield f"{source}/{name}", text


def measure(n_bytes: int, n_edits: int) -> dict[str, Any]:
    """Measure everything, in this process. Raises UserError."""
    texts = workspace(n_bytes)
    session, befores = Session(texts), contexts(list(texts.values()), N_CONTEXTS)
    compile_all()
    memory, resident = new_memory(), Resident()
    say(f"indexing {len(texts):,} documents")
    indexed = {"s": round(index(memory, texts), 2), "mb": resident.mb, "highest_mb": resident.highest_mb}
    indexed["index_mb"] = round(sum(segment.n_bytes for segment, _ in memory.segments()) / 1e6, 1)
    settled_us = percentiles(prediction_us(memory, befores))
    say(f"{n_edits:,} edits")
    live = Live(memory, session, resident)
    resident.restart()
    live.run(n_edits)
    highest_mb = resident.highest_mb
    live.edit(N_UNSETTLED)
    unsettled_us = percentiles(prediction_us(memory, befores))
    say("comparing with a fresh index")
    unequal = n_unequal(memory, session.documents, N_CONTEXTS)
    key_ms, n_unknown = type_into_each(memory, "".join(texts.values()))
    return {
        "documents": len(texts),
        "chars": sum(map(len, texts.values())),
        "index": indexed,
        "predict_us": {"settled": settled_us, "unsettled": unsettled_us},
        "edits": {
            "by_kind": dict(session.counts),
            "ms": percentiles(live.edit_ms),
            "settle_s": percentiles(live.settle_s),
            "looks": live.looks,
            "highest_mb": highest_mb,
        },
        "key_ms": key_ms,
        "unknown_keys": n_unknown,
        "unequal": unequal,
        "compared": N_CONTEXTS,
    }


def type_into_each(memory: NGramModel, code: str) -> tuple[dict[int, dict[str, float | None]], int]:
    """Type into documents of EDITED_CHARS, if there is enough code: milliseconds for each; total of missed keys."""
    key_ms, n_unknown = {}, 0
    for n_chars in EDITED_CHARS:
        if n_chars <= len(code):
            typing = type_into(memory, code[:n_chars])
            key_ms[n_chars] = {"prepare": round(typing.prepare_ms, 4), **percentiles(typing.key_ms)}
            n_unknown += typing.n_unknown
    return key_ms, n_unknown


def percentiles(values: Sequence[float]) -> dict[str, float | None]:
    """p50, p95 and maximum."""
    return {name: percentile(values, share) for name, share in (("p50", 0.5), ("p95", 0.95), ("highest", 1.0))}


def contract(measured: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each promise: measured, wanted, and whether it is met."""
    index, edits = measured["index"], measured["edits"]
    figures = {
        "index_s": (index["s"], INDEX_S),
        "resident_mb": (max(index["highest_mb"], edits["highest_mb"]), RESIDENT_MB),
        "predict_us": (max(figures["p95"] for figures in measured["predict_us"].values()), PREDICT_US),
        "growth_of_index": (growth_of_index(edits["looks"]), INDEX_GROWTH),
        "growth_of_resident": (growth_of_resident(edits["looks"]), RESIDENT_GROWTH),
        "unknown_keys": (measured["unknown_keys"], 0),
        "unequal": (measured["unequal"], 0),
    }
    return {
        name: {"measured": round(figure, 3), "at_most": most, "met": figure <= most}
        for name, (figure, most) in figures.items()
    }


def growth_of_index(looks: Sequence[Mapping[str, Any]]) -> float:
    """Ratio of index memory per character, last measurement to first."""
    first, last = (look["bytes"] / look["chars"] for look in (looks[0], looks[-1]))
    return float(last / first)


def growth_of_resident(looks: Sequence[Mapping[str, Any]]) -> float:
    """Ratio of peak resident memory, second half to first half."""
    resident = [float(look["resident_mb"]) for look in looks]
    middle = len(resident) // 2
    return max(resident[middle:]) / max(resident[:middle])


def table(measured: Mapping[str, Any], promises: Mapping[str, Mapping[str, Any]]) -> str:
    """Format the measurements and the contract."""
    index, edits = measured["index"], measured["edits"]
    lines = [
        f"{measured['chars']:,} characters in {measured['documents']:,} documents",
        f"indexed in {index['s']} s: {index['mb']} MB more (peak {index['highest_mb']}), of which the index "
        f"{index['index_mb']}",
        *(f"a prediction, {state}: {spoken(us, 'us')}" for state, us in measured["predict_us"].items()),
        *(f"a key in {n:,} characters: {spoken(ms, 'ms')}" for n, ms in measured["key_ms"].items()),
        f"an edit in a session: {spoken(edits['ms'], 'ms')}; compaction: {spoken(edits['settle_s'], 's')}",
        f"{'edits':>9}{'compacted':>10}{'resident MB':>13}{'in use MB':>11}{'index MB':>10}",
        *(
            f"{look['edits']:9,}{look['settled']:10,}{look['resident_mb']:13.1f}{look.get('in_use_mb', ''):>11}"
            f"{look['bytes'] / 1e6:10.1f}"
            for look in edits["looks"]
        ),
        f"{edits['highest_mb']} MB peak; resident memory not in use is kept by the C library",
        f"different from a fresh index: {measured['unequal']} of {measured['compared']:,} predictions",
        "",
        f"{'contract':20}{'measured':>12}{'at most':>10}",
    ]
    for name, promise in promises.items():
        met = "met" if promise["met"] else "NOT MET"
        lines.append(f"{name:20}{promise['measured']:12,}{promise['at_most']:10,}  {met}")
    return "\n".join(lines)


def spoken(figures: Mapping[str, float | None], unit: str) -> str:
    """The percentiles on one line."""
    if figures["p50"] is None:
        return "not measured"
    return ", ".join(f"{name} {figure:,.4g}" for name, figure in figures.items()) + f" {unit}"


def say(line: str) -> None:
    """Report progress on stderr."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Measure and print; return 2 for errors that the user can fix."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=10.0, help="size of the workspace's code (default: 10)")
    parser.add_argument("--edits", type=int, default=100_000, help="(default: 100000)")
    arguments = parser.parse_args()
    try:
        if not CLEAR_REFS.exists():
            raise UserError("needs Linux, for /proc")
        measured = measure(round(1e6 * arguments.megabytes), arguments.edits)
    except UserError as error:
        say(f"memory_contract: {error}")
        return 2
    promises = contract(measured)
    print(table(measured, promises))
    facts = {"processor": platform.processor() or platform.machine()}
    print(json.dumps({"contract": promises, **measured, **facts}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
